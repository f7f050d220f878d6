"""The page in a real browser: Chromium, against the app on the local host.

Each view leaves pictures of it in the folder that PAGE_PICTURES names, if it names one.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect, sync_playwright

from demo.part import ROOT
from tests.api import Api, new_job_id

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
    "sources": ["#source-demo", "section:has(#source-demo) h3 + .facts dd", "details.dry"],
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, base_url: str) -> Iterator[Page]:
    """A tab; what its console complains of fails the test."""
    page = browser.new_page(base_url=base_url)
    page.set_default_timeout(15_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.extend([line.text] if line.type == "error" else []))
    yield page
    page.close()
    assert [each for each in faults if "status of 4" not in each] == []


@pytest.fixture(scope="module")
def api(base_url: str) -> Api:
    return Api(base_url)


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
    for view, things in {"housekeeping": "#cleanup", "sources": "#source-demo"}.items():
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


def test_a_hidden_tab_asks_for_nothing(page: Page, api: Api) -> None:
    monitor = api.start(jobId=new_job_id())["id"]
    page.clock.install()
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', {get: () => window.away === true})"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def turn(*, away: bool) -> None:
        page.evaluate("away => { window.away = away; }", away)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    for view, thing in (("", "table.monitors tbody tr"), (f"monitors/{monitor}", "svg.bar rect")):
        page.goto(f"/api/ui#/{view}")
        page.locator(thing).first.wait_for()
        page.wait_for_load_state("networkidle")
        turn(away=True)
        asked.clear()
        page.clock.run_for(600_000)
        assert asked == []
        with page.expect_response(re.compile("/api/monitors")):
            turn(away=False)  # at once
        with page.expect_response(re.compile("/api/monitors")):
            page.clock.run_for(10_000)


def test_all_is_reached_by_the_keyboard_and_the_focus_is_seen(page: Page, api: Api) -> None:
    monitor = api.start(jobId=new_job_id(), pollIntervalSeconds=60)["id"]
    for view, things in {**VIEWS, f"monitors/{monitor}": MONITOR}.items():
        page.goto("about:blank")
        page.goto(f"/api/ui#/{view}")
        page.locator(things[0]).first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        wanted = page.evaluate(FOCUSABLE)
        reached: list[str] = []
        for _ in range(len(wanted) + 5):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        assert [each for each in wanted if each not in reached] == [], view
        assert [each for each in reached if each.endswith("unseen")] == [], view
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
    expect(page.locator(".said p").first).to_have_text("The watch is changed.")
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
