"""Mail at real SMTP servers, good and hostile ones."""

import contextlib
import email
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from adapters import channels, mail
from adapters.channels import Sender
from adapters.tokens import Tokens
from domain.notices.channel import Channel, EmailChannel
from domain.notices.message import message_of
from domain.notices.notice import Delivery, Event, Message, Notice
from domain.sources.file import read_sources
from tests.certificates import self_signed, serving

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSWORD = "correct horse battery"  # noqa: S105


def message(**facts: Any) -> Message:
    base = {"id": "demo.a/1/2", "event": Event.ENDED, "at": AT, "source": "demo", "job_id": "a"}
    more = {"monitor_id": "demo.a", "run": 1, "state": "Failed"}
    return message_of([Notice.model_validate({**base, **more, **facts})])


def channel(port: int, more: str = 'tls = "none"') -> Channel:
    text = f"""
    [channels.ops]
    kind = "email"
    host = "127.0.0.1"
    port = {port}
    from = "Job Monitor <monitor@x.example>"
    to = ["ops@x.example", "Ann Ops <ann@x.example>"]
    {more}
    """
    read = read_sources({"channels.toml": text}, {"PASSWORD": PASSWORD})
    assert read.all_faults == []
    return read.channels.by_name["ops"]


def sent(to: Channel, what: Message | None = None) -> Delivery:
    return Sender(Tokens(), now=lambda: AT).send(to, what or message())


class Inbox:
    """Takes all mail but that to the refused addresses."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 5.1.1 no {address} here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 queued"

    def mail(self) -> EmailMessage:
        """The only mail."""
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        found = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


@contextlib.contextmanager
def serving_mail(inbox: Inbox, **options: Any) -> Iterator[int]:
    """The port of a server."""
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def authenticator(
    server: Any, session: Any, envelope: Any, mechanism: str, data: Any
) -> AuthResult:
    good = (data.login, data.password) == (b"monitor", PASSWORD.encode())
    return AuthResult(success=good, handled=False)


LOGIN = 'username = "monitor"\npassword = "${PASSWORD}"\n'


def test_a_mail_has_all_that_it_needs() -> None:
    inbox = Inbox()
    with serving_mail(inbox) as port:
        assert sent(channel(port)) == Delivery(delivered=True, detail="sent")
    found = inbox.mail()
    assert inbox.envelopes[0].mail_from == "monitor@x.example"
    assert inbox.envelopes[0].rcpt_tos == ["ops@x.example", "ann@x.example"]
    assert found["Subject"] == "demo: a Failed"
    assert found["From"] == "Job Monitor <monitor@x.example>"
    assert found["To"] == "ops@x.example, Ann Ops <ann@x.example>"
    assert found["Date"].datetime == AT
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].endswith("@x.example>")
    assert found.get_content().splitlines()[:3] == ["demo: a Failed", "", "Job: a"]


def test_mails_of_one_monitor_are_a_thread_and_a_repeated_one_has_its_id() -> None:
    to = channel(25)
    assert isinstance(to, EmailChannel)
    first, again, later = (
        mail.mail_of(to, each, AT) for each in (message(), message(), message(id="demo.a/1/3"))
    )
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == later["References"]


@pytest.mark.parametrize("field", ["job_id", "message", "reason"])
@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: evil@x.example\r\n\r\n.\r\nQUIT",
        "x\n.\nMAIL FROM:<evil@x.example>",
        "\u202e\u2028\U0001f600 gr\u00fc\u00dfe",
        "x" * 1_000_000,
        "=?utf-8?q?=0D=0ABcc:_evil@x.example?=",
    ],
    ids=["header", "command", "signs", "long", "encoded"],
)
def test_no_text_of_a_job_makes_a_header_or_a_command(field: str, text: str) -> None:
    inbox = Inbox()
    with serving_mail(inbox) as port:
        assert sent(channel(port), message(**{field: text})).delivered
    found = inbox.mail()
    assert inbox.envelopes[0].rcpt_tos == ["ops@x.example", "ann@x.example"]
    assert (found["Bcc"], found["Cc"]) == (None, None)
    content = inbox.envelopes[0].content
    assert isinstance(content, bytes)
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()
    assert len(found["Subject"]) <= 200
    shown = str(found["Subject"]) + found.get_content().replace("\r\n", "")
    assert not set(shown) & {"\u202e", "\u2028", "\r", "\n"}


def test_a_server_with_starttls_gets_the_password_after_it(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "server.pem")
    inbox = Inbox()
    options = {
        "tls_context": serving(pem),
        "require_starttls": True,
        "auth_required": True,
        "authenticator": authenticator,
    }
    with serving_mail(inbox, **options) as port:
        trusted = f'{LOGIN}ca_file = "{pem}"'
        assert sent(channel(port, trusted)).delivered
        untrusted = sent(channel(port, LOGIN))
        assert not untrusted.delivered
        assert "certificate" in untrusted.detail.lower()
        wrong = sent(channel(port, f'{LOGIN.replace("monitor", "other")}ca_file = "{pem}"'))
        assert wrong.detail.startswith("SMTP 535: ")
    assert len(inbox.envelopes) == 1


def test_implicit_tls(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "server.pem")
    inbox = Inbox()
    with serving_mail(inbox, ssl_context=serving(pem)) as port:
        assert sent(channel(port, f'tls = "implicit"\nca_file = "{pem}"')).delivered
    assert len(inbox.envelopes) == 1


def test_without_starttls_nothing_is_sent() -> None:
    inbox = Inbox()
    with serving_mail(inbox) as port:
        found = sent(channel(port, LOGIN))
    assert (found.delivered, inbox.envelopes) == (False, [])
    assert "STARTTLS" in found.detail


def test_addresses_that_are_refused_are_told() -> None:
    inbox = Inbox("ann@x.example")
    with serving_mail(inbox) as port:
        found = sent(channel(port))
    assert (found.delivered, found.detail[:23]) == (True, "sent to 1 of 2: SMTP 55")
    inbox.refused = ("ann@x.example", "ops@x.example")
    with serving_mail(inbox) as port:
        found = sent(channel(port))
    assert (found.delivered, found.detail[:33]) == (False, "no address was taken: SMTP 550: 5")


def hostile(greeting: bytes, *, drip: bool = False) -> tuple[int, threading.Event]:
    """The port of a server that says this and nothing more, until the event is set."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        with listener, listener.accept()[0] as peer, contextlib.suppress(OSError):
            peer.sendall(greeting)
            while drip and not done.wait(0.02):
                peer.sendall(b"x")
            if not drip and greeting:
                return
            done.wait(5)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1]), done


@pytest.mark.parametrize(
    ("greeting", "detail"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no answer of an SMTP server: "),
        (b"554 go away, " + PASSWORD.encode() + b"\r\n", "SMTP 554: go away, ***"),
        (b"220 " + b"x" * 100_000 + b"\r\n", "SMTP 500: Line too long."),
        (b"220 hello\r\n", "the connection failed: Connection unexpectedly closed"),
    ],
)
def test_a_hostile_server_is_an_outcome(greeting: bytes, detail: str) -> None:
    port, done = hostile(greeting)
    found = sent(channel(port, f'tls = "none"\n{LOGIN}'))
    done.set()
    assert not found.delivered
    assert found.detail.startswith(detail)


def test_a_server_that_drips_holds_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "SECONDS", 0.2)
    port, done = hostile(b"220-", drip=True)
    sender, to = Sender(Tokens()), channel(port)
    first, second = sender.send(to, message()), sender.send(to, message())
    assert first.detail == "no end within 0.2 s; it may arrive all the same"
    assert second.detail == "the attempt before has not ended yet"
    done.set()
    for thread in threading.enumerate():
        if thread.name == "channel":
            thread.join(5)
    assert sender.send(to, message()).detail.startswith("the connection failed")


def test_a_mail_that_arrived_late_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "SECONDS", 0.0)
    inbox = Inbox()
    sender = Sender(Tokens())
    with serving_mail(inbox) as port:
        first = sender.send(channel(port), message())
        for thread in threading.enumerate():
            if thread.name == "channel":
                thread.join(5)
        again = sender.send(channel(port), message())
    assert (first.delivered, again.delivered, len(inbox.envelopes)) == (False, True, 1)
