"""Apps and settings that the host refuses, each with a line that says why."""

import sys
from pathlib import Path

import pytest

from devhost import timers
from devhost.app import AppError, load

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
    assert "defines no `app`" in refused(app_of(tmp_path, "x = 1\n"))


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
    functions = "".join(f'@app.{trigger}="x")\ndef {name}(x): pass\n' for name in ("one", "One"))
    assert "'One'" in refused(app_of(tmp_path, HEADER + functions))


def test_a_trigger_that_is_not_served(tmp_path: Path) -> None:
    queue = '@app.queue_trigger("m", "q", "c")\ndef take(m): pass\n'
    said = refused(app_of(tmp_path, HEADER + queue))
    assert said == "Function take uses queueTrigger, which devhost does not serve"


@pytest.mark.parametrize("schedule", ["often", "61 * * * * *", "0 0 0 30 2 *", "%NOT_SET%"])
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
    ],
)
def test_a_host_json_that_can_t_be_read(tmp_path: Path, content: str) -> None:
    app = app_of(tmp_path, HEADER)
    (app / "host.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    assert "host.json" in refused(app)


@pytest.mark.parametrize("content", ["{", "[]", '{"Values": 5}'])
def test_settings_that_can_t_be_read(tmp_path: Path, content: str) -> None:
    assert "local.settings.json" in refused(app_of(tmp_path, HEADER, local_settings=content))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some editors write one."""
    monkeypatch.setenv("FROM_FILE", "")
    monkeypatch.delenv("FROM_FILE")
    settings = '\ufeff{"Values": {"FROM_FILE": 5}}'
    app = load(app_of(tmp_path, HEADER, local_settings=settings, host="\ufeff{}"))
    assert app.hub == "TestHubName"
    sys.modules.pop("function_app")
