"""The errors that Job Monitor raises on purpose.

JobMonitorError
|-- Faults                    names every fault at once
|   |-- InvalidInput          the request is wrong; HTTP 400, nothing changed
|   `-- ConfigurationFault    job_sources.toml or an app setting is wrong
|       |-- SourceDisabled    one source is wrong; the others are not
|       `-- ChannelDisabled   one channel is wrong; the others are not
|-- SourcesUnreachable        the place of the sources' files can't be read; the last ones stay
|-- BodyTooLarge              the request is too long to be read; HTTP 413
|-- NoSuchMonitor             no monitor has that id; HTTP 404
|-- NoSuchSource              no source has that name; HTTP 404
|-- NoSuchChannel             no channel has that name; HTTP 404
|-- Unauthenticated           nobody knows who asks; HTTP 401
|-- Forbidden                 who asks has not the role; HTTP 403
|-- SourceRefused             the job system did not take the job
`-- StoreUnavailable          Table storage or the task hub did not answer; try again later
"""

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: where, and what."""

    where: str
    what: str


class JobMonitorError(Exception):
    """The root of this app's own errors."""


class Faults(JobMonitorError):
    """An error that names every fault at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.where}: {fault.what}" for fault in faults))


class InvalidInput(Faults):
    """A request that can't be taken; each fault names a field."""


class ConfigurationFault(Faults):
    """A configuration that can't be used; each fault names file, table and key, or a setting."""


class SourceDisabled(ConfigurationFault):
    """A source that can't be used for its faults.

    Attributes:
        source: Its name.
        what: It in words.
    """

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.source, self.what = source, f"source {source}"


class ChannelDisabled(ConfigurationFault):
    """A channel that can't be used for its faults.

    Attributes:
        channel: Its name.
        what: It in words.
    """

    def __init__(self, channel: str, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.channel, self.what = channel, f"channel {channel}"


class SourcesUnreachable(JobMonitorError):
    """The place of the sources' files can't be read; the text is safe to show."""


class BodyTooLarge(JobMonitorError):
    """A request is too long to be read; the text says the limit."""


class NoSuchMonitor(JobMonitorError):
    """No monitor has that id."""


class NoSuchSource(JobMonitorError):
    """No source has that name."""


class NoSuchChannel(JobMonitorError):
    """No channel has that name."""


class Unauthenticated(JobMonitorError):
    """The platform has not checked who asks; the text says why."""


class Forbidden(JobMonitorError):
    """Who asks has not the role that is needed; the text names it."""


class SourceRefused(JobMonitorError):
    """The job system did not start the job; the text is safe to show.

    Attributes:
        may_run: Whether the job may have been started all the same.
    """

    def __init__(self, text: str, *, may_run: bool = False) -> None:
        super().__init__(text)
        self.may_run = may_run


class StoreUnavailable(JobMonitorError):
    """Table storage or the task hub did not answer, or refused; the text is safe to show."""
