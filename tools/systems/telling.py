"""Tells one receiver of jobs, and looks whether people see the messages there."""

from datetime import UTC, datetime

from adapters.channels import Sender
from adapters.tokens import Tokens
from domain.notices.message import message_of
from domain.notices.notice import Event, Notice
from domain.sources.file import read_sources
from tools.systems.system import Receiver
from tools.systems.watching import Line

_HOSTILE = "a\r\nb\u202e <b>c</b> @room \U0001f600"


def told(receiver: Receiver) -> Line:
    """Send a message about a job, and another that must be refused."""
    line = Line(receiver.name, receiver.version(), "a message", verdict="arrived")
    table, url = receiver.channel()
    at = datetime(2026, 1, 31, 8, tzinfo=UTC)
    facts = {"source": "demo", "job_id": "job-1", "state": "Failed", "message": _HOSTILE}
    message = message_of([Notice(id="demo.job-1/1/1", event=Event.ENDED, at=at, **facts)])
    for user, delivered in (("monitor", True), ("nobody", False)):
        settings = {"RECEIVER_URL": url.replace("monitor", user)}
        read = read_sources({"channels.toml": f"[channels.x]\n{table}"}, settings)
        outcome = Sender(Tokens()).send(read.channels.by_name["x"], message)
        line.expect(f"delivered as {user} ({outcome.detail})", outcome.delivered, delivered)
    seen = receiver.received()
    line.expect("the number of messages", len(seen), 1)
    for text in (message.title, message.text):
        if text not in "".join(seen):
            line.problems.append(f"{text!r} is not in {seen}")
    return line
