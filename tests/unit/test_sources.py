"""job_sources.toml: what is taken, and that every fault is named at its place and at once."""

from pathlib import Path

import pytest

from domain.errors import ConfigurationFault, InvalidInput
from domain.outcome import Outcome
from domain.sources.file import Sources, load_sources
from domain.sources.request import Request

MINIMAL = """
[sources.demo.status]
url = "https://jobs.example/jobs/{job_id}"
status = "status"
[sources.demo.outcomes]
succeeded = ["done"]
"""


def faults_of(text: str, **settings: str) -> dict[str, str]:
    """The faults of a text, by place."""
    with pytest.raises(ConfigurationFault) as caught:
        load_sources(text, settings)
    return {
        fault.where.removeprefix("job_sources.toml "): fault.what for fault in caught.value.faults
    }


def with_line(after: str, line: str) -> str:
    """The minimal text with one line more."""
    assert after in MINIMAL
    return MINIMAL.replace(after, f"{after}\n{line}")


def with_url(url: str) -> str:
    return MINIMAL.replace("https://jobs.example/jobs/{job_id}", url)


def test_the_shipped_file_is_sound() -> None:
    text = Path("job_sources.toml").read_text(encoding="utf-8")
    demo = load_sources(text, {"DEMO_JOB_SERVICE_URL": "http://127.0.0.1:7072"}).get("demo")
    assert demo.status_request("a/b").url == "http://127.0.0.1:7072/jobs/a%2Fb"
    assert demo.submit is not None
    assert demo.cancel is not None
    assert demo.cancel_request("a").url == "http://127.0.0.1:7072/jobs/a/cancel"
    assert demo.auth_headers() == {}


def test_the_shipped_file_names_its_missing_setting_at_each_place() -> None:
    text = Path("job_sources.toml").read_text(encoding="utf-8")
    what = "needs the app setting DEMO_JOB_SERVICE_URL, which is not set"
    assert faults_of(text) == {
        "[sources.demo.status] url": what,
        "[sources.demo.submit] url": what,
        "[sources.demo.cancel] url": what,
    }


def test_defaults() -> None:
    source = load_sources(MINIMAL, {}).get("demo")
    assert (source.poll_interval_seconds, source.timeout_seconds) == (60, 86_400)
    assert (source.http.timeout_seconds, source.http.max_answer_bytes) == (10, 1_048_576)
    assert (source.status.method, source.submit, source.cancel) == ("GET", None, None)
    assert source.auth.kind == "none"


@pytest.mark.parametrize(
    ("after", "line", "place", "what"),
    [
        ("", "colour = 1", "colour", "is not known"),
        ("", 'default = "other"', "default", "must be the name of a source"),
        ("", "default = []", "default", "must be the name of a source"),
        ("", "[sources.Demo]", "[sources] Demo", "must be a name of 1 to 32"),
        ("", "[sources]\nx = 1", "[sources] x", "must be a table"),
        ("", "[sources.x]", "[sources.x] status", "is missing"),
        ("", "[sources.x]", "[sources.x] outcomes", "is missing"),
        ("", '[sources.x]\nname = "y"', "[sources.x] name", "is not known"),
        ("", "[sources.demo]\ncolour = 1", "[sources.demo] colour", "is not known"),
        ("", "[sources.demo]\nstatus = 1", "job_sources.toml", "is no TOML"),
        ("", "[sources.demo]\nsubmit = 1", "[sources.demo] submit", "must be a table"),
        (
            "",
            "[sources.demo]\npoll_interval_seconds = 0",
            "[sources.demo] poll_interval_seconds",
            "greater than or equal to 1",
        ),
        (
            "",
            "[sources.demo]\npoll_interval_seconds = 86401",
            "[sources.demo] poll_interval_seconds",
            "less than or equal to 86400",
        ),
        (
            "",
            "[sources.demo]\ntimeout_seconds = 31622401",
            "[sources.demo] timeout_seconds",
            "less than or equal to 31622400",
        ),
        ("", '[sources.demo]\nallow_http = "yes"', "[sources.demo] allow_http", "boolean"),
        (
            "",
            "[sources.demo.http]\ntimeout_seconds = nan",
            "[sources.demo.http] timeout_seconds",
            "finite",
        ),
        (
            "",
            "[sources.demo.http]\nmax_answer_bytes = 16777217",
            "[sources.demo.http] max_answer_bytes",
            "less than or equal to 16777216",
        ),
        ('status = "status"', 'method = "PUT"', "[sources.demo.status] method", "'GET' or 'POST'"),
        ('status = "status"', "progress = 3", "[sources.demo.status] progress", "be a string"),
        ('status = "status"', 'progress = "a["', "[sources.demo.status] progress", "column 3"),
        ('status = "status"', 'progress = ""', "[sources.demo.status] progress", "no JMESPath"),
        (
            'status = "status"',
            'message = "a[?nope(b)]"',
            "[sources.demo.status] message",
            "calls nope()",
        ),
        (
            'succeeded = ["done"]',
            'failed = ["done"]',
            "[sources.demo.outcomes] failed",
            'lists "done", and so does succeeded',
        ),
        (
            'succeeded = ["done"]',
            'failed = ["x", 3]',
            "[sources.demo.outcomes] failed[1]",
            "must be a valid string",
        ),
        (
            'succeeded = ["done"]',
            'failed = "x"',
            "[sources.demo.outcomes] failed",
            "must be a list",
        ),
        ("", "[sources.demo.auth]", "[sources.demo.auth] kind", "is missing"),
        ("", '[sources.demo.auth]\nkind = "s3cret"', "[sources.demo.auth] kind", "must be none"),
        ("", '[sources.demo.auth]\nkind = "bearer"', "[sources.demo.auth] token", "is missing"),
        (
            "",
            '[sources.demo.auth]\nkind = "none"\ntoken = "s3cret"',
            "[sources.demo.auth] token",
            "is not known",
        ),
        (
            "",
            '[sources.demo.auth]\nkind = "bearer"\ntoken = "s3cret\\n"',
            "[sources.demo.auth] token",
            "without line breaks",
        ),
        (
            "",
            '[sources.demo.auth]\nkind = "header"\nname = "X Y"\nvalue = "s3cret"',
            "[sources.demo.auth] name",
            "pattern",
        ),
        (
            "",
            '[sources.demo.auth]\nkind = "basic"\nusername = "a:b"\npassword = "s3cret"',
            "[sources.demo.auth] username",
            "pattern",
        ),
        (
            "",
            '[sources.demo.submit]\nurl = "https://jobs.example/jobs/{job_id}"\njob_id = "id"',
            "[sources.demo.submit] url",
            "must not hold {job_id}",
        ),
        (
            "",
            '[sources.demo.cancel]\nurl = "https://jobs.example/cancel"',
            "[sources.demo.cancel] url",
            "must hold {job_id}",
        ),
        ("", '[sources.demo]\non_expiry = "cancel"', "[sources.demo] on_expiry", "no cancel table"),
        (
            "",
            '[sources.demo]\non_expiry = "stop"',
            "[sources.demo] on_expiry",
            "'leave' or 'cancel'",
        ),
        (
            'succeeded = ["done"]',
            'unknown = "failed"',
            "[sources.demo.outcomes] unknown",
            "'unrecognised' or 'running'",
        ),
        ("", "[sources.demo]\nheaders = 1", "[sources.demo] headers", "must be a table"),
        (
            "",
            '[sources.demo.headers]\nX-Key = "s3cret\\n"',
            "[sources.demo.headers] X-Key",
            "without line breaks",
        ),
        ("", '[sources.demo.headers]\n"X Y" = "v"', "[sources.demo.headers] X Y", "no name"),
        ("", '[sources.demo.headers]\nHost = "v"', "[sources.demo.headers] Host", "can't be set"),
        (
            'status = "status"',
            'headers = { Content-Length = "1" }',
            "[sources.demo.status.headers] Content-Length",
            "can't be set",
        ),
        (
            "",
            """[sources.demo]
            auth = { kind = "basic", username = "me", password = "s3cret" }
            headers = { authorization = "Bearer s3cret" }""",
            "[sources.demo.headers] authorization",
            "is set by auth already",
        ),
        (
            'status = "status"',
            'headers = { x-key = "s3cret" }\n[sources.demo.auth]\nkind = "header"\nname = "X-Key"',
            "[sources.demo.status.headers] x-key",
            "is set by auth already",
        ),
        ('status = "status"', "body = {}", "[sources.demo.status] body", "can't be sent with GET"),
        (
            'status = "status"',
            'method = "POST"\nbody = { a = { b = "{job.x}" } }',
            "[sources.demo.status] body",
            "other than {job_id} and, as a whole value, {job_id:number} (at a.b)",
        ),
        (
            'status = "status"',
            'method = "POST"\nbody = { a = [1, { since = 2026-01-31 }] }',
            "[sources.demo.status] body",
            "holds a value that JSON does not have (at a[1].since)",
        ),
        (
            "",
            '[sources.demo.submit]\nurl = "https://jobs.example/{job.a[0]}"\njob_id = "id"',
            "[sources.demo.submit] url",
            "a placeholder other than {job.NAME}",
        ),
        (
            "",
            '[sources.demo.submit]\nurl = "https://{job.host}.example/"\njob_id = "id"',
            "[sources.demo.submit] url",
            "must hold {job.NAME}, in its path or query and nowhere else",
        ),
        (
            "",
            '[sources.demo.submit]\nurl = "https://jobs.example"\njob_id = "{job}"',
            "[sources.demo.submit] job_id",
            "is no JMESPath expression",
        ),
        (
            "",
            '[sources.demo.auth]\nkind = "managed_identity"',
            "[sources.demo.auth] scope",
            "is missing",
        ),
        (
            "",
            '[sources.demo.auth]\nkind = "managed_identity"\nscope = "a b"',
            "[sources.demo.auth] scope",
            "pattern",
        ),
        ("", '[sources.demo]\npreset = "x"', "[sources.demo] preset", "there are: none"),
        ("", "[sources.demo.parameters]", "[sources.demo] parameters", "is not known"),
    ],
)
def test_one_fault(after: str, line: str, place: str, what: str) -> None:
    if after:
        text = with_line(after, line)
    else:
        text = MINIMAL + line if line.startswith("[") else f"{line}\n{MINIMAL}"
    faults = faults_of(text)
    assert what in faults[place]
    assert "s3cret" not in str(faults)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://jobs.example/jobs", "must hold {job_id}"),
        ("https://{job_id}.example/jobs", "must hold {job_id}, in its path or query"),
        ("HTTPS://{job_id}.example/jobs", "must hold {job_id}, in its path or query"),
        ("https://{job_id}/jobs/{job_id}", "in its path or query and nowhere else"),
        ("https://jobs.example#{job_id}", "must not have a fragment"),
        ("https://jobs.example/{job_id}/{run}", "a placeholder other than {job_id}"),
        ("https://jobs.example/{job_id}/}", "a placeholder other than {job_id}"),
        ("https://me:s3cret@jobs.example/{job_id}", "must not hold a user name"),
        ("ftp://jobs.example/{job_id}", "must be an http or https URL"),
        ("jobs.example/{job_id}", "must be an http or https URL"),
        ("https:///{job_id}", "must be an http or https URL"),
        ("https://jobs.example:x/{job_id}", "must be an http or https URL"),
        ("https://[::1/{job_id}", "must be an http or https URL"),
        ("https://jobs.example/a b/{job_id}", "must be an http or https URL"),
        ("https://jobs.example\\\\@127.0.0.1/{job_id}", "must be an http or https URL"),
        ("https://jöbs.example/{job_id}", "must be an http or https URL"),
        ("http://jobs.example/{job_id}", "allow_http = true"),
        ("http://128.0.0.1/{job_id}", "allow_http = true"),
        ("http://localhost.example/{job_id}", "allow_http = true"),
        ("http://127.0.0.1.example/{job_id}", "allow_http = true"),
    ],
)
def test_unfit_url(url: str, what: str) -> None:
    faults = faults_of(with_url(url))
    assert what in faults.pop("[sources.demo.status] url")
    assert faults == {}
    assert "s3cret" not in what


def test_a_url_tells_all_its_faults_and_not_itself() -> None:
    what = faults_of(with_url("http://me:s3cret@jobs.example/"))["[sources.demo.status] url"]
    assert what.count(";") == 3  # user name (its text holds one), http, {job_id}
    assert "jobs.example" not in what
    assert "s3cret" not in what


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/{job_id}",
        "http://127.9.9.9/{job_id}",
        "http://localhost/{job_id}",
        "http://[::1]:80/{job_id}",
        "https://jobs.example?id={job_id}",
        "https://jobs.example/{job_id}/of/{job_id}?api-version=1",
    ],
)
def test_fit_url(url: str) -> None:
    assert load_sources(with_url(url), {}).get(None).status.url == url


def test_plain_http_when_allowed() -> None:
    url = "http://jobs.example/{job_id}"
    text = f"{with_url(url)}\n[sources.demo]\nallow_http = true"
    assert load_sources(text, {}).get(None).status.url == url


def test_every_fault_at_once() -> None:
    text = """
    default = "none"
    [sources.a.status]
    url = "ftp://x/{job_id}"
    status = "a["
    [sources.a.outcomes]
    succeeded = []
    running = ["x"]
    failed = ["x"]
    [sources.b.status]
    url = "${B_URL}/{job_id}"
    stauts = "status"
    [sources.b.outcomes]
    succeeded = ["ok"]
    [sources.b.auth]
    kind = "bearer"
    token = "${B_TOKEN}"
    """
    assert list(faults_of(text, B_TOKEN="s3cret")) == [
        "default",
        "[sources.a.status] url",
        "[sources.a.status] status",
        "[sources.a.outcomes] succeeded",
        "[sources.a.outcomes] failed",
        "[sources.b.status] url",
        "[sources.b.status] status",
        "[sources.b.status] stauts",
    ]


@pytest.mark.parametrize("text", ["", "[sources]", "sources = 1"])
def test_no_source_at_all(text: str) -> None:
    assert "at least one table" in faults_of(text)["sources"]


def test_no_toml() -> None:
    with pytest.raises(ConfigurationFault, match=r"^my\.toml: is no TOML: .*line 3") as caught:
        load_sources("\na = [\n[sources]", {}, "my.toml")
    assert caught.value.faults[0].where == "my.toml"


def test_settings_fill_strings_once() -> None:
    text = with_url("https://${HOST}/{job_id}?key=${KEY}")
    settings = {"HOST": "jobs.example", "KEY": "a${HOST}b", "EVERY": "30"}
    place = "[sources.demo.status] url"
    assert "placeholder" in faults_of(text, **settings)[place]  # a setting is not filled again
    text = f'{text}\n[sources.demo]\npoll_interval_seconds = "${{EVERY}}"'
    source = load_sources(text, settings | {"KEY": "k"}).get("demo")
    assert source.status.url == "https://jobs.example/{job_id}?key=k"
    assert source.poll_interval_seconds == 30


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ('kind = "none"', {}),
        ('kind = "bearer"\ntoken = "${S}"', {"Authorization": "Bearer s3cret"}),
        ('kind = "header"\nname = "X-Key"\nvalue = "${S}"', {"X-Key": "s3cret"}),
        (
            'kind = "basic"\nusername = "jö"\npassword = "${S}"',
            {"Authorization": "Basic asO2OnMzY3JldA=="},
        ),
    ],
)
def test_auth(auth: str, headers: dict[str, str]) -> None:
    source = load_sources(f"{MINIMAL}\n[sources.demo.auth]\n{auth}", {"S": "s3cret"}).get(None)
    assert source.auth_headers() == headers
    assert "s3cret" not in repr(source)  # I9
    for value in headers.values():
        assert source.redact(f"<{value}>") in {"<***>", "<Bearer ***>", "<Basic ***>"}


def test_redact_knows_a_key_in_a_query() -> None:
    key = "0123456789abcde="
    source = load_sources(
        with_url(f"https://jobs.example/{{job_id}}?v=2026-01-01&code={key[:-1]}%3D"), {}
    ).get(None)
    assert source.redact(f"{key} or {key[:-1]}%3D, v=2026-01-01") == "*** or ***, v=2026-01-01"
    assert key[:-1] not in repr(source)


def two(default: str = "") -> Sources:
    return load_sources(default + MINIMAL + MINIMAL.replace("demo", "other"), {})


def test_get_by_name_by_default_or_the_only_one() -> None:
    assert two().get("other").name == "other"
    assert two('default = "other"').get(None).name == "other"
    assert two('default = "other"').get("demo").name == "demo"
    assert load_sources(MINIMAL, {}).get(None).name == "demo"


@pytest.mark.parametrize(("name", "what"), [(None, "is missing"), ("nope", "is not configured")])
def test_get_names_the_known_sources(name: str | None, what: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        two().get(name)
    (fault,) = caught.value.faults
    assert fault.where == "source"
    assert fault.what == f"{what}; it is one of: demo, other"


def test_statuses_are_compared_exactly() -> None:
    outcomes = (
        load_sources(
            with_line(
                'succeeded = ["done"]', 'running = ["run"]\nfailed = ["bad"]\ncancelled = ["off"]'
            ),
            {},
        )
        .get(None)
        .outcomes
    )
    seen = [outcomes.outcome_of(raw) for raw in ("run", "done", "bad", "off", "Done", "done ", "")]
    assert seen == [
        Outcome.RUNNING,
        Outcome.SUCCEEDED,
        Outcome.FAILED,
        Outcome.CANCELLED,
        Outcome.UNRECOGNISED,
        Outcome.UNRECOGNISED,
        Outcome.UNRECOGNISED,
    ]


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_job_ids_that_would_name_another_resource(job_id: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        load_sources(MINIMAL, {}).get(None).status_request(job_id)


WHOLE = """
[sources.demo]
on_expiry = "cancel"
[sources.demo.headers]
X-Tenant = "t"
Accept = "application/x"
[sources.demo.status]
method = "POST"
url = "https://jobs.example/search"
body = { ids = ["{job_id}"], n = "{job_id:number}" }
headers = { accept = "application/y" }
status = "status"
[sources.demo.submit]
method = "PUT"
url = "https://jobs.example/{job.kind}/{job.name}"
body = { spec = "{job.spec}", by = "watch over {job.name}" }
job_id = "{job.name}"
[sources.demo.cancel]
method = "DELETE"
url = "https://jobs.example/jobs/{job_id}"
[sources.demo.outcomes]
succeeded = ["done"]
unknown = "running"
[sources.demo.auth]
kind = "managed_identity"
scope = "https://jobs.example/.default"
client_id = "c-1"
"""


def test_whole_requests() -> None:
    source = load_sources(WHOLE, {}).get(None)
    assert source.on_expiry == "cancel"
    assert source.status_request("17") == Request(
        method="POST",
        url="https://jobs.example/search",
        headers={"X-Tenant": "t", "accept": "application/y"},
        body={"ids": ["17"], "n": 17},
    )
    common = {"X-Tenant": "t", "Accept": "application/x"}
    job = {"kind": "a/b", "name": "n 1", "spec": {"x": [1]}, "other": 1}
    assert source.submit_request(job) == (
        Request(
            method="PUT",
            url="https://jobs.example/a%2Fb/n%201",
            headers=common,
            body={"spec": {"x": [1]}, "by": "watch over n 1"},
        ),
        "n 1",
    )
    assert source.cancel_request("a/b") == Request(
        method="DELETE", url="https://jobs.example/jobs/a%2Fb", headers=common
    )
    assert source.auth_headers() == {}  # an adapter gets the token
    assert source.outcomes.outcome_of("?") is Outcome.RUNNING
    assert "n 1" not in repr(source.submit_request(job)[0])  # I9


def test_what_a_job_lacks_for_its_request_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_sources(WHOLE, {}).get(None).submit_request({"kind": ["x"]})
    assert {fault.where for fault in caught.value.faults} == {"job.kind", "job.name", "job.spec"}


@pytest.mark.parametrize("method", ["status", "cancel"])
def test_a_body_does_not_free_a_request_of_its_job_id(method: str) -> None:
    text = f"""{MINIMAL}
    [sources.other.{method}]
    method = "POST"
    url = "https://jobs.example/"
    body = {{ id = "job_id" }}
    """
    assert "must hold {job_id}" in faults_of(text)[f"[sources.other.{method}] url"]
