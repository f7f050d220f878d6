"""A channel: a configured way to tell people or programs, and which notices take it.

Its table in the sources' files is `[channels.NAME]`, and `kind` says how it tells.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StrictBool, ValidationInfo
from pydantic import field_validator as check
from pydantic import model_validator as check_all

from domain.notices.notice import Event, Notice
from domain.sources import redaction
from domain.sources.auth import Auth, HeaderAuth, HeaderSecret, ManagedIdentityAuth, Table
from domain.sources.expression import JmesPath
from domain.sources.peer import HttpLimits, Party, Peer
from domain.sources.request import Headers
from domain.sources.url import is_loopback, url_faults
from domain.state import State

SECONDS = 10.0
"""The longest time that one attempt to send a message takes."""

_ANSWER_BYTES = 4096  # of an answer only the status and some words are of use
_SECRET_IN_PATH = 16  # characters; the receivers that have no other secret have one there
_EVENTS = tuple(each for each in Event if each is not Event.PROGRESS)


class Filter(Table):
    """Which notices a channel takes; a part that is empty or missing takes all.

    Attributes:
        events: The occasions; the default leaves out progress.
        states: The final states whose `ended` it takes.
        sources: The job systems.
        labels: Names and values that a monitor must have, all of them.
    """

    events: tuple[Event, ...] = _EVENTS
    states: tuple[State, ...] = ()
    sources: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default={})

    @check("states")
    @classmethod
    def _of_ends(cls, states: tuple[State, ...], info: ValidationInfo) -> tuple[State, ...]:
        if State.MONITORING in states:
            raise ValueError(f"must hold final states only, and {State.MONITORING} is none")
        if states and Event.ENDED not in info.data.get("events", _EVENTS):
            raise ValueError(f"has no effect, for events does not hold {Event.ENDED}")
        return states

    def takes(self, notice: Notice) -> bool:
        """Whether a notice takes this channel."""
        if notice.event not in self.events:
            return False
        if notice.event is Event.ENDED and self.states and notice.state not in self.states:
            return False
        if notice.source is None:
            return True
        if self.sources and notice.source not in self.sources:
            return False
        return self.labels.items() <= notice.labels.items()


class Channel(Party):
    """A configured way to tell people or programs.

    Attributes:
        kind: How it tells.
        description: A word for people.
        filter: Which notices take it.
    """

    kind: str
    description: str = ""
    filter: Filter = Filter()

    @property
    def receiver(self) -> str:
        """The receiver as people may see it: no more than its host."""
        raise NotImplementedError


class ReceiverLimits(HttpLimits):
    """How the receiver of a channel is talked to. No redirect is followed."""

    timeout_seconds: float = Field(default=SECONDS, ge=0.1, le=SECONDS)
    max_answer_bytes: int = Field(default=_ANSWER_BYTES, ge=1, le=16 * _ANSWER_BYTES)
    follow_redirects: tuple[()] = ()


def _url(url: str, info: ValidationInfo) -> str:
    faults = url_faults(url, allow_http=(info.context or {}).get("allow_http") is True)
    if faults:
        raise ValueError("; ".join(faults))
    return url


class HttpChannel(Peer, Channel):
    """A channel whose messages are requests over HTTP."""

    allow_http: StrictBool = False
    url: Annotated[str, AfterValidator(_url)] = Field(repr=False)  # its path may hold a key
    http: ReceiverLimits = ReceiverLimits()

    @property
    def receiver(self) -> str:
        """The host of the URL."""
        return urlsplit(self.url).hostname or ""

    def hidden(self) -> Iterator[str]:
        """The secrets of the credentials and of the URL."""
        yield from super().hidden()
        yield from redaction.in_url(self.url, self._settings)
        parts = urlsplit(self.url)
        yield self.url
        for segment in parts.path.split("/"):
            if len(segment) >= _SECRET_IN_PATH:
                yield segment
                yield unquote(segment)


def _signing_secret(secret: SecretStr) -> SecretStr:
    prefix, _, text = secret.get_secret_value().partition("_")
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix != "whsec" or not 24 <= len(key) <= 64:  # noqa: PLR2004  the scheme says so
        raise ValueError("must be whsec_ and the Base64 of 24 to 64 bytes")
    return secret


SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]


class WebhookChannel(HttpChannel):
    """A POST for each message: a CloudEvent, or a JSON body of the receiver's own form.

    Attributes:
        secrets: The secrets that sign each message by the scheme of Standard Webhooks. During a
            rotation there are two, and two signatures.
        headers: Other headers.
        body: The JSON to send in the place of the CloudEvent, as an expression that sees the
            event.
    """

    kind: Literal["webhook"]
    secrets: Annotated[tuple[SigningSecret, ...], Field(max_length=2)] = ()
    headers: Headers = Field(default={}, repr=False)
    body: JmesPath | None = Field(default=None, repr=False)

    def hidden(self) -> Iterator[str]:
        """All secrets."""
        yield from super().hidden()
        yield from redaction.in_headers(self.headers, self._settings)
        for secret in self.secrets:
            yield secret.get_secret_value()
            yield secret.get_secret_value().partition("_")[2]
        if self.body:
            yield from (each for each in self._settings if each in self.body.text)


class EventGridChannel(HttpChannel):
    """A topic of Azure Event Grid that takes CloudEvents.

    Attributes:
        url: The topic's endpoint.
        key: An access key of the topic; without it, the app's identity is used.
        client_id: The user-assigned identity to use; without it, the app's own.
    """

    SCOPE: ClassVar[str] = "https://eventgrid.azure.net/.default"

    kind: Literal["event-grid"]
    key: HeaderSecret | None = None
    client_id: Annotated[str, Field(pattern=r"^[!-~]+$")] | None = None

    @check_all(mode="before")
    @classmethod
    def _credentials(cls, table: Any) -> Any:
        if isinstance(table, dict) and "auth" in table:
            raise ValueError("takes key or client_id in the place of auth")
        return table

    def model_post_init(self, context: Any) -> None:
        """Make the credentials of key or identity."""
        super().model_post_init(context)
        auth: Auth = ManagedIdentityAuth(
            kind="managed_identity", scope=self.SCOPE, client_id=self.client_id
        )
        if self.key:
            auth = HeaderAuth(kind="header", name="aeg-sas-key", value=self.key)
        object.__setattr__(self, "auth", auth)  # before anybody sees this


_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"
_ADDRESS = re.compile(rf"(?:[^<>\x00-\x1f\x7f]{{0,64}}<)?({_LOCAL}@[A-Za-z0-9.-]{{1,253}})>?")


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if not found or ("<" in text) != text.endswith(">"):
        raise ValueError("must be an address as name@example.com or Name <name@example.com>")
    return text


Address = Annotated[str, AfterValidator(_address)]


class EmailChannel(Channel):
    """Mail by SMTP.

    Attributes:
        host: The server.
        port: Its port; by default 587, or 465 for implicit TLS.
        tls: `starttls`, `implicit`, or `none`, which is for servers on this machine.
        username: For a server that asks for it, with `password`.
        from_: The sender's address.
        to: The receivers' addresses.
        ca_file: The certificates that are trusted, in PEM, in the place of the usual ones.
    """

    kind: Literal["email"]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]
    port: int | None = Field(default=None, ge=1, le=65_535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    from_: Address = Field(alias="from")
    to: Annotated[tuple[Address, ...], Field(max_length=50)]
    ca_file: str | None = None

    @check("to")
    @classmethod
    def _some(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        if not to:
            raise ValueError("must not be empty")
        return to

    @check_all(mode="after")
    def _sound(self) -> "EmailChannel":
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError("must have tls = starttls or implicit, if it is not this machine")
        if (self.username is None) != (self.password is None):
            raise ValueError("must have username and password, or neither")
        return self

    @property
    def receiver(self) -> str:
        """The server."""
        return self.host

    def hidden(self) -> Iterator[str]:
        """The password."""
        if self.password:
            yield self.password.get_secret_value()


_SCHEME = re.compile(r"([a-z][a-z0-9]*)://.+", re.DOTALL | re.IGNORECASE)


def _apprise_url(url: SecretStr) -> SecretStr:
    if not _SCHEME.fullmatch(url.get_secret_value()):
        raise ValueError("must be a URL of Apprise, like slack://...")
    return url


class AppriseChannel(Channel):
    """Any of the services that Apprise knows, by its URL.

    Attributes:
        url: The URL, as Apprise's documentation has it for each service.
    """

    kind: Literal["apprise"]
    url: Annotated[SecretStr, AfterValidator(_apprise_url)]

    @property
    def receiver(self) -> str:
        """The service alone: of its URL each part can be a secret."""
        found = _SCHEME.fullmatch(self.url.get_secret_value())
        return found[1].lower() if found else ""

    def hidden(self) -> Iterator[str]:
        """The URL, and each part of it that is long enough to be one."""
        url = self.url.get_secret_value()
        yield url
        yield from self._settings
        for part in re.split("[/?&=:@#+,]+", url.partition("://")[2]):
            yield part
            yield unquote(part)


AnyChannel = Annotated[
    WebhookChannel | EventGridChannel | EmailChannel | AppriseChannel, Field(discriminator="kind")
]

_KINDS: Mapping[object, type[Channel]] = {
    "webhook": WebhookChannel,
    "event-grid": EventGridChannel,
    "email": EmailChannel,
    "apprise": AppriseChannel,
}
KIND_FAULT = "must be webhook, event-grid, email or apprise"


def kind_of(table: Mapping[str, Any]) -> type[Channel] | None:
    """The class that reads a channel's table, None if its `kind` is none."""
    kind = table.get("kind")
    return _KINDS.get(kind) if isinstance(kind, str) else None
