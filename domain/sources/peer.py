"""A party that the app talks to over HTTP: a source, or the receiver of a channel."""

import base64
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, SecretStr

from domain.sources import redaction
from domain.sources.auth import Auth, BasicAuth, BearerAuth, HeaderAuth, NoAuth, Table


class HttpLimits(Table):
    """How a party is talked to.

    Attributes:
        timeout_seconds: The time for a whole exchange.
        max_answer_bytes: The size of an answer after decompression; a longer one is not read.
        follow_redirects: The HTTP statuses that are followed, within the origin. A 303 is an
            answer.
        ca_file: The certificates that are trusted, in PEM, in the place of the usual ones.
        client_certificate: The app's own certificate, in PEM; with its key, unless that is apart.
        client_key: The key of that certificate. Files are named from the app's folder.
    """

    timeout_seconds: float = Field(default=10, ge=0.1, le=60)
    max_answer_bytes: int = Field(default=1 << 20, ge=1, le=16 << 20)
    follow_redirects: tuple[Literal[301, 302, 303, 307, 308], ...] = (301, 302, 307, 308)
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """The files that are named, by their keys."""
        named = {key: getattr(self, key) for key in ("ca_file", "client_certificate", "client_key")}
        return {key: name for key, name in named.items() if name}


class Party(Table):
    """A party with secrets: no text that people see repeats them.

    Attributes:
        name: As the configuration names it.
    """

    name: str

    _settings: tuple[str, ...] = PrivateAttr(())  # the app settings that the table took

    def model_post_init(self, context: Any) -> None:
        """Keep the app settings of the table, which only the reader of the file knows."""
        self._settings = tuple((context or {}).get("settings", ()))

    def hidden(self) -> Iterator[str]:
        """The secrets."""
        yield from ()

    def redact(self, text: str) -> str:
        """The text with *** for every secret of this party that it repeats."""
        return redaction.redact(text, {*self.hidden()})


class Peer(Party):
    """A party that the app talks to over HTTP.

    Attributes:
        auth: The credentials that go with each request.
        http: The limits of each exchange.
    """

    auth: Annotated[Auth, Field(discriminator="kind")] = NoAuth()
    http: HttpLimits = HttpLimits()

    def auth_headers(self) -> dict[str, str]:
        """The headers that carry the credentials, where the configuration holds them."""
        match self.auth:
            case BearerAuth(token=token):
                return {"Authorization": f"Bearer {token.get_secret_value()}"}
            case HeaderAuth(name=name, value=value):
                return {name: value.get_secret_value()}
            case BasicAuth(username=username, password=password):
                pair = f"{username}:{password.get_secret_value()}".encode()
                return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            case _:
                return {}

    def hidden(self) -> Iterator[str]:
        """The secrets of the credentials."""
        yield from (each.get_secret_value() for _, each in self.auth if isinstance(each, SecretStr))
        yield from (value.partition(" ")[2] for value in self.auth_headers().values())
