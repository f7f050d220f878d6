"""Azurite, the emulator of Azure Storage, as a part."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import requests

from demo.part import ROOT, Part, PartFailed, get
from demo.ports import LOCALHOST

_AZURITE = ROOT / "demo/node_modules/azurite/dist/src/azurite.js"

# Azurite's own account and its key are the same everywhere and printed in its manual. No secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azurite(Part):
    """The storage emulator; its ports are blob, queue and table.

    Azurite writes its data to disk every five seconds, and when it is stopped. `kill` loses the
    writes since then; `stop` loses none. Without a folder for its data it keeps them in memory.
    """

    name = "Azurite"
    port_count = 3

    def __init__(self, data: Path | None, log: Path, ports: Sequence[int] = ()) -> None:
        super().__init__(log, ports)
        self._data = data and data.resolve()

    def command(self) -> list[str]:
        """Node running Azurite, without its access log and its telemetry.

        By itself it closes a connection after five idle seconds, just when the next request may be
        on its way. Azure keeps connections for longer.
        """
        if not _AZURITE.exists():
            raise PartFailed("Azurite isn't installed. Run `npm ci` in demo/.")
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        for service, port in zip(("blob", "queue", "table"), self.ports, strict=True):
            options += [f"--{service}Host", LOCALHOST, f"--{service}Port", str(port)]
            options += [f"--{service}KeepAliveTimeout", "120"]
        where = ["--location", str(self._data)] if self._data else ["--inMemoryPersistence"]
        return [_node(), str(_AZURITE), *where, *options]

    def problem(self) -> str | None:
        """The table service is the last that Azurite starts."""
        try:
            answer = get(f"{self._endpoint(2)}/Tables")
        except requests.RequestException as error:
            return str(error)
        ours = answer.headers.get("Server", "").startswith("Azurite-Table/")
        return None if ours else "another program answers on its port"

    @property
    def connection_string(self) -> str:
        """The connection string, with the ports that are in use."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self._endpoint(0)};QueueEndpoint={self._endpoint(1)};"
            f"TableEndpoint={self._endpoint(2)};"
        )

    def _endpoint(self, index: int) -> str:
        return f"http://{LOCALHOST}:{self.ports[index]}/{ACCOUNT}"


def _node() -> str:
    # The program itself: a version manager's `node` may be a wrapper, and to kill the wrapper
    # would leave Azurite behind.
    try:
        found = subprocess.run(
            ["node", "-p", "process.execPath"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise PartFailed(f"Azurite needs Node 20 or later on the PATH: {error}") from error
    return found.stdout.strip()
