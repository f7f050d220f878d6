"""Breaks the parts: at random moments the host is killed or the store goes away. Both come back.

The host gets SIGKILL. Azurite gets SIGTERM: it writes to disk every few seconds only, and after
SIGKILL it would forget writes that it has acknowledged. No storage account does that, so such a
loss would teach nothing. While Azurite stops and is down, it fails as a storage account may.
"""

import time
from dataclasses import dataclass
from threading import Event, Timer

from demo.azurite import Azurite
from demo.part import PartFailed
from demo.stack import Host
from tools.chaos.plan import Plan

_GRACE = 60.0  # seconds for Azurite to write all it has


@dataclass(frozen=True)
class Pace:
    """Seconds that a part lives between two breaks, at the least and at the most."""

    host: tuple[float, float] = (3, 14)
    azurite: tuple[float, float] = (10, 35)


class Breaker:
    """Breaks the parts until `stop` is set, in a thread for each."""

    def __init__(self, plan: Plan, azurite: Azurite, host: Host, pace: Pace) -> None:
        self._plan, self._azurite, self._host, self._pace = plan, azurite, host, pace
        self.stop = Event()
        self.kills: list[float] = []
        self.restarts = 0

    def kill_hosts(self) -> None:
        """Kill the host again and again, sometimes while it starts; it is dead at the end."""
        rng = self._plan.random("host")
        while not self.stop.wait(rng.uniform(*self._pace.host)):
            self._kill()
            self.stop.wait(rng.uniform(0, 2))
            early = rng.uniform(0.5, 2.5) if rng.random() < 0.25 else None
            while not self._start_host(early):
                early = None
        # Its last start is to be one with a store, for the watchdog to work then.
        self._kill()

    def _kill(self) -> None:
        self._host.kill()
        self.kills.append(time.time())  # not before: it may have sent a message meanwhile

    def _start_host(self, early: float | None) -> bool:
        """Whether it started; `early` is when it is killed meanwhile."""
        killer = Timer(early, self._kill) if early is not None else None
        if killer:
            killer.start()
        try:
            self._host.start()
        except PartFailed:
            if killer is None:
                raise
            return False
        finally:
            if killer:
                killer.join()
        return self._host.running

    def restart_azurite(self) -> None:
        """Stop and start Azurite again and again; it runs at the end."""
        rng = self._plan.random("azurite")
        while not self.stop.wait(rng.uniform(*self._pace.azurite)):
            self._azurite.stop(_GRACE)
            self.restarts += 1
            self.stop.wait(rng.uniform(0, 4))
            self._azurite.start()
