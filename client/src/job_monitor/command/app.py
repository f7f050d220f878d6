"""`jobmon`: the commands. Each reads its arguments, asks the client, and prints what came."""

import json
import logging
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from job_monitor.client import Client
from job_monitor.command.ending import Exit, code_of, command_line, gravest, told
from job_monitor.command.output import (
    Bar,
    Warnings,
    complain,
    line_of,
    percent,
    print_json,
    print_table,
    say,
    shown,
    stderr,
)
from job_monitor.command.text import clean
from job_monitor.connection import VERSION, checked_url
from job_monitor.core.calls import to_wire
from job_monitor.core.models import Monitor, Started
from job_monitor.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watch long-running jobs by a Job Monitor. JOBMON_URL says where it is, JOBMON_KEY or "
    "JOBMON_SCOPE who you are.",
    epilog="Exit codes: 0 succeeded, 1 failed or cancelled, 2 wrong usage, 3 ended otherwise, "
    "4 the server refused or gave no answer, 5 still watched, 130 interrupted.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wanted = Annotated[str, typer.Argument(metavar="MONITOR", help="The monitor's id, or SOURCE:JOB.")]


def main() -> None:
    """Run the command of this process's arguments."""
    log = logging.getLogger("job_monitor")
    log.addHandler(Warnings())
    log.propagate = False
    app(prog_name="jobmon")


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle what all commands share."""
    if version:
        say(f"jobmon {VERSION}")
        raise typer.Exit


@app.command()
def start(
    *,
    source: Annotated[str | None, typer.Option(help="The job system.")] = None,
    job: Annotated[str | None, typer.Option(help="The job: JSON, @FILE, or - for stdin.")] = None,
    job_id: Annotated[str | None, typer.Option(help="The id of a job that runs.")] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="A file with one start as JSON in each line.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; again for more.")] = None,
    notify: Annotated[
        list[str] | None, typer.Option(help="A channel that tells of it; again for more.")
    ] = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds until the watch expires.")] = None,
    interval: Annotated[int | None, typer.Option(help="Seconds between polls.")] = None,
    cancel_on_expiry: Annotated[bool, typer.Option(help="Cancel an expired job.")] = False,
    fresh: Annotated[bool, typer.Option(help="Watch again though the job has ended.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Makes a repeat of this command start nothing new.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a watch over a job, or over each job of a file."""
    if sum(each is not None for each in (job, job_id, from_)) != 1:
        raise typer.BadParameter("Give one of --job, --job-id and --from.")
    common: dict[str, Any] = {
        "source": source,
        "timeout_seconds": timeout,
        "poll_interval_seconds": interval,
        "on_expiry": "cancel" if cancel_on_expiry else None,
        "fresh": True if fresh else None,
        "labels": dict(_pairs(label)) if label else None,
        "notify": notify or None,
    }
    if from_ is not None:
        if idempotency_key:
            what = "A file has no --idempotency-key: each line may have an idempotencyKey."
            raise typer.BadParameter(what)
        wanted = [{**to_wire(common), **each} for each in _lines(from_)]
        with told(), Client() as client:
            raise typer.Exit(_start_all(client, wanted, wait=wait, as_json=as_json))
    one = {**common, "job_id": job_id, "job": _json(job) if job is not None else None}
    with told("Whether the job was started is not known."), Client() as client:
        started = client.start_as(one, idempotency_key)
        monitor = started.monitor
        if not wait:
            _show(monitor, as_json=as_json)
            raise typer.Exit(Exit.SUCCEEDED)
        _say_started(started, as_json=as_json)
        raise typer.Exit(_wait(client, monitor.id, as_json=as_json))


@app.command()
def watch(
    monitor: Wanted,
    wait: Annotated[bool, typer.Option(help="Wait for the end; the default.")] = True,
    as_json: AsJson = False,
) -> None:
    """Follow a monitor until it ends. The exit code tells how."""
    with told(), Client() as client:
        monitor_id = _resolved(client, monitor)
        if wait:
            raise typer.Exit(_wait(client, monitor_id, as_json=as_json))
        now = client.get(monitor_id).monitor
        _show(now, as_json=as_json)
        raise typer.Exit(code_of(now))


@app.command("list")
def list_(
    *,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    source: Annotated[str | None, typer.Option(help="Only those of this source.")] = None,
    job_id: Annotated[str | None, typer.Option(help="Only those of this job.")] = None,
    label: Annotated[str | None, typer.Option(help="Only those with NAME=VALUE.")] = None,
    top: Annotated[int, typer.Option(min=1, help="The number of monitors at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List monitors, newest first."""
    pair = next((f"{name}:{value}" for name, value in _pairs([label])), None) if label else None
    with told(), Client() as client:
        found = client.monitors(
            state=state, source=source, job_id=job_id, label=pair, top=min(top, 100)
        )
        monitors = [each for each, _ in zip(found, range(top), strict=False)]
    if as_json:
        print_json([each.to_wire() for each in monitors])
        return
    print_table(
        ["ID", "STATE", "PROGRESS", "SINCE", "FLAGS", "MESSAGE"],
        (
            (m.id, m.state, percent(m), m.ended_at or m.started_at, " ".join(m.flags), m.message)
            for m in monitors
        ),
    )


@app.command("open")
def open_(
    monitor: Annotated[
        str | None, typer.Argument(metavar="[MONITOR]", help="The monitor's id.")
    ] = None,
) -> None:
    """Open the page in a browser, and print its address."""
    with told():
        page = f"{checked_url(read_settings().url)}/api/ui"
    if monitor:
        page += f"#/monitors/{quote(monitor, safe='')}"
    say(page)
    webbrowser.open(page)


@app.command()
def show(monitor: Wanted, as_json: AsJson = False) -> None:
    """Show a monitor and its log."""
    with told(), Client() as client:
        found = client.get(_resolved(client, monitor))
    if as_json:
        print_json(found.to_wire())
        return
    for name, value in found.monitor.to_wire().items():
        say(f"{name}: {shown(value)}")
    if found.log:
        rows = ((e.at, e.event, e.from_, e.to, e.reason, e.by) for e in found.log)
        print_table(["AT", "EVENT", "FROM", "TO", "REASON", "BY"], rows)


@app.command()
def stop(
    monitor: Wanted,
    cancel_job: Annotated[bool, typer.Option(help="Have the source cancel the job, too.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end; its exit code is 0.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a watch."""
    with told(), Client() as client:
        now = client.stop(_resolved(client, monitor), cancel_job=cancel_job, reason=reason)
        if wait:
            now = client.wait(now.id)
    _show(now, as_json=as_json)


@app.command()
def hint(monitor: Wanted, as_json: AsJson = False) -> None:
    """Have a watch look at its job now."""
    with told(), Client() as client:
        _show(client.hint(_resolved(client, monitor)), as_json=as_json)


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="The job system.")],
    job_id: Annotated[str, typer.Argument(help="The job's id there.")],
    as_json: AsJson = False,
) -> None:
    """Look at a job once, without a watch, and say how its answer was read."""
    with told(), Client() as client:
        found = client.check(source, job_id)
    if as_json:
        print_json(found.to_wire())
        return
    for name, value in found.poll.to_wire().items():
        if value is not None:
            say(f"{name}: {shown(value)}")
    if found.decided_by:
        say(f"decided by: {found.decided_by}")


@app.command()
def sources(as_json: AsJson = False) -> None:
    """List the configured job systems, and what is wrong with them."""
    with told(), Client() as client:
        found = client.sources()
    if as_json:
        print_json(found.to_wire())
        return
    print_table(
        ["NAME", "TAKES JOBS", "CANCELS JOBS", "PAUSED SINCE", "DESCRIPTION"],
        (
            (s.name, _yes(s.takes_jobs), _yes(s.cancels_jobs), s.paused_since, s.description)
            for s in found.sources
        ),
    )
    for disabled in found.disabled:
        for fault in disabled.errors:
            complain(f"{disabled.name} is disabled: {fault.field}: {fault.message}")
    for fault in found.errors:
        complain(f"{fault.field}: {fault.message}")


def _start_all(client: Client, wanted: list[dict[str, Any]], *, wait: bool, as_json: bool) -> int:
    """Start each; one that fails stops no other. Returns the gravest exit code."""
    codes: list[Exit] = []
    ids: list[str] = []
    for number, came in enumerate(client.start_many(wanted), 1):
        if isinstance(came, Started):
            ids.append(came.monitor.id)
            _show(came.monitor, as_json=as_json)
            continue
        codes.append(Exit.NO_RESULT)
        complain(f"Start {number}: {came.detail}")
        for fault in came.faults:
            complain(f"- {fault.field}: {fault.message}")
    if wait:
        codes += [_wait(client, each, as_json=as_json, bar=False) for each in ids]
    return gravest(codes)


def _say_started(started: Started, *, as_json: bool) -> None:
    if not as_json:
        word = "Started" if started.new else "Found"
        complain(f"{word} {started.monitor.id}")


def _wait(client: Client, monitor_id: str, *, as_json: bool, bar: bool = True) -> Exit:
    """Follow a monitor to its end, by a bar on a terminal and by a line for each change elsewhere.

    Ctrl-C ends the command alone.
    """
    again = command_line("jobmon", "watch", monitor_id)
    advice = f"The watch goes on without this command. To see it again: {again}"
    display = Bar() if bar and stderr.is_terminal else None
    with told(advice):
        monitor: Monitor | None = None
        with display or nullcontext():
            for monitor in client.follow(monitor_id):
                if display:
                    display.show(monitor)
                elif not monitor.ended:
                    complain(line_of(monitor))
    if monitor is None:  # `follow` gives one at least
        return Exit.NO_RESULT
    _show(monitor, as_json=as_json)
    return code_of(monitor)


def _show(monitor: Monitor, *, as_json: bool) -> None:
    if as_json:
        print_json(monitor.to_wire())
    else:
        say(line_of(monitor))


def _resolved(client: Client, wanted: str) -> str:
    """The id of a monitor that is named by its id, or by source and job id.

    No monitor's id has a colon, see docs/api.md of Job Monitor.
    """
    source, colon, job_id = wanted.partition(":")
    if not colon:
        return wanted
    found = client.find(job_id, source or None)
    if found is None:
        complain(f"No monitor watches the job {clean(job_id)} of {clean(source) or 'any source'}.")
        raise typer.Exit(Exit.NO_RESULT)
    return found.id


def _pairs(texts: list[str] | None) -> Iterator[tuple[str, str]]:
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"A label is NAME=VALUE, not {clean(text)}.")
        yield name, value


def _json(text: str) -> Any:
    """The JSON object that an argument is, or names."""
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        value = json.loads(text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--job: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("--job must be a JSON object.")
    return value


def _lines(file: Path) -> list[dict[str, Any]]:
    """The starts in a file. All faulty lines are told, and then none is started."""
    try:
        text = file.read_text(encoding="utf-8") if str(file) != "-" else sys.stdin.read()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--from: {error}") from None
    found: list[dict[str, Any]] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        if isinstance(value, dict):
            found.append(value)
        else:
            faults.append(f"line {number}: must be a JSON object")
    if faults:
        raise typer.BadParameter("--from: " + "; ".join(faults))
    return found


def _yes(value: bool) -> str:
    return "yes" if value else ""
