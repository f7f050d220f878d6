"""Apps and settings that the host refuses, each with a line that says why."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from devhost import timers
from devhost.app import App, load
from devhost.routing import route_of
from devhost.settings import AppError

HEADER = """
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"
"""


@pytest.fixture(autouse=True)
def _other_function_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test import a function_app of its own, and forget it."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "function_app", raising=False)


def app_of(folder: Path, code: str, **settings: str) -> Path:
    (folder / "function_app.py").write_text(code, encoding="utf-8")
    for name, content in settings.items():
        (folder / f"{name.replace('_', '.')}.json").write_text(content, encoding="utf-8")
    return folder


def refused(folder: Path) -> str:
    """The one line that the host says of an app; its schedules count."""
    try:
        with pytest.raises(AppError) as caught:
            timers.check(load(folder))
    finally:
        sys.modules.pop("function_app", None)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_folder_without_an_app(tmp_path: Path) -> None:
    assert "holds no function_app.py" in refused(tmp_path)
    assert "holds no function_app.py" in refused(tmp_path / "missing")


def test_a_module_without_an_app(tmp_path: Path) -> None:
    assert "Could not find top level function app instances" in refused(app_of(tmp_path, "x = 1\n"))


def test_two_functions_of_one_name(tmp_path: Path) -> None:
    second = '\n@app.route(route="other")\ndef hello(req): pass\n'
    said = refused(app_of(tmp_path, HEADER + second))
    assert "hello" in said
    assert "unique" in said


@pytest.mark.parametrize(
    "trigger", ["orchestration_trigger(context_name", "activity_trigger(input_name"]
)
def test_two_functions_whose_names_differ_in_case_alone(tmp_path: Path, trigger: str) -> None:
    """Callers could not tell them apart."""
    functions = "".join(
        f'@app.{trigger}="context")\ndef {name}(context): yield\n' for name in ("one", "One")
    )
    assert "'One'" in refused(app_of(tmp_path, HEADER + functions))


def loaded(folder: Path) -> App:
    try:
        return load(folder)
    finally:
        sys.modules.pop("function_app", None)


@pytest.mark.parametrize(
    ("code", "uses"),
    [
        ('@app.queue_trigger("m", "q", "c")\ndef other(m): pass\n', "queueTrigger"),
        ('@app.warm_up_trigger("m")\ndef other(m): pass\n', "warmupTrigger"),
        ('@app.event_grid_trigger("m")\ndef other(m): pass\n', "eventGridTrigger"),
        (
            '@app.entity_trigger(context_name="context")\ndef other(context): pass\n',
            "entityTrigger",
        ),
        (
            (
                '@app.activity_trigger("m")\n@app.queue_output("o", "q", "c")\n'
                "def other(m, o: func.Out[str]): pass\n"
            ),
            "queue",
        ),
        (
            (
                '@app.route(route="x")\n@app.blob_input("b", "p", "c")\n'
                "def other(req: func.HttpRequest, b: str) -> str: return b\n"
            ),
            "blob",
        ),
    ],
)
def test_a_function_that_is_not_served_is_left_out_by_name(
    tmp_path: Path, code: str, uses: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are served."""
    app = loaded(app_of(tmp_path, HEADER + code))
    said = f"Function other uses {uses}, which devhost does not serve."
    assert [line.message for line in caplog.records] == [f"{said} It is left out."]
    assert app.left_out == {"other": said}
    assert [f.name for f in app.of_kind("httpTrigger")] == ["hello"]
    assert not app.activities


def test_annotations_of_what_is_left_out_refuse_no_app(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Extensions of the worker take classes of their own there."""
    code = '@app.blob_trigger("b", "p", "c")\ndef other(b: dict[str, int]): pass\n'
    assert len(loaded(app_of(tmp_path, HEADER + code)).of_kind("httpTrigger")) == 1
    assert "The worker may refuse the other function" in caplog.text


@pytest.mark.parametrize("name", ["app", "myApp", "function_register"])
def test_the_app_may_have_any_name(tmp_path: Path, name: str) -> None:
    """As the worker takes it, which most published samples need."""
    code = HEADER.replace("@app", f"@{name}").replace("app =", f"{name} =")
    assert [f.name for f in loaded(app_of(tmp_path, code)).functions] == ["hello"]


def test_generic_triggers_are_served_by_their_types(tmp_path: Path) -> None:
    generic = (
        '@app.generic_trigger(arg_name="req", type="httpTrigger", route="odd/{id}")\n'
        '@app.generic_output_binding(arg_name="$return", type="http")\n'
        "def f(req: func.HttpRequest) -> str: return req.url\n"
        '@app.generic_trigger(arg_name="value", type="activityTrigger")\n'
        "def act(value: str) -> str: return value\n"
    )
    app = loaded(app_of(tmp_path, HEADER + generic))
    routes = [route_of("api", function) for function in app.of_kind("httpTrigger")]
    assert [(r.template, r.methods) for r in routes] == [
        ("/api/hello", frozenset()),
        ("/api/odd/{id}", frozenset()),
    ]
    assert list(app.activities) == ["act"]


def test_two_apps_are_refused(tmp_path: Path) -> None:
    said = refused(app_of(tmp_path, HEADER + "\nsecond = df.DFApp()\n"))
    assert "More than one DFApp or other top level function app instances are defined." in said


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_a_function_may_be_disabled_by_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AzureWebJobs.Hello.Disabled", value)
    assert loaded(app_of(tmp_path, HEADER)).functions == []
    monkeypatch.setenv("AzureWebJobs.Hello.Disabled", "0")
    assert len(loaded(app_of(tmp_path, HEADER)).functions) == 1


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('@app.activity_trigger("m")\ndef f(m: dict[str, str]): pass\n', "non-type annotation"),
        ('@app.activity_trigger("m")\ndef f(n): pass\n', "declared in Python but not in"),
        ('@app.activity_trigger("m")\ndef f(m: "Nowhere"): pass\n', "NameError: name 'Nowhere'"),
        ('@app.route(route="x")\ndef f(req: int) -> str: pass\n', '"httpTrigger" does not match'),
    ],
)
def test_what_the_worker_refuses_is_refused_for_its_reason(
    tmp_path: Path, code: str, why: str
) -> None:
    said = refused(app_of(tmp_path, HEADER + code))
    assert said.startswith("cannot load the f function: ")
    assert why in said


@pytest.mark.difference("Retry policies (`@app.retry`) of other functions than timers")
def test_a_retry_policy_is_for_timers_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    retry = '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")\n'
    code = f'{HEADER}{retry}@app.activity_trigger("m")\ndef f(m): pass\n'
    loaded(app_of(tmp_path, code))
    assert "Function f has a retry policy" in caplog.text
    caplog.clear()
    timer = '@app.timer_trigger("t", "0 0 * * * *")\ndef f(t: func.TimerRequest): pass\n'
    timers.check(loaded(app_of(tmp_path, HEADER + retry + timer)))
    assert not caplog.records
    broken = retry.replace("00:00:01", "soon")
    assert "retry policy" in refused(app_of(tmp_path, HEADER + broken + timer))


@pytest.mark.parametrize(
    "schedule", ["", "often", "61 * * * * *", "0 0 0 30 2 *", "0 0 0 * Mon *", "%NOT_SET%"]
)
def test_a_schedule_that_makes_no_sense(tmp_path: Path, schedule: str) -> None:
    timer = f'@app.timer_trigger("t", "{schedule}")\ndef tick(t): pass\n'
    said = refused(app_of(tmp_path, HEADER + timer))
    assert "tick" in said
    assert schedule.strip("%") in said


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "",
        "\udcff",
        '{"extensions": 5}',
        '{"extensions": {"durableTask": []}}',
        '{"extensions": {"http": "api"}}',
        '{"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}}',
        '{"extensions": {"durableTask": {"maxConcurrentActivityFunctions": "ten"}}}',
        '{"extensions": {"durableTask": {"hubName": 5}}}',
        '{"extensions": {"http": {"routePrefix": null}}}',
        '{"extensions": {"durableTask": {"maxConcurrentActivityFunctions": -1}}}',
        '{"extensions": {"durableTask": {"hubName": "%NO_SUCH_SETTING%"}}}',
        '{"extensions": {"durableTask": {"versionMatchStrategy": "Sometimes"}}}',
        '{"functionTimeout": "soon"}',
        '{"functionTimeout": "00:00:00"}',
        "[" * 100_000,
    ],
)
def test_a_host_json_that_can_t_be_read(tmp_path: Path, content: str) -> None:
    app = app_of(tmp_path, HEADER)
    (app / "host.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    assert "host.json" in refused(app)


@pytest.mark.parametrize("content", ["{", "[]", '{"Values": 5}'])
def test_settings_that_can_t_be_read(tmp_path: Path, content: str) -> None:
    assert "local.settings.json" in refused(app_of(tmp_path, HEADER, local_settings=content))


SETTINGS = """{
  // for local use
  "Values": {
    "HUB": "FromFile", /* the hub's name */ "WITH_URL": "http://127.0.0.1/*x*/,}",
  },
}"""


def test_comments_and_settings_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HUB", "WITH_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    host = '{"functionTimeout": "00:01:30", "extensions": {"durableTask": {"hubName": "%HUB%"}}}'
    app = loaded(app_of(tmp_path, HEADER, local_settings=SETTINGS, host=host))
    assert app.settings.hub == "FromFile"
    assert app.settings.function_timeout == timedelta(seconds=90)
    assert os.environ["WITH_URL"] == "http://127.0.0.1/*x*/,}"


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some editors write one."""
    monkeypatch.setenv("FROM_FILE", "")
    monkeypatch.delenv("FROM_FILE")
    settings = '\ufeff{"Values": {"FROM_FILE": 5}}'
    app = load(app_of(tmp_path, HEADER, local_settings=settings, host="\ufeff{}"))
    assert app.settings.hub == "TestHubName"
    sys.modules.pop("function_app")
