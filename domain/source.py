"""A source: one configured job system, as its table in job_sources.toml describes it."""

import base64
import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from domain.expression import JmesPath
from domain.outcome import Outcome
from domain.source_url import template_faults, url_faults

_DAY = 86_400
_HEADER_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")
_SECRET = 4  # characters; a password "x" is a formality, and is in every other word
_QUERY_SECRET = 16  # characters; function keys and signatures have more, dates and formats fewer


def _header_text(secret: SecretStr) -> SecretStr:
    if not _HEADER_TEXT.fullmatch(secret.get_secret_value()):
        raise ValueError("must be ASCII text, without line breaks or spaces around it")
    return secret


HeaderSecret = Annotated[SecretStr, AfterValidator(_header_text)]
Statuses = tuple[str, ...]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )


class NoAuth(_Table):
    """The source asks for no credentials."""

    kind: Literal["none"] = "none"


class BearerAuth(_Table):
    """A token in the Authorization header."""

    kind: Literal["bearer"]
    token: HeaderSecret


class HeaderAuth(_Table):
    """A secret in a header of the source's own."""

    kind: Literal["header"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    value: HeaderSecret


class BasicAuth(_Table):
    """User name and password (RFC 7617), sent as UTF-8."""

    kind: Literal["basic"]
    username: Annotated[str, Field(pattern=r"^[^:]*$")]
    password: SecretStr


class _Endpoint(_Table):
    of_one_job: ClassVar[bool] = True
    url: str = Field(repr=False)  # its query may hold a key

    @field_validator("url")
    @classmethod
    def _fit(cls, url: str, info: ValidationInfo) -> str:
        allow_http = (info.context or {}).get("allow_http") is True
        faults = url_faults(url, allow_http=allow_http)
        faults += template_faults(url, of_one_job=cls.of_one_job)
        if faults:
            raise ValueError("; ".join(faults))
        return url

    def url_for(self, job_id: str) -> str:
        """The URL with the job id, percent-encoded; raises ValueError for "", "." and ".."."""
        if job_id in {"", ".", ".."}:  # as a path segment these would name another resource
            raise ValueError("a job id can't be empty, . or ..")
        return self.url.replace("{job_id}", quote(job_id, safe=""))


class StatusEndpoint(_Endpoint):
    """How to ask for a job, and where its answer says what."""

    method: Literal["GET", "POST"] = "GET"
    status: JmesPath
    progress: JmesPath | None = None
    message: JmesPath | None = None


class SubmitEndpoint(_Endpoint):
    """How to start a job, and where the answer says its id."""

    of_one_job = False
    method: Literal["POST", "PUT"] = "POST"
    job_id: JmesPath


class CancelEndpoint(_Endpoint):
    """How to cancel a job."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"


class Outcomes(_Table):
    """The source's raw statuses, exactly as it writes them, by what they mean."""

    running: Statuses = ()
    succeeded: Annotated[Statuses, Field(min_length=1)]
    failed: Statuses = ()
    cancelled: Statuses = ()

    @field_validator("running", "succeeded", "failed", "cancelled")
    @classmethod
    def _listed_once(cls, statuses: Statuses, info: ValidationInfo) -> Statuses:
        for outcome, others in info.data.items():  # the lists before this one
            for status in sorted({*statuses} & {*others}):
                raise ValueError(f'lists "{status}", and so does {outcome}')
        return statuses

    def outcome_of(self, raw_status: str) -> Outcome:
        """The outcome whose list holds the status, else UNRECOGNISED."""
        for outcome in (Outcome.RUNNING, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED):
            if raw_status in getattr(self, outcome.value):
                return outcome
        return Outcome.UNRECOGNISED


class HttpLimits(_Table):
    """Seconds for a whole exchange, and bytes of an answer after decompression."""

    timeout_seconds: float = Field(default=10, ge=0.1, le=60)
    max_answer_bytes: int = Field(default=1 << 20, ge=1, le=16 << 20)


class Source(_Table):
    """One configured job system; times are in seconds."""

    name: str
    description: str = ""
    allow_http: StrictBool = False
    poll_interval_seconds: int = Field(default=60, ge=1, le=_DAY)
    timeout_seconds: int = Field(default=_DAY, ge=1, le=366 * _DAY)
    on_expiry: Literal["leave", "cancel"] = "leave"
    status: StatusEndpoint
    submit: SubmitEndpoint | None = None
    cancel: CancelEndpoint | None = None
    outcomes: Outcomes
    auth: NoAuth | BearerAuth | HeaderAuth | BasicAuth = Field(NoAuth(), discriminator="kind")
    http: HttpLimits = HttpLimits()

    def auth_headers(self) -> dict[str, str]:
        """The headers that carry the credentials."""
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

    def redact(self, text: str) -> str:
        """The text with *** for every credential of this source that it repeats."""
        secrets = {
            value.get_secret_value() for _, value in self.auth if isinstance(value, SecretStr)
        }
        secrets |= {value.partition(" ")[2] for value in self.auth_headers().values()}
        for endpoint in filter(None, (self.status, self.submit, self.cancel)):
            for pair in urlsplit(endpoint.url).query.split("&"):
                value = pair.partition("=")[2]
                if len(value) >= _QUERY_SECRET:
                    secrets |= {value, unquote(value)}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SECRET:
                text = text.replace(secret, "***")
        return text
