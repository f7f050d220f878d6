"""The page in a real browser: Chromium, against the app on the local host.

Each view leaves pictures of it in the folder that PAGE_PICTURES names, if it names one.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect, sync_playwright

from demo.part import ROOT
from tests.api import Api, new_job_id

pytestmark = pytest.mark.long

AXE = (ROOT / "demo/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"
# Each view, with what must be there.
VIEWS = {
    "": "table.monitors tbody tr",
    "start": "textarea[name=job]",
    "sources": "section.card h2",
    "channels": "section.card h2",
    "housekeeping": "section h2",
}
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
    page.goto("/api/ui#/")
    page.locator(".counts a").first.click()
    assert "state=Monitoring" in page.url


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


def test_text_of_others_stays_text(page: Page, api: Api) -> None:
    job_id = f"{SCRIPT}\u202e{new_job_id()}"
    monitor = api.start(jobId=job_id, labels={"x": "<img src=x onerror=alert(1)>"})["id"]
    page.goto(f"/api/ui#/monitors/{monitor}")
    expect(page.locator("h1 bdi")).to_have_text(job_id)
    assert page.title() != "taken"
    assert page.locator("main img, main script").count() == 0


def test_every_fault_stands_at_its_field(page: Page) -> None:
    page.goto("/api/ui#/start")
    page.get_by_text("More settings").click()
    page.get_by_label("Poll every").fill("0")
    page.get_by_label("Watch for at most").fill("-1")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#field-pollIntervalSeconds-fault")).to_be_visible()
    expect(page.locator("#field-timeoutSeconds-fault")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_each_view_has_its_main_thing_and_no_barrier(
    page: Page, api: Api, theme: str, width: int
) -> None:
    monitor = api.start(jobId=new_job_id())["id"]
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    for view, thing in {**VIEWS, f"monitors/{monitor}": "svg.bar"}.items():
        page.goto(f"/api/ui#/{view}")
        page.locator(thing).first.wait_for()
        keep(page, f"{view.partition('/')[0] or 'list'}-{theme}-{width}")
        page.evaluate(AXE)
        found = page.evaluate(f"axe.run({RULES}).then(r => r.violations)")
        told = [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found]
        assert told == [], view
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{view} is wider than the window"


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
