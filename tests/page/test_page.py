"""The page in a real browser: Chromium, against the app on the local host.

Each view leaves pictures of it in the folder that PAGE_PICTURES names, if it names one.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from demo.part import ROOT
from domain.monitors.start import StartRequest
from tests.api import Api, Body, new_job_id
from tests.faulty_source import FaultySource

pytestmark = pytest.mark.long

AXE = (ROOT / "demo/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"
# Each view, with all that must be there.
VIEWS = {
    "": ["table.monitors tbody tr", ".counts a", "input[name=find]"],
    "start": [
        "select[name=source]",
        "textarea[name=job]",
        "textarea[name=labels]",
        "form .primary",
    ],
    "sources": ["#source-demo", "section:has(#source-demo) h3 + .lead", "details.dry"],
    "channels": ["section:has(#channel-ops) .facts dd", "section:has(#channel-ops) button"],
    "housekeeping": ["#health + p b", "section:has(#watchdog) dd", "section:has(#cleanup) dd"],
}
MONITOR = ["svg.bar rect", "table.log tbody tr", ".actions button", "#settings-heading + .facts dd"]
# An element by its words; with the mark "unseen" if nothing shows that it has the focus.
_WORDS = """
const words = (e) =>
  [e.tagName, e.name ?? "", (e.innerText || e.ariaLabel || "").trim().slice(0, 60)].join(" ");
"""
FOCUSABLE = f"""() => {{ {_WORDS}
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary");
  const one = (e) => e.type !== "radio" || e.checked;
  return [...all].filter((e) => !e.disabled && one(e)).map(words);
}}"""
FOCUSED = f"""() => {{ {_WORDS}
  const e = document.activeElement;
  const {{ outlineStyle: line, outlineWidth: width }} = getComputedStyle(e);
  const seen = (line !== "none" && parseFloat(width) >= 2) || e === document.body;
  return words(e) + (seen ? "" : " unseen");
}}"""
SCRIPT = "<script>document.title='taken'</script>"


def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("PAGE_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def start(page: Page, seconds: float) -> None:
    page.goto("/api/ui#/start")
    page.get_by_label("Job", exact=True).fill(f'{{"workload": "primes", "seconds": {seconds}}}')
    page.get_by_text("More settings").click()
    page.get_by_label("Poll every").fill("1")
    page.get_by_role("button", name="Start").click()


def test_a_job_is_started_by_clicking_and_seen_to_its_end(page: Page) -> None:
    start(page, 3)
    expect(page.locator(".lead .state")).to_have_text("▶Monitoring")
    expect(page.locator(".facts")).to_contain_text(["processing", ""])
    expect(page.locator(".lead .state")).to_have_text("✔Succeeded", timeout=20_000)
    expect(page.locator("svg.bar rect").first).to_be_attached()
    keep(page, "ended")


def test_a_job_is_cancelled_after_a_question_that_names_it(page: Page) -> None:
    start(page, 300)
    page.locator(".lead").wait_for()
    job = page.locator("h1").filter(has_text="job-").inner_text()
    page.get_by_role("button", name="Stop and cancel the job").click()
    expect(page.get_by_role("dialog")).to_contain_text(job)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Stop and cancel the job").click()
    page.get_by_role("button", name="Cancel the job", exact=True).click()
    expect(page.locator(".said p")).to_have_text("The job is being cancelled, and the watch ends.")
    expect(page.locator(".lead .state")).to_have_text("■Stopped", timeout=15_000)
    expect(page.locator(".facts").first).to_contain_text("accepted")


def at_lab(lab: FaultySource, api: Api, **more: Any) -> str:
    """The id of a monitor over a job of the laboratory, which mixes until it is told otherwise."""
    job_id = new_job_id()
    lab.jobs[job_id] = {"status": "mixing"}
    monitor_id: str = api.start(source="lab", jobId=job_id, **more)["id"]
    return monitor_id


def do(page: Page, button: str, said: str | re.Pattern[str]) -> None:
    """Click on a button of a monitor, and hear what that did."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".said p").first).to_have_text(said)


def test_each_action_does_what_it_says(page: Page, api: Api, lab: FaultySource) -> None:
    monitor = at_lab(lab, api, pollIntervalSeconds=600)
    page.emulate_media(color_scheme="dark")
    page.goto(f"/api/ui#/monitors/{monitor}")
    flags, facts = page.locator(".lead .flag"), page.locator(".facts").first
    expect(facts).to_contain_text("mixing")
    polls = api.get(monitor)["monitor"]["polls"]
    do(page, "Look now", "The watch polls now.")
    expect(facts).to_contain_text("Last hint")
    assert api.get(monitor)["monitor"]["polls"] > polls
    do(page, "Pause", "The polls are held. The watch still expires.")
    expect(flags).to_have_text("paused")
    # It would poll nothing.
    expect(page.get_by_role("button", name="Look now")).to_have_count(0)
    do(page, "Go on", "The polls go on.")
    expect(flags).to_have_count(0)
    assert not api.get(monitor)["monitor"]["paused"]

    page.get_by_role("button", name="Change").click()
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=30)
    local = "m => new Date(m - new Date(m).getTimezoneOffset() * 60000).toISOString().slice(0, 19)"
    page.get_by_label("Expires").fill(page.evaluate(local, until.timestamp() * 1000))
    page.get_by_label("Poll every").fill("7200")
    keep(page, "change")
    do(page, "Change", re.compile("^The watch expires .+, and polls every 2 h[.]$"))
    shown = page.locator("#settings-heading + .facts")
    expect(shown).to_contain_text(re.compile("Expiresin 1 d [56] h.*Poll interval2 h"))
    row = api.get(monitor)["monitor"]
    assert datetime.fromisoformat(row["expireTime"]) == until
    page.get_by_role("button", name="Change").click()
    do(page, "Change", "Nothing was changed.")

    do(page, "Restart", "The watch began anew, as run 2.")
    runs = page.locator(".runs > li")
    titles = [re.compile("^Run 2 ▶Monitoring .+ so far"), re.compile("^Run 1 +restarted after ")]
    expect(runs.locator("h3")).to_have_text(titles)
    # The new run goes on from what the first saw.
    expect(runs.nth(0).locator(".legend")).to_have_text(re.compile("^mixing [0-9]+ sStarted again"))
    do(page, "Stop", "The watch ends. The job goes on.")
    expect(page.locator(".lead .state")).to_have_text("■Stopped")
    expect(facts).to_contain_text("Stopped on the page.")
    expect(runs.nth(0).locator("svg.bar rect.c0")).to_have_count(1)
    do(page, "Watch again", "Run 3 of the watch began.")
    expect(page.locator(".lead .state")).to_have_text("▶Monitoring")
    do(page, "Stop", "The watch ends. The job goes on.")
    expect(page.locator(".lead .state")).to_have_text("■Stopped")
    # The job itself did not end: its last status keeps its colour.
    expect(runs.nth(0).locator("svg.bar rect.c0")).to_have_count(1)
    assert_no_barrier(page, "stopped")
    assert lab.jobs[row["jobId"]]["status"] == "mixing"
    page.get_by_role("button", name="Cancel the job").click()
    keep(page, "cancel")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".said p").first).to_have_text(
        "The watch had ended. The source's word on the cancel: accepted."
    )
    assert lab.jobs[row["jobId"]]["status"] == "cancelled"
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)


def test_an_action_that_is_refused_says_why(page: Page, api: Api, lab: FaultySource) -> None:
    monitor = at_lab(lab, api, pollIntervalSeconds=600)
    page.goto(f"/api/ui#/monitors/{monitor}")
    page.locator(".actions button").first.wait_for()
    shown = api.get(monitor)
    page.route("**/api/monitors/*", lambda route: route.fulfill(json=shown))  # the view is late
    api.call("POST", f"/api/monitors/{monitor}/stop")
    api.ended(monitor)
    page.get_by_role("button", name="Restart").click()
    expect(page.locator(".said .failure")).to_contain_text("The watch has ended.")


def test_the_polls_of_a_source_are_held_and_go_on(page: Page, api: Api, lab: FaultySource) -> None:
    monitor = at_lab(lab, api, pollIntervalSeconds=600)
    page.goto("/api/ui#/sources")
    source = page.locator("section:has(#source-lab)")
    source.get_by_role("button", name="Pause").click()
    expect(source.locator(".said p").first).to_have_text(
        "The polls are held. Watches still expire."
    )
    expect(source.locator("h2 .flag")).to_have_text("paused")
    page.goto(f"/api/ui#/monitors/{monitor}")
    expect(page.locator(".lead .flag")).to_have_text("source paused")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Look now")).to_have_count(0)
    page.goto("/api/ui#/sources")
    source.get_by_role("button", name="Go on").click()
    expect(source.locator(".said p").first).to_have_text("The polls go on.")
    expect(source.locator("h2 .flag")).to_have_count(0)


def test_the_time_line_shows_hints_and_polls_that_failed(
    page: Page, api: Api, lab: FaultySource
) -> None:
    job_id = new_job_id()
    mixing: dict[str, object] = {"status": "mixing"}
    lab.behave(job_id, mixing, "503", mixing)
    monitor = api.start(source="lab", jobId=job_id, pollIntervalSeconds=600)["id"]
    page.goto(f"/api/ui#/monitors/{monitor}")
    legend = page.locator(".legend")
    expect(legend).to_contain_text("mixing", timeout=30_000)
    do(page, "Look now", "The watch polls now.")
    expect(legend).to_contain_text("Polls failed", timeout=30_000)
    do(page, "Look now", "The watch polls now.")
    expect(legend).to_contain_text("The job was seen again", timeout=30_000)
    expect(legend).to_contain_text("Hint")
    expect(page.locator("svg.bar rect.trouble")).to_have_count(1)
    for event in ("hinted", "unseen", "seen"):
        expect(page.locator(f"svg.bar rect.mark.{event}").first).to_be_attached()
    keep(page, "time-line")
    assert_no_barrier(page, "time line")

    def cut(body: Any) -> None:
        body["log"] = body["log"][-1:]

    # A long log comes in parts: what was seen before its newest lines is still known.
    answer_with(page, f"**/api/monitors/{monitor}", cut)
    page.reload()
    expect(legend).to_contain_text("mixing")
    expect(legend).not_to_contain_text("Hint")
    assert_no_barrier(page, "the end of a time line")
    page.locator("summary", has_text="Log: 1 of").wait_for()
    page.get_by_role("button", name="Load earlier lines").click()
    expect(legend).to_contain_text("Hint")
    expect(page.get_by_role("button", name="Load earlier lines")).to_have_count(0)


def test_a_job_that_runs_is_watched_and_a_second_wish_shows_what_stands_in_the_way(
    page: Page, lab: FaultySource
) -> None:
    job_id = f"{new_job_id()} with spaces/and more"
    lab.jobs[job_id] = {"status": "mixing"}
    page.goto("/api/ui#/start?source=lab")
    for seconds, wish in ((600, "the first"), (700, "another")):
        # The source starts no job.
        expect(page.get_by_label("Start a job")).to_be_disabled()
        page.get_by_label("Job id").fill(job_id)
        page.get_by_label("Labels").fill("team: data\nnight = yes")
        page.get_by_text("More settings").click()
        page.get_by_label("Poll every").fill(str(seconds))
        page.get_by_role("button", name="Start").click()
        if wish == "another":
            break
        expect(page.locator("h1")).to_have_text(job_id)
        expect(page.locator(".lead .label")).to_have_text(["team: data", "night: yes"])
        page.goto("/api/ui#/start?source=lab")
    expect(page.locator(".failure")).to_contain_text("is watched already, with other settings")
    expect(page.locator("#field-pollIntervalSeconds-fault")).to_contain_text("has 600")
    page.get_by_role("link", name="See the monitor that stands in the way").click()
    expect(page.locator("h1")).to_have_text(job_id)


def test_the_list_goes_on_to_older_monitors_and_back(
    page: Page, api: Api, lab: FaultySource
) -> None:
    team = new_job_id()
    names = [f"{team}-{number}" for number in range(53)]
    lab.jobs |= {name: {"status": "mixing"} for name in names}
    starts = [
        {"source": "lab", "jobId": name, "labels": {"team": team}, "pollIntervalSeconds": 3600}
        for name in names
    ]
    answer = api.call("POST", "/api/monitors:batch", json={"starts": starts})
    assert {each["status"] for each in answer.json()["answers"]} == {202}
    page.goto(f"/api/ui#/?label=team%3A{team}")
    rows = page.locator("table.monitors tbody tr")
    expect(rows).to_have_count(50)
    seen = page.locator("a.job").all_inner_texts()
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(3)
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    seen += page.locator("a.job").all_inner_texts()
    assert sorted(seen) == sorted(names)
    page.reload()
    expect(rows).to_have_count(3)
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(50)


def test_the_cleanup_is_started(page: Page) -> None:
    page.goto("/api/ui#/housekeeping")
    cleanup = page.locator("section:has(#cleanup)")
    cleanup.get_by_role("button", name="Start the cleanup").click()
    expect(cleanup.locator(".said p")).to_have_text("The cleanup runs, or waits for its next hour.")
    expect(cleanup.locator(".facts")).to_contain_text("Running")


def test_a_source_tells_of_its_day(page: Page) -> None:
    def put(body: Any) -> None:
        body |= {"allLive": False, "allEnds": False}
        demo = next(each for each in body["sources"] if each["name"] == "demo")
        demo |= {
            "live": 4321,
            "polls": 200,
            "failedPolls": 10,
            "secondsP50": 60,
            "secondsP95": 3600,
        }
        demo["ends"] = {"Succeeded": 30, "Failed": 10}
        at = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
        seen = {"at": at, "complete": False, "live": 9, "blind": 5, "polls": 50, "failedPolls": 40}
        demo["watched"] = seen

    answer_with(page, "**/api/counts", put)
    page.goto("/api/ui#/sources")
    demo = page.locator("section:has(#source-demo)")
    expect(demo).to_contain_text("Watched now4,321+")
    heading = re.compile("of 9, as the watchdog saw a part of them 2 min .*ago")
    expect(demo.locator("h3").first).to_contain_text(heading)
    for text in ("Polls since they began50", "Polls that failed40 (80 %)", "5 of 9"):
        expect(demo).to_contain_text(text)
    expect(demo.locator(".lead a")).to_contain_text(["Succeeded 30", "Failed 10"])
    for text in ("Succeeded75 %", "Polls of these200", "Polls of these that failed10 (5 %)"):
        expect(demo).to_contain_text(text)
    expect(demo).to_contain_text("Half lasted up to1 min95 of 100 lasted up to1 h")
    expect(demo).to_contain_text("These are some of them")


# All that a start may say of a watch; how long it lasts is told in two ways.
SETTINGS = {
    "labels": {"team": "data", "night": "yes"},
    "onExpiry": "cancel",
    "pollIntervalSeconds": 1,
    "warnAfterSeconds": 4000,
    "stallAfterSeconds": 3000,
    "notify": ["ops"],
}
OF_THE_JOB = {"source", "jobId", "job", "fresh"}
OF_ITS_LENGTH = {"expireTime", "timeoutSeconds"}


def seconds(row: Body) -> float:
    """The length of a watch."""
    begin, end = (datetime.fromisoformat(row[name]) for name in ("startedAt", "expireTime"))
    return (end - begin).total_seconds()


def test_the_result_is_shown_and_the_next_run_has_the_settings_of_the_first(
    page: Page, api: Api, lab: FaultySource
) -> None:
    known = {field.alias for field in StartRequest.model_fields.values()}
    assert known == SETTINGS.keys() | OF_THE_JOB | OF_ITS_LENGTH
    monitor = at_lab(lab, api, **SETTINGS, timeoutSeconds=5000)
    first = api.get(monitor)["monitor"]
    page.goto(f"/api/ui#/monitors/{monitor}")
    job = lab.jobs[first["jobId"]]
    for status in ("heating", "mixing"):
        api.wait(monitor, lambda shown: shown["monitor"]["rawStatus"] == job["status"])
        job["status"] = status
    job |= {"result": {"rows": 42, "note": SCRIPT}, "status": "completed"}
    expect(page.locator(".lead .state")).to_have_text("✔Succeeded", timeout=30_000)
    result = page.locator("section:has(#result-heading)")
    expect(result.locator("pre")).to_have_text(
        f'{{\n  "rows": 42,\n  "note": "{SCRIPT}"\n}}', use_inner_text=True
    )
    expect(result.get_by_text("The result was longer")).to_have_count(0)

    job |= {"status": "mixing", "result": "x" * 20_000}
    do(page, "Watch again", "Run 2 of the watch began.")
    second = api.get(monitor)["monitor"]
    assert {name: second[name] for name in SETTINGS} == SETTINGS
    assert (second["run"], second["timeoutSeconds"], seconds(second)) == (2, 5000, 5000)

    # The runs stand one below the other, each with its own statuses.
    runs = page.locator(".runs > li")
    expect(runs.locator("h3")).to_contain_text(["Run 2", "Run 1"])
    expect(runs.nth(1).locator(".state")).to_have_text("✔Succeeded")
    expect(runs.nth(1).locator(".legend")).to_contain_text("mixing")
    expect(runs.nth(1).locator(".legend")).to_contain_text("heating")
    expect(runs.nth(0).locator(".legend")).not_to_contain_text("heating")
    bars = [runs.nth(i).locator("svg.bar").bounding_box() for i in (0, 1)]
    above, below = (bar for bar in bars if bar)
    assert above["y"] + above["height"] < below["y"]
    assert (above["x"], above["width"]) == (below["x"], below["width"])
    # No status is as thin as a mark, and all together fill the bar.
    spans = [span.bounding_box() for span in runs.nth(1).locator("svg.bar rect[class^=c]").all()]
    assert all(span and span["width"] > 0 for span in spans)
    for theme in ("light", "dark"):
        for width in (1280, 390):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": 800})
            keep(page, f"two-runs-{theme}-{width}")
            assert_no_barrier(page, f"two runs, {theme}, {width}")

    job["status"] = "completed"
    expect(result.get_by_text("The result was longer")).to_be_visible(timeout=30_000)
    keep(page, "long-result")
    # The log keeps how the first run ended.
    ends = [line["to"] for line in api.get(monitor)["log"] if line["event"] == "ended"]
    assert ends == ["Succeeded", "Succeeded"]


def test_the_next_run_ends_when_the_one_before_was_to_end(
    page: Page, api: Api, lab: FaultySource
) -> None:
    now = datetime.now(UTC)
    moments = {name: now + timedelta(seconds=s) for name, s in (("soon", 3), ("far", 9000))}
    monitors = {name: at_lab(lab, api, expireTime=at.isoformat()) for name, at in moments.items()}
    api.call("POST", f"/api/monitors/{monitors['far']}/stop")
    before = {name: api.ended(monitor)["monitor"] for name, monitor in monitors.items()}
    assert before["soon"]["state"] == "Expired"
    for monitor in monitors.values():
        page.goto(f"/api/ui#/monitors/{monitor}")
        do(page, "Watch again", "Run 2 of the watch began.")
    after = {name: api.get(monitor)["monitor"] for name, monitor in monitors.items()}
    assert after["far"]["expireTime"] == before["far"]["expireTime"]
    # That moment is over: the next run has as long as the first had.
    assert seconds(after["soon"]) == round(seconds(before["soon"])) > 0


def test_the_list_filters_and_a_link_to_it_holds(page: Page, api: Api) -> None:
    job_id = new_job_id()
    monitor = api.start(jobId=job_id, labels={"team": job_id})["id"]
    page.goto(f"/api/ui#/?label=team%3A{job_id}")
    expect(page.locator("table.monitors tbody tr")).to_have_count(1)
    page.locator("a.job").click()
    expect(page).to_have_url(f"{page.url.partition('#')[0]}#/monitors/{monitor}")
    job = {"workload": "crash", "seconds": 1}
    api.ended(api.start(job=job, pollIntervalSeconds=1)["id"])
    page.goto("/api/ui#/")
    for state in ("Monitoring", "Failed"):
        page.get_by_role("list", name="By state").get_by_role("link", name=state).click()
        assert f"state={state}" in page.url
        expect(page.locator(".counts a[aria-current]")).to_contain_text(state)
        expect(page.locator("tbody .state").first).to_contain_text(state)
        states = page.locator("tbody .state").all_inner_texts()
        assert {text.split()[-1] for text in states} == {state}
    page.reload()  # the address has it all
    expect(page.locator("tbody .state").first).to_contain_text("Failed")
    page.locator(".counts a[aria-current]").click()
    expect(page.locator("tbody .state", has_text="Monitoring").first).to_be_visible()


def test_an_address_that_names_no_monitor_shows_the_list(page: Page) -> None:
    page.goto("/api/ui#/monitors")
    expect(page.locator("h1")).to_have_text("Monitors")


def test_the_channels_and_the_monitor_tell_what_became_of_notices(page: Page, api: Api) -> None:
    job = {"workload": "primes", "seconds": 1}
    monitor = api.start(job=job, notify=["ops", "broken"])["id"]
    page.goto(f"/api/ui#/monitors/{monitor}")
    notices = page.get_by_role("region", name="Notices").locator("tbody tr")
    expect(notices.filter(has_text="ops")).to_contain_text("delivered", timeout=30_000)
    expect(notices.filter(has_text="broken")).to_contain_text("waiting")
    expect(notices.filter(has_text="broken")).to_contain_text("500")
    keep(page, "notices")
    page.goto("/api/ui#/channels")
    good, bad = (page.locator(f"section:has(#channel-{name})") for name in ("ops", "broken"))
    expect(good.get_by_role("region", name="Last deliveries of ops")).to_contain_text("✔ yes")
    expect(bad.get_by_role("region", name="Last deliveries of broken")).to_contain_text("✖ no")
    expect(bad.locator(".facts")).to_contain_text("500")
    good.get_by_role("button", name="Send a test message").click()
    expect(good.locator(".said p")).to_contain_text("The receiver took the message")
    bad.get_by_role("button", name="Send again").click()
    expect(bad.locator(".said p")).to_contain_text("What waits is tried now.")


def answer_with(page: Page, pattern: str, change: Callable[[Any], None]) -> None:
    """Have the app answer what no source of the tests can be made to say."""

    def handle(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        change(body)
        route.fulfill(response=answer, json=body)

    page.route(pattern, handle)


def test_text_of_others_stays_text(page: Page, api: Api) -> None:
    job_id = f"{SCRIPT}\u202e{new_job_id()}"
    monitor = api.start(jobId=job_id, labels={"x": "<img src=x onerror=alert(1)>"})["id"]
    page.goto(f"/api/ui#/monitors/{monitor}")
    expect(page.locator("h1 bdi")).to_have_text(job_id)
    # The mark turns no text but its own: what follows stands in an element that keeps it in.
    assert page.locator("h1 bdi").evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
    page.goto("/api/ui#/")
    expect(page.locator("a.job", has_text=job_id)).to_be_visible()
    assert page.title() != "taken"
    assert page.locator("main img, main script").count() == 0


def test_a_megabyte_of_text_is_cut_until_it_is_asked_for(page: Page, api: Api) -> None:
    text = (SCRIPT + "\u202e" + "x" * 60) * 10_000
    monitor = api.start(jobId=new_job_id())["id"]

    def inflate(body: Any) -> None:
        row = body["monitor"] if "monitor" in body else body["monitors"][0]
        row |= {"message": text, "detail": text}
        for line in body.get("log", [])[:1]:
            line |= {"event": "status", "to": text}

    answer_with(page, "**/api/monitors?*", inflate)
    answer_with(page, "**/api/monitors/*", inflate)
    page.goto("/api/ui#/")
    expect(page.locator("td.message").first).to_contain_text(SCRIPT, timeout=30_000)
    assert len(page.locator("main").inner_text()) < 100_000
    page.goto(f"/api/ui#/monitors/{monitor}")
    more = page.get_by_role("button", name=f"Show all {len(text):,} characters")
    expect(more.first).to_be_visible(timeout=30_000)
    assert len(page.locator("main").inner_text()) < 100_000
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    more.first.click()
    expect(page.locator(".facts dd").first).to_have_text(text)
    assert page.title() != "taken"


@pytest.mark.parametrize(
    ("ago", "shown"), [(-90, "in 1 min"), (90, "in 8 min"), (700, "in 8 min"), (4000, "due")]
)
def test_the_next_poll_is_told_also_where_the_last_one_is_not_stored(
    page: Page, api: Api, ago: float, shown: str
) -> None:
    """A poll that changes nothing is stored every third time."""
    monitor = api.start(jobId=new_job_id(), pollIntervalSeconds=600)["id"]
    at = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()

    def plan(body: Any) -> None:
        row = body["monitor"] if "monitor" in body else body["monitors"][0]
        row["nextPollAt"] = at

    answer_with(page, "**/api/monitors?*", plan)
    answer_with(page, "**/api/monitors/*", plan)
    page.goto("/api/ui#/")
    expect(page.locator("td[data-name='Next poll']").first).to_contain_text(shown)
    page.goto(f"/api/ui#/monitors/{monitor}")
    expect(page.locator(".facts").first).to_contain_text(f"Next poll{shown}")


def test_what_the_caller_may_not_do_is_not_offered(page: Page, api: Api) -> None:
    monitor = api.start(jobId=new_job_id())["id"]
    may: list[str] = []
    # As the app answers with AUTH=entra.
    answer_with(page, "**/api/me", lambda body: body.update(name="ann@example.com", roles=may))
    offered = {}
    for roles in (["read"], ["read", "start"], ["read", "stop"]):
        may[:] = roles
        page.goto(f"/api/ui#/monitors/{monitor}")
        page.reload()
        page.locator("svg.bar rect").first.wait_for()
        expect(page.locator(".who .name")).to_have_text("ann@example.com")
        buttons = page.locator(".actions button").all_inner_texts()
        offered[roles[-1]] = {text.partition(" ")[0] for text in buttons}
        assert page.get_by_role("link", name="Start").count() == ("start" in roles)
    assert offered == {
        "read": set(),
        "start": {"Look", "Pause", "Change", "Restart"},
        "stop": {"Stop"},
    }
    may[:] = ["read"]
    views = {
        "housekeeping": "#cleanup",
        "sources": "#source-demo",
        "channels": "#channel-ops",
    }
    for view, things in views.items():
        page.goto(f"/api/ui#/{view}")
        page.reload()
        page.locator(things).wait_for()
        expect(page.locator(".actions button")).to_have_count(0)
    page.goto("/api/ui#/start")
    expect(page.get_by_text("Your roles do not allow a start.")).to_be_visible()


def test_new_rows_appear_and_old_ones_move_on_without_a_reload(page: Page, api: Api) -> None:
    label = new_job_id()
    page.goto("/api/ui#/?source=demo")
    page.locator(".counts a").first.wait_for()
    page.evaluate("window.same = true")
    job = {"workload": "primes", "seconds": 8}
    started = api.start(job=job, pollIntervalSeconds=1, labels={"team": label})["monitor"]
    row = page.locator("tr", has_text=started["jobId"])
    expect(row).to_contain_text("Monitoring", timeout=10_000)
    expect(row).to_contain_text("Succeeded", timeout=30_000)
    assert page.evaluate("window.same")


# A tab that `turn` may hide: no browser without a window hides one.
HIDDEN = "Object.defineProperty(document, 'hidden', {get: () => window.away === true})"


def turn(page: Page, *, away: bool) -> None:
    """Hide the tab, or show it."""
    page.evaluate("away => { window.away = away; }", away)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_hidden_tab_asks_for_nothing(page: Page, api: Api) -> None:
    monitor = api.start(jobId=new_job_id())["id"]
    page.clock.install()
    page.add_init_script(HIDDEN)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view, thing in (("", "table.monitors tbody tr"), (f"monitors/{monitor}", "svg.bar rect")):
        page.goto(f"/api/ui#/{view}")
        page.locator(thing).first.wait_for()
        page.wait_for_load_state("networkidle")
        turn(page, away=True)
        asked.clear()
        page.clock.run_for(600_000)
        assert asked == []
        with page.expect_response(re.compile("/api/monitors")):
            turn(page, away=False)  # at once
        with page.expect_response(re.compile("/api/monitors")):
            page.clock.run_for(10_000)


def test_all_is_reached_by_the_keyboard_and_the_focus_is_seen(page: Page, api: Api) -> None:
    monitor = api.start(jobId=new_job_id(), pollIntervalSeconds=60)["id"]
    page.add_init_script(HIDDEN)
    for view, things in {**VIEWS, f"monitors/{monitor}": MONITOR}.items():
        page.goto("about:blank")
        page.goto(f"/api/ui#/{view}")
        page.locator(things[0]).first.wait_for()
        page.wait_for_load_state("networkidle")
        turn(page, away=True)  # so that nothing changes meanwhile
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        wanted = page.evaluate(FOCUSABLE)
        reached: list[str] = []
        for _ in range(len(wanted) + 5):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        assert [each for each in wanted if each not in reached] == [], view
        assert [each for each in reached if each.endswith("unseen")] == [], view
    turn(page, away=False)
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".said p").first).to_have_text(
        "The polls are held. The watch still expires."
    )
    page.get_by_role("button", name="Change").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Expires")).to_be_focused()
    page.get_by_label("Poll every").fill("0")
    page.keyboard.press("Enter")
    expect(page.locator("#field-pollIntervalSeconds-fault")).to_be_visible()
    page.get_by_label("Poll every").fill("90")
    page.keyboard.press("Enter")
    expect(page.locator(".said p").first).to_contain_text("polls every 1 min 30 s.")
    assert api.get(monitor)["monitor"]["pollIntervalSeconds"] == 90
    expect(page.get_by_role("button", name="Change")).to_be_focused()


def test_the_search_finds_the_beginning_of_an_id(page: Page, api: Api) -> None:
    job_id = new_job_id()
    for name in ("a", "b", "other"):
        api.start(jobId=f"{'' if name == 'other' else job_id}-{name}{job_id}")
    page.goto("/api/ui")
    page.get_by_label("Job id begins with").fill(f"{job_id}-")
    page.keyboard.press("Enter")
    expect(page.locator("a.job")).to_have_text([f"{job_id}-b{job_id}", f"{job_id}-a{job_id}"])
    page.get_by_label("Job id begins with").fill("none at all")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No monitor fits.")).to_be_visible()
    page.get_by_role("link", name="Clear all filters").click()
    expect(page.locator("a.job").first).to_be_visible()


def test_a_dry_run_says_why_a_value_is_null(page: Page) -> None:
    def empty(body: Any) -> None:
        told = {"expression": "status", "sees": "body", "value": "processing", "fault": None}
        body["selected"] = {
            "status": told,
            "message": told | {"expression": "note", "value": None},
            "progress": told | {"expression": "length(x)", "value": None, "fault": "x is null"},
        }

    answer_with(page, "**/check/raw?*", empty)
    page.goto("/api/ui#/sources")
    dry = page.locator("section:has(#source-demo) details.dry")
    dry.locator("summary").click()
    dry.get_by_label("Job id").fill("job-1")
    page.keyboard.press("Enter")
    rows = dry.get_by_role("region", name="Expressions").locator("tbody tr")
    expect(rows.filter(has_text="status")).to_contain_text("processing")
    expect(rows.filter(has_text="note")).to_contain_text("nullNothing in the body fits")
    expect(rows.filter(has_text="length(x)")).to_contain_text("x is null")


def test_every_fault_stands_at_its_field(page: Page) -> None:
    page.goto("/api/ui#/start")
    page.get_by_text("More settings").click()
    page.get_by_label("Poll every").fill("0")
    page.get_by_label("Watch for at most").fill("-1")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#field-pollIntervalSeconds-fault")).to_be_visible()
    expect(page.locator("#field-timeoutSeconds-fault")).to_be_visible()


def assert_no_barrier(page: Page, view: str) -> None:
    page.evaluate(AXE)
    found = page.evaluate(f"axe.run({RULES}).then(r => r.violations)")
    told = [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found]
    assert told == [], view
    fills = "[...document.querySelectorAll('svg rect')].map(e => getComputedStyle(e).fill)"
    assert "rgb(0, 0, 0)" not in page.evaluate(fills), f"{view} has a bar that nobody coloured"
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{view} is wider than the window"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_each_view_has_its_main_things_and_no_barrier(
    page: Page, api: Api, theme: str, width: int
) -> None:
    monitor = api.start(jobId=new_job_id())["id"]
    job = api.start(job={"workload": "primes", "seconds": 1})["monitor"]
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    for view, things in {**VIEWS, f"monitors/{monitor}": MONITOR}.items():
        page.goto(f"/api/ui#/{view}")
        for thing in things:
            expect(page.locator(thing).first, f"{thing} of {view}").to_be_visible()
        name = f"{view.partition('/')[0] or 'list'}-{theme}-{width}"
        keep(page, name)
        assert_no_barrier(page, view)
    page.goto("/api/ui#/sources")
    dry = page.locator("section:has(#source-demo) details.dry")
    dry.locator("summary").click()
    dry.get_by_label("Job id").fill(job["jobId"])
    dry.get_by_role("button", name="Poll once").click()
    expect(dry.get_by_role("region", name="Expressions").locator("tbody tr")).to_have_count(3)
    keep(page, f"dry-run-{theme}-{width}")
    assert_no_barrier(page, "dry run")
    page.goto("/api/ui#/start")
    page.get_by_label("Job", exact=True).fill("{")
    page.get_by_label("Labels").fill("none")
    page.get_by_role("button", name="Start").click()
    for field in ("job", "labels"):
        expect(page.locator(f"#field-{field}-fault")).to_be_visible()
    keep(page, f"faults-{theme}-{width}")
    assert_no_barrier(page, "faults")
    page.route("**/api/me", lambda route: route.fulfill(status=401))
    page.goto("/api/ui")
    page.get_by_label("Function key").wait_for()
    keep(page, f"key-{theme}-{width}")
    assert_no_barrier(page, "key")


def test_the_key_is_asked_for_once_and_goes_out_in_a_header_alone(page: Page) -> None:
    seen: list[str] = []

    def host(route: Route, request: Request) -> None:  # as the Functions host does
        seen.append(request.url)
        if request.headers.get("x-functions-key") == "right":
            route.continue_()
        else:
            route.fulfill(status=401)

    page.route(lambda url: "/api/" in url and "/api/ui" not in url and "openapi" not in url, host)
    page.goto("/api/ui")
    for key, heading in (("wrong", "Function key"), ("right", "Monitors")):
        page.get_by_label("Function key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(heading)
    page.reload()
    expect(page.locator("h1")).to_have_text("Monitors")
    assert not any("right" in url for url in [*seen, page.url])
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Function key")).to_be_visible()


def test_a_key_of_the_hub_in_an_answer_ends_there(page: Page) -> None:
    def with_key(body: Any) -> None:  # as Azure answers
        for name, value in body.items():
            if name.endswith("Uri"):
                body[name] = f"{value}&code=hub-secret"

    answer_with(page, "**/api/monitors", with_key)
    start(page, 1)
    page.locator(".lead").wait_for()
    kept = (
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])"
    )
    assert "hub-secret" not in page.content() + page.evaluate(kept)


def test_where_people_sign_in_no_key_is_asked_for(page: Page) -> None:
    def with_entra(body: Any) -> None:
        body["components"]["securitySchemes"] = {"entra": {"type": "oauth2"}}

    page.route("**/api/me", lambda route: route.fulfill(status=401))
    answer_with(page, "**/api/openapi.json", with_entra)
    page.goto("/api/ui")
    link = page.get_by_role("link", name="Sign in")
    expect(link).to_have_attribute("href", re.compile("^/.auth/login/aad[?]"))
    assert page.get_by_label("Function key").count() == 0
    assert_no_barrier(page, "sign in")
