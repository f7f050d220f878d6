"""What the newest sweeps of this process are done with."""

from datetime import datetime

from domain.sources.page import Sight


class Handled:
    """The jobs that the newest sweeps are done with, by source.

    A list of what changed names a job as long as its change is within the overlap. Once all was
    done about what it told, the same again is no reason to read the row.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime | None, dict[str, int]]] = {}

    def of(self, source: str, hub_since: datetime | None) -> dict[str, int]:
        """A digest of each sight; of none in another task hub, since wakes were lost with that."""
        known_hub, known = self._known.get(source, (None, {}))
        return known if known_hub == hub_since else {}

    def keep(self, source: str, hub_since: datetime | None, digests: dict[str, int]) -> None:
        """Remember the sights of the newest sweep alone."""
        self._known[source] = (hub_since, digests)


def digest(sight: Sight) -> int:
    """A digest of a sight, for this process."""
    poll = sight.poll
    told = poll and (poll.outcome, poll.raw_status, poll.progress, poll.message)
    return hash((told, sight.updated))
