"""The configured channels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.errors import ChannelDisabled, Fault, NoSuchChannel
from domain.notices.channel import Channel
from domain.notices.notice import Notice


@dataclass(frozen=True)
class Channels:
    """The configured channels.

    Attributes:
        by_name: Those that can be used.
        disabled: The faults of those that can't be used, by their names.
    """

    by_name: Mapping[str, Channel] = field(default_factory=dict)
    disabled: Mapping[str, Sequence[Fault]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of all."""
        return [*self.by_name, *self.disabled]

    def get(self, name: str) -> Channel:
        """The named channel; raises NoSuchChannel, or ChannelDisabled if it is faulty."""
        if name in self.disabled:
            raise ChannelDisabled(name, self.disabled[name])
        if name not in self.by_name:
            raise NoSuchChannel
        return self.by_name[name]

    def takers(self, names: Iterable[str], notice: Notice) -> list[str]:
        """Those of the named channels that take a notice.

        A faulty channel takes all: its filter is asked once the channel can be used.
        """
        return [
            name
            for name in names
            if name in self.disabled
            or (name in self.by_name and self.by_name[name].filter.takes(notice))
        ]

    def disabling(self, faults: Mapping[str, Sequence[Fault]]) -> "Channels":
        """These channels without the ones that have faults which their files do not show."""
        left = {name: channel for name, channel in self.by_name.items() if name not in faults}
        return replace(self, by_name=left, disabled={**self.disabled, **faults})
