"""Messages: notices in words for people, and as data for programs.

1. One notice becomes a message of its own, and several of one source and event become a digest.
2. Texts of a job are anybody's. In title and text each is one line, cut in its middle if it is
   long, without control characters and without those that turn the direction of writing.
3. `data` has what the row says.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from domain.notices.notice import Event, Message, Notice
from domain.text import both_ends, carriable

DIGEST_LISTED = 100
"""How many notices of a digest its data lists; it counts all."""

_NAMED = 20  # jobs that the text of a digest names
_TITLE, _TEXT, _LINE, _DATUM = 150, 2_900, 500, 4_096  # characters; chats take 150 and 3,000
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_OF_ONE = {
    Event.OVERDUE: "{job} runs longer than expected",
    Event.STALLED: "{job} does not move",
    Event.BLIND: "{job} can't be seen",
    Event.SEEN: "{job} is seen again",
    Event.STALE: "the watch over {job} is silent",
}
_OF_SEVERAL = {
    Event.ENDED: "{n} jobs ended",
    Event.OVERDUE: "{n} jobs run longer than expected",
    Event.STALLED: "{n} jobs do not move",
    Event.BLIND: "{n} jobs can't be seen",
    Event.SEEN: "{n} jobs are seen again",
    Event.STALE: "the watches over {n} jobs are silent",
    Event.PROGRESS: "{n} jobs made progress",
    Event.TROUBLE: "{n} troubles",
}


def message_of(notices: Sequence[Notice]) -> Message:
    """The message that tells notices: one, or a digest of several.

    Args:
        notices: At least one; several are of one source and event. A digest lists
            `DIGEST_LISTED` of them.

    Raises:
        ValueError: There is none.
    """
    if not notices:
        raise ValueError("there is nothing to tell")
    return _single(notices[0]) if len(notices) == 1 else _digest(notices)


def trial_message(channel: str, at: datetime) -> Message:
    """A message that tells nothing but that it arrived."""
    title = f"Job Monitor: a test of the channel {channel}"
    return Message(
        id=f"test/{channel}/{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}",
        type="jobmonitor.test",
        subject="job-monitor",
        time=at,
        title=title,
        text="Somebody sent this to see whether it arrives. No job is concerned.",
        data={"event": "test", "channel": channel},
    )


def one_line(text: str, length: int = _LINE) -> str:
    """A text from outside as one line that people can be shown."""
    text = both_ends(text, 4 * length)  # one of a megabyte is not walked by character
    spaced = (" " if each.isspace() else each for each in text)
    shown = "".join(
        each
        for each in spaced
        if each not in _TURNS and unicodedata.category(each) not in {"Cc", "Cs"}
    )
    return both_ends(carriable(" ".join(shown.split())), length)


def _single(notice: Notice) -> Message:
    title = _titled(notice.source, _what_of(notice))
    lines = {
        "Job": notice.job_id,
        "Source": notice.source,
        "State": notice.state,
        "Status": notice.raw_status,
        "Progress": None if notice.progress is None else f"{notice.progress:g} %",
        "Message": notice.message,
        "Reason": notice.reason,
        "Detail": notice.detail,
        "Labels": ", ".join(f"{name}={value}" for name, value in notice.labels.items()),
        "Started": _time(notice.started_at),
        "Ended": _time(notice.ended_at),
        "Monitor": notice.monitor_id and f"{notice.monitor_id}, run {notice.run}",
    }
    return Message(
        id=notice.id,
        type=f"jobmonitor.{notice.event}",
        subject=notice.monitor_id or "job-monitor",
        time=notice.at,
        title=title,
        text=_joined(f"{name}: {one_line(text)}" for name, text in lines.items() if text),
        data=_data(notice),
    )


def _digest(notices: Sequence[Notice]) -> Message:
    first, number = notices[0], f"{len(notices):,}"
    same_event = len({notice.event for notice in notices}) == 1
    what = _OF_SEVERAL[first.event] if same_event else "{n} notices"
    states: Counter[str] = Counter(notice.state for notice in notices if notice.state)
    title = _titled(first.source, what.format(n=number))
    if same_event and first.event is Event.ENDED:
        title += ": " + ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    lines = [_listed(notice) for notice in notices[:_NAMED]]
    if len(notices) > _NAMED:
        lines.append(f"... and {len(notices) - _NAMED:,} more")
    ids = "\n".join(notice.id for notice in notices)
    return Message(
        id=f"digest/{hashlib.sha256(ids.encode()).hexdigest()[:32]}",
        type="jobmonitor.digest",
        subject=first.source or "job-monitor",
        time=max(notice.at for notice in notices),
        title=both_ends(title, _TITLE),
        text=_joined(lines),
        data={
            "event": first.event if same_event else None,
            "source": first.source,
            "count": len(notices),
            "states": dict(states),
            "notices": [_data(notice) for notice in notices[:DIGEST_LISTED]],
        },
    )


def _joined(lines: Iterable[str]) -> str:
    return both_ends("\n".join(lines), _TEXT)


def _titled(source: str | None, what: str) -> str:
    return one_line(f"{source}: {what}" if source else f"Job Monitor: {what}", _TITLE)


def _what_of(notice: Notice) -> str:
    job = one_line(notice.job_id or "", _TITLE // 2)
    if notice.event is Event.ENDED:
        return f"{job} {notice.state}"
    if notice.event is Event.PROGRESS:
        return f"{job} is at {notice.progress or 0:g} %"
    if notice.event is Event.TROUBLE:
        return notice.detail or "trouble"
    return _OF_ONE[notice.event].format(job=job)


def _listed(notice: Notice) -> str:
    """A notice as a line of a digest."""
    why = notice.reason or notice.detail or notice.message
    state = f" {notice.state}" if notice.event is Event.ENDED else ""
    line = f"- {notice.job_id}{state}" + (f": {why}" if why else "")
    return one_line(line, _TITLE)  # 20 of them are as long as a text may be


def _data(notice: Notice) -> dict[str, object]:
    return {
        name: both_ends(value, _DATUM) if isinstance(value, str) else value
        for name, value in notice.to_wire().items()
    }


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""
