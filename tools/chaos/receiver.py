"""The receiver of two channels. It checks signatures, records what comes in, and breaks as well.

While things are broken, some requests get no proper answer, and now and then the whole receiver is
gone for some seconds: its connections are cut, also those that wait for an answer.
"""

import asyncio
import base64
import json
import time
from random import Random
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tools.chaos.told import Arrival, Ended

ALL, BAD = "all", "bad"
"""The channels, by what they take."""

BAD_ENDS = ("Failed", "Lost", "Expired", "Unreachable")

_SECRET = "whsec_" + base64.b64encode(b"a secret of the chaos run alone.").decode()
_ANSWERS = {"204": 80, "slow": 5, "503": 6, "429": 3, "reset": 4, "hang": 2}
"""How often each answer comes while things are broken, of a hundred."""

_SLOW, _HANG = 1.0, 12.0  # seconds; an attempt takes 10 at the most
_UP, _DOWN = (6.0, 20.0), (0.5, 5.0)  # seconds between two breaks, and of one

_CHANNELS = """
[channels.{all}]
kind = "webhook"
url = "{url}/{all}"
secrets = ["{secret}"]
[channels.{bad}]
kind = "webhook"
url = "{url}/{bad}"
secrets = ["{secret}"]
filter = {{ events = ["ended"], states = {states} }}
"""


class Receiver:
    """Serves on this loop.

    Attributes:
        arrivals: The messages that came in.
        refused: Those whose signature is wrong.
        kills: When the receiver was killed.
    """

    def __init__(self, rng: Random) -> None:
        self.arrivals: list[Arrival] = []
        self.refused: list[str] = []
        self.kills: list[float] = []
        self._rng, self._broken = rng, False
        self._webhook = Webhook(_SECRET)
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Receiver":
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kill()

    @property
    def channels(self) -> str:
        """The tables that describe the channels."""
        url = f"http://127.0.0.1:{self._port}"
        names = {"all": ALL, "bad": BAD, "states": json.dumps(BAD_ENDS)}
        return _CHANNELS.format(url=url, secret=_SECRET, **names)

    async def break_until(self, end: float) -> None:
        """Break now and then until that time; all is well afterwards."""
        self._broken = True
        while (left := end - time.time()) > 0:
            await asyncio.sleep(min(left, self._rng.uniform(*_UP)))
            await self._kill()
            self.kills.append(time.time())
            await asyncio.sleep(self._rng.uniform(*_DOWN))
            await self._start()
        self._broken = False

    async def _start(self) -> None:
        app = web.Application(client_max_size=16 * 1024**2)
        app.add_routes([web.post("/{channel}", self._take)])
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _kill(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            self.refused.append(f"{request.path}: {error}")
            return web.Response(status=401)
        weights = _ANSWERS if self._broken else {"204": 1}
        answer = self._rng.choices(list(weights), list(weights.values()))[0]
        arrival = _arrival(request.match_info["channel"], answer, json.loads(body))
        self.arrivals.append(arrival)
        match answer:
            case "slow":
                await asyncio.sleep(_SLOW)
            case "hang":
                await asyncio.sleep(_HANG)
            case "reset" if request.transport:
                request.transport.abort()
            case "503":
                return web.Response(status=503)
            case "429":
                return web.Response(status=429, headers={"Retry-After": "1"})
        arrival.answered_at = time.time()
        return web.Response(status=204)


def _arrival(channel: str, answer: str, event: dict[str, Any]) -> Arrival:
    """A message as it is recorded: the ends that it tells of."""
    data = event["data"]
    those = data["notices"] if event["type"] == "jobmonitor.digest" else [data]
    ends = [
        Ended(each["id"], each["monitorId"], each["run"], each["state"])
        for each in those
        if each["event"] == "ended"
    ]
    return Arrival(time.time(), channel, answer, ends, data.get("count", 1) - len(those))
