"""Matrix: a homeserver with two users and a room. The app writes there as one, by Apprise."""

from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

from tools.systems.installing import venv
from tools.systems.system import Receiver, Server

_API = "/_matrix/client/v3"
_SECRET = "of-this-run-alone"  # noqa: S105
_PASSWORD = "s3cret-word"  # noqa: S105
_CONFIGURATION = """
server_name: localhost
listeners:
  - port: {port}
    type: http
    bind_addresses: ["127.0.0.1"]
    resources: [{{names: [client]}}]
database: {{name: sqlite3, args: {{database: {folder}/homeserver.db}}}}
media_store_path: {folder}/media
signing_key_path: {folder}/signing.key
registration_shared_secret: {secret}
macaroon_secret_key: {secret}
form_secret: {secret}
report_stats: false
trusted_key_servers: []
suppress_key_server_warning: true
"""


class _Homeserver(Server):
    name = "Matrix homeserver"
    path = "/_matrix/client/versions"

    def command(self) -> list[str]:
        file = self.system.folder / "homeserver.yaml"
        values = {"port": self.ports[0], "folder": self.system.folder, "secret": _SECRET}
        file.write_text(_CONFIGURATION.format(**values))
        run = [self.program("python"), "-m", "synapse.app.homeserver", "-c", str(file)]
        self.system.run(*("python", *run[1:], "--generate-keys"))
        return run


class Matrix(Receiver):
    """Synapse, a homeserver of Matrix."""

    name = "matrix"
    _room: dict[str, Any]

    def install(self) -> None:
        self.programs = venv("matrix")

    def start(self, started: ExitStack) -> None:
        self.url = started.enter_context(_Homeserver(self)).url
        for user in ("monitor", "ann"):
            rights = ("--no-admin", "-k", _SECRET, self.url)
            self.run("register_new_matrix_user", "-u", user, "-p", _PASSWORD, *rights)
        who = {"type": "m.id.user", "user": "ann"}
        login = {"type": "m.login.password", "identifier": who, "password": _PASSWORD}
        token = self.ask("POST", f"{_API}/login", login)["access_token"]
        self.send_headers({"Authorization": f"Bearer {token}"})
        wanted = {"preset": "public_chat", "room_alias_name": "ops"}
        self._room = self.ask("POST", f"{_API}/createRoom", wanted)

    def version(self) -> str:
        return self.run("python", "-c", "import synapse; print(synapse.__version__)").split()[0]

    def channel(self) -> tuple[str, str]:
        place = self.url.removeprefix("http://")
        url = f"matrix://monitor:{_PASSWORD}@{place}/{quote('#ops:localhost')}"
        return 'kind = "apprise"\nurl = "${RECEIVER_URL}"', url

    def received(self) -> list[str]:
        room = quote(self._room["room_id"])
        events = self.ask("GET", f"{_API}/rooms/{room}/messages?dir=b&limit=20")["chunk"]
        return [each["content"]["body"] for each in events if each["type"] == "m.room.message"]
