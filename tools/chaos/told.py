"""Whether each end was told, to whom it had to be told, once, and as the log of its monitor has it.

A message that came twice is explained if its first answer got lost, or if host or receiver died
soon after it came: nobody can tell then whether it came.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_REFUSED = ("503", "429")
_LOST = ("reset", "hang")
_NOTED = 15.0
"""Seconds after which a delivery is noted, or known to be unnoted, at the latest: a store that is
away makes its client wait."""


class Ended(NamedTuple):
    """The notice of an end: the facts that its receiver gets."""

    id: str
    monitor: str
    run: int
    state: str

    @property
    def number(self) -> int:
        """The number of the notice."""
        return int(self.id.rsplit("/", 2)[1])


@dataclass
class Arrival:
    """A message that came in, with a right signature.

    Attributes:
        at: When.
        channel: The channel.
        answer: The answer that it was to get.
        ends: The ends that it tells of.
        unlisted: How many more it counts, without saying which.
        answered_at: When it was answered well; None if it was not, or the receiver died before.
    """

    at: float
    channel: str
    answer: str
    ends: Sequence[Ended]
    unlisted: int = 0
    answered_at: float | None = None


@dataclass
class Report:
    """The outcome.

    Attributes:
        told: How many ends were told, over all channels.
        messages: How many messages came in and were taken.
        untold: The ends that a channel was not told of.
        wrong: What was told, and is not so.
        unexplained: What came twice without a reason.
        repeats: How often a notice came again, by the reason.
    """

    told: int = 0
    messages: int = 0
    untold: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    repeats: Counter[str] = field(default_factory=Counter)


def judge(
    ends: Collection[tuple[str, int, str]],
    takers: Mapping[str, Collection[str] | None],
    arrivals: Sequence[Arrival],
    died: Mapping[str, Sequence[float]],
) -> Report:
    """Compare the ends with what came in.

    Args:
        ends: Monitor, run and state of each end, by the logs of the monitors.
        takers: The channels, and the states that each takes; None for all.
        arrivals: What came in, in that order.
        died: When `host` and `receiver` did.
    """
    report = Report()
    for channel, states in takers.items():
        wanted = {end for end in ends if states is None or end[2] in states}
        came = [each for each in arrivals if each.channel == channel]
        _judge_channel(report, channel, wanted, came, died)
    return report


def _judge_channel(
    report: Report,
    channel: str,
    wanted: Collection[tuple[str, int, str]],
    came: Sequence[Arrival],
    died: Mapping[str, Sequence[float]],
) -> None:
    taken: dict[Ended, list[Arrival]] = defaultdict(list)
    known: set[tuple[str, int, str]] = set()
    for arrival in came:
        known |= {each[1:] for each in arrival.ends}
        if arrival.answer not in _REFUSED:
            report.messages += 1
            for end in arrival.ends:
                taken[end].append(arrival)
    acknowledged = {
        end[1:] for end, those in taken.items() if any(each.answered_at for each in those)
    }
    report.told += len(acknowledged)
    report.untold += [f"{channel}: {end}" for end in set(wanted) - acknowledged]
    report.wrong += [f"{channel} was told {end}" for end in known - set(wanted)]
    report.wrong += [
        f"{channel}: a digest leaves {each.unlisted} out" for each in came if each.unlisted
    ]
    report.wrong += [f"{channel}: {each} out of order" for each in _disordered(taken)]
    for end, those in taken.items():
        for first, again in pairwise(those):
            if why := _why_again(first, again, died):
                report.repeats[why] += 1
            else:
                report.unexplained.append(
                    f"{channel}: {end}, {again.at - first.at:.1f} s after {first.answer}"
                )


def _disordered(taken: Mapping[Ended, Sequence[Arrival]]) -> list[str]:
    """The monitors of which a later end came first."""
    first: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for end, those in taken.items():
        first[end.monitor].append((those[0].at, end.number))
    numbers = {name: [number for _, number in sorted(those)] for name, those in first.items()}
    return [name for name, those in numbers.items() if those != sorted(those)]


def _why_again(first: Arrival, again: Arrival, died: Mapping[str, Sequence[float]]) -> str | None:
    """Why a notice came again; None if nothing explains it."""
    if first.answer in _LOST:
        return "the answer was lost"
    if first.answered_at is None:
        return "the receiver died"
    until = min(first.at + _NOTED, again.at)
    for name, times in died.items():
        if any(first.at <= at <= until for at in times):
            return f"the {name} died"
    return None
