"""Mail by SMTP (RFC 5321).

The mails of one monitor are a thread, since each refers to the same id. The Message-ID follows from
the message's own id, so that mail programs show a mail that came twice once.
"""

import hashlib
import smtplib
import ssl
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from adapters.settings import APP_FOLDER
from domain.notices.channel import SECONDS, EmailChannel
from domain.notices.message import one_line
from domain.notices.notice import Delivery, Message

_PORTS = {"starttls": 587, "none": 25, "implicit": 465}
_POLICY = policy.SMTP.clone(cte_type="7bit")  # not every server takes 8 bits
_SUBJECT = 200


def send(channel: EmailChannel, message: Message, now: datetime) -> Delivery:
    """Send a message; each operation of the network has the time of a whole attempt."""
    port = channel.port or _PORTS[channel.tls]
    try:
        with _connected(channel, port) as server:
            if channel.username is not None and channel.password is not None:
                server.login(channel.username, channel.password.get_secret_value())
            refused = server.send_message(mail_of(channel, message, now))
    except smtplib.SMTPRecipientsRefused as error:
        reply = next(iter(error.recipients.values()))
        return Delivery(delivered=False, detail=f"no address was taken: {_reply(*reply)}")
    except smtplib.SMTPResponseException as error:
        detail = _reply(error.smtp_code, error.smtp_error)
        return Delivery(delivered=False, detail=detail)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Delivery(delivered=False, detail=_trouble(error))
    taken = len(channel.to) - len(refused)
    detail = "sent"
    if refused:
        detail = f"sent to {taken} of {len(channel.to)}: {_reply(*next(iter(refused.values())))}"
    return Delivery(delivered=True, detail=detail)


def mail_of(channel: EmailChannel, message: Message, now: datetime) -> EmailMessage:
    """The mail. No text of a job gets into a header but in the subject, as one line."""
    mail = EmailMessage(_POLICY)
    host = parseaddr(channel.from_)[1].rpartition("@")[2]
    # `=?` begins a text that the email package decodes (RFC 2047), line breaks and all.
    mail["Subject"] = one_line(message.title, _SUBJECT).replace("=?", "= ?")
    mail["From"] = channel.from_
    mail["To"] = ", ".join(channel.to)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = _id(message.id, host)
    mail["References"] = _id(message.subject, host)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note comes back
    lines = (one_line(line) for line in message.text.splitlines())
    mail.set_content("\n".join([one_line(message.title, _SUBJECT), "", *lines]))
    return mail


def _connected(channel: EmailChannel, port: int) -> smtplib.SMTP:
    if channel.tls == "none":
        return smtplib.SMTP(channel.host, port, timeout=SECONDS)
    trusted = str(APP_FOLDER / channel.ca_file) if channel.ca_file else None
    context = ssl.create_default_context(cafile=trusted)
    if channel.tls == "implicit":
        return smtplib.SMTP_SSL(channel.host, port, timeout=SECONDS, context=context)
    server = smtplib.SMTP(channel.host, port, timeout=SECONDS)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _id(text: str, host: str) -> str:
    return f"<{hashlib.sha256(text.encode()).hexdigest()[:32]}@{host}>"


def _reply(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    # smtplib's code for an answer without one is -1.
    return f"SMTP {code}: {text}" if code > 0 else f"no answer of an SMTP server: {text}"


def _trouble(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, smtplib.SMTPException):
        words = str(error)
    if isinstance(error, TimeoutError):
        words = f"no answer within {SECONDS:g} s"
    return f"the connection failed: {words or type(error).__name__}"
