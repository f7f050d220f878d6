"""The job sources: the tables of job_sources.toml, checked whole before anything uses them.

1. The text is parsed as TOML, and `${NAME}` in a string becomes the app setting NAME.
2. Each [sources.NAME] table becomes a `Source`; the faults of one hide none of another.
3. All faults are raised at once. No fault repeats a URL or a credential.

A request never leaves the host that the file names: `{job_id}` may stand in path and query only.
"""

import base64
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit

import jmespath
from jmespath.functions import Functions
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from domain.errors import ConfigurationFault, Fault, InvalidInput
from domain.outcome import Outcome

_DAY = 86_400
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SETTING = re.compile(r"\$\{([^{}]*)\}")
_URL_TEXT = re.compile(r"[!-\[\]-~]+")  # no backslash: URL parsers differ in what it means
_HEADER_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")
_SECRET = 4  # characters; a password "x" is a formality, and is in every other word
_QUERY_SECRET = 16  # characters; function keys and signatures have more, dates and formats fewer

_Path = tuple[str | int, ...]
_WORDS = {  # pydantic's own words where they would puzzle, or repeat a value
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "tuple_type": "must be a list",
    "too_short": "must list at least one status",
    "union_tag_invalid": "must be none, bearer, header or basic",
    "union_tag_not_found": "is missing; it is none, bearer, header or basic",
}


class Expression:
    """A JMESPath expression, compiled once; threads may share it."""

    def __init__(self, text: str) -> None:
        """Compile the text; raises ValueError if it is no expression."""
        try:
            self._compiled = jmespath.compile(text)
        except jmespath.exceptions.JMESPathError as error:
            column = (getattr(error, "lex_position", None) or 0) + 1
            raise ValueError(f"is no JMESPath expression (see column {column})") from None
        for name in _functions(self._compiled.parsed):  # jmespath itself looks at the first poll
            if name not in Functions.FUNCTION_TABLE:
                raise ValueError(f"calls {name}(), which JMESPath does not have")
        self.text = text

    def search(self, document: object) -> Any:
        """What the expression selects, None for nothing; raises ValueError if it fails."""
        try:
            return self._compiled.search(document)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            # jmespath's own text quotes the document.
            raise ValueError(f"the expression {self.text} fails on this answer") from None


def _functions(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield node["value"]
    for child in node["children"]:
        if isinstance(child, dict):  # a slice has numbers as children
            yield from _functions(child)


def _compile(value: object) -> Expression:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004  pydantic reports ValueError only
    return Expression(value)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_faults(url: str, *, allow_http: bool) -> list[str]:
    """What makes a URL unfit for a request, in texts that do not repeat it."""
    try:
        parts = urlsplit(url)
        fit = parts.hostname and parts.port != 0 and _URL_TEXT.fullmatch(url)
    except ValueError:  # a port that is no number, half an IPv6 address
        fit = None
    if not fit or parts.scheme not in {"http", "https"}:
        return ["must be an http or https URL, in ASCII and without spaces"]
    faults = []
    if "@" in parts.netloc:
        faults.append("must not hold a user name or password; that is what auth is for")
    if parts.fragment:
        faults.append("must not have a fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        faults.append("must be https, or the source must say allow_http = true")
    return faults


def _template_faults(url: str, *, of_one_job: bool) -> list[str]:
    path_and_query = re.sub("^[A-Za-z]+://[^/?#]*", "", url)
    faults = []
    if re.search("[{}]", url.replace("{job_id}", "")):
        faults.append("has a placeholder other than {job_id}")
    if not of_one_job and "{job_id}" in url:
        faults.append("must not hold {job_id}: there is no job yet")
    elif of_one_job and not 0 < path_and_query.count("{job_id}") == url.count("{job_id}"):
        faults.append("must hold {job_id}, in its path or query and nowhere else")
    return faults


def _header_text(secret: SecretStr) -> SecretStr:
    if not _HEADER_TEXT.fullmatch(secret.get_secret_value()):
        raise ValueError("must be ASCII text, without line breaks or spaces around it")
    return secret


JmesPath = Annotated[Expression, BeforeValidator(_compile)]
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
        faults += _template_faults(url, of_one_job=cls.of_one_job)
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


@dataclass(frozen=True)
class Sources:
    """All configured sources by name, and the name of the one that serves when none is named."""

    by_name: Mapping[str, Source]
    default: str | None

    def get(self, name: str | None) -> Source:
        """The named source, else the default; raises InvalidInput that tells the known names."""
        known = ", ".join(self.by_name)
        name = name or self.default
        if name is None:
            raise InvalidInput([Fault("source", f"is missing; it is one of: {known}")])
        if name not in self.by_name:
            raise InvalidInput([Fault("source", f"is not configured; it is one of: {known}")])
        return self.by_name[name]


def load_sources(text: str, settings: Mapping[str, str], file: str = "job_sources.toml") -> Sources:
    """The sources in a TOML text; raises ConfigurationFault with every fault of the file."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationFault([Fault(file, f"is no TOML: {error}")]) from None
    faults = _FaultList(file)
    document = {key: _filled(value, (key,), settings, faults) for key, value in raw.items()}
    tables = document.pop("sources", None)
    if not isinstance(tables, dict) or not tables:
        faults.add(("sources",), "must hold at least one table [sources.NAME]")
        tables = {}
    default = document.pop("default", None)
    if default is not None and default not in [*tables]:
        faults.add(("default",), "must be the name of a source in this file")
    for key in document:
        faults.add((key,), "is not known")
    by_name = {name: _source(name, table, faults) for name, table in tables.items()}
    if faults.by_place:
        raise ConfigurationFault([Fault(*each) for each in faults.by_place.items()])
    return Sources(
        {name: source for name, source in by_name.items() if source},
        default or (next(iter(by_name)) if len(by_name) == 1 else None),
    )


def _filled(value: Any, path: _Path, settings: Mapping[str, str], faults: "_FaultList") -> Any:
    """The value with settings in the place of each `${NAME}`, at any depth."""
    match value:
        case dict():
            return {k: _filled(v, (*path, k), settings, faults) for k, v in value.items()}
        case list():
            return [_filled(v, (*path, i), settings, faults) for i, v in enumerate(value)]
        case str():
            missing = [name for name in _SETTING.findall(value) if name not in settings]
            for name in missing:
                faults.add(path, f"needs the app setting {name}, which is not set")
            # A setting's value is taken as it is: what looks like a ${NAME} in it stays.
            return value if missing else _SETTING.sub(lambda m: settings[m[1]], value)
        case _:
            return value


def _source(name: str, table: Any, faults: "_FaultList") -> Source | None:
    path = ("sources", name)
    if not _NAME.fullmatch(name):
        faults.add(path, "must be a name of 1 to 32 of a-z, 0-9 and -, a letter first")
    if not isinstance(table, dict):
        faults.add(path, "must be a table")
        return None
    if "name" in table:
        faults.add((*path, "name"), "is not known")
    try:
        return Source.model_validate(
            {**table, "name": name}, context={"allow_http": table.get("allow_http")}
        )
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            kind, loc, what = each["type"], each["loc"], each["msg"]
            if loc[0] == "auth":  # pydantic adds the kind to the path
                loc = ("auth", "kind") if kind.startswith("union_tag") else ("auth", *loc[2:])
            what = what.removeprefix("Value error, ").replace("Input should", "must")
            faults.add((*path, *loc), _WORDS.get(kind, what))
        return None


class _FaultList:
    """What is wrong, by place; of several faults in one place the first is the telling one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.by_place: dict[str, str] = {}

    def add(self, path: _Path, what: str) -> None:
        """Note a fault; the path ("sources", "demo", "status", "url") leads to its place."""
        last = max(i for i, part in enumerate(path) if isinstance(part, str))
        table = ".".join(str(part) for part in path[:last])
        key = str(path[last]) + "".join(f"[{number}]" for number in path[last + 1 :])
        place = f"{self._file} [{table}] {key}" if table else f"{self._file} {key}"
        self.by_place.setdefault(place, what)
