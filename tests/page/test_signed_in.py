"""The page where people sign in: `AUTH=entra`, behind the platform that checks them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Store
from tests.faulty_source import FaultySource
from tests.page.conftest import app
from tests.page.platform import ANN, Platform
from tests.page.test_page import assert_no_barrier, keep, start

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def platform(
    store: Store, lab: FaultySource, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("signed-in")
    with (
        app(folder, store, lab, AUTH="entra", WEBSITE_AUTH_ENABLED="True") as url,
        Platform(url) as platform,
    ):
        yield platform


@pytest.fixture(scope="module")
def base_url(platform: Platform) -> str:
    return platform.url


def actions(page: Page) -> set[str]:
    """The first words of the actions that a monitor's view offers."""
    page.locator("svg.bar rect").first.wait_for()
    buttons = page.locator(".actions button").all_inner_texts()
    return {text.partition(" ")[0] for text in buttons}


def views(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Views").get_by_role("link").all_inner_texts()


def test_a_person_does_what_the_roles_allow(page: Page, platform: Platform) -> None:
    platform.passed.clear()
    platform.roles = ("read", "start")
    page.goto("/api/ui#/sources")
    expect(page.locator("h1")).to_have_text("Sign in")
    assert page.get_by_label("Function key").count() == 0
    assert [each.path for each in platform.passed if "/api/me" in each.path] == ["/api/me"]
    page.get_by_role("link", name="Sign in").click()
    # Back where the person wanted to be.
    expect(page.locator("h1")).to_have_text("Sources")
    expect(page.locator(".who .name")).to_have_text(ANN)
    expect(page.get_by_role("button", name="Forget the key")).to_have_count(0)
    source = page.locator("section:has(#source-demo)")
    expect(source.get_by_role("link", name="Start")).to_be_visible()
    expect(source.get_by_role("button", name="Pause")).to_have_count(0)

    start(page, 300)
    expect(page.locator(".lead .state")).to_have_text("▶Monitoring")
    assert actions(page) == {"Look", "Pause", "Change", "Restart"}
    for button, said in (
        ("Look now", "The watch polls now."),
        ("Pause", "The polls are held. The watch still expires."),
        ("Go on", "The polls go on."),
        ("Restart", "The watch began anew, as run 2."),
    ):
        page.get_by_role("button", name=button).click()
        expect(page.locator(".said p").first).to_have_text(said)
    log = page.get_by_role("region", name="Log").locator("tbody tr")
    expect(log.filter(has_text="Settings changed").first).to_contain_text(ANN)
    keep(page, "signed-in")
    assert_no_barrier(page, "signed in")

    platform.roles = ("read", "stop")
    page.reload()
    assert actions(page) == {"Stop"}  # with the job, and without
    assert "Start" not in views(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".said p").first).to_have_text("The watch ends. The job goes on.")
    expect(page.locator(".lead .state")).to_have_text("■Stopped", timeout=30_000)

    platform.roles = ("read",)
    page.reload()
    assert actions(page) == set()
    for view, thing in (
        ("sources", "#source-demo"),
        ("channels", "#channel-ops"),
        ("housekeeping", "#cleanup"),
    ):
        page.goto(f"/api/ui#/{view}")
        page.locator(thing).wait_for()
        expect(page.locator(".actions button, .actions a")).to_have_count(0)
    assert not any("x-functions-key" in map(str.lower, each.headers) for each in platform.passed)


def test_who_has_no_role_reads_why(page: Page, platform: Platform) -> None:
    platform.roles = ()
    page.goto("/.auth/login/aad?post_login_redirect_uri=/api/ui")
    expect(page.locator("h1")).to_have_text("No access")
    expect(page.get_by_role("alert")).to_contain_text("The role read is needed here.")
    keep(page, "no-access")
    assert_no_barrier(page, "no access")


def test_a_sign_in_that_ended_is_said(page: Page, platform: Platform) -> None:
    platform.roles = ("read",)
    page.goto("/.auth/login/aad?post_login_redirect_uri=/api/ui")
    expect(page.locator("h1")).to_have_text("Monitors")
    page.context.clear_cookies()
    page.get_by_role("button", name="Sign in again").click(timeout=30_000)
    expect(page.locator("h1")).to_have_text("Sign in")


FETCH = """([url, options]) => fetch(url, {method: "POST", credentials: "include", ...options})
  .then(answer => answer.type, error => error.name)"""
FORM = """([url, type]) => {
  const form = Object.assign(document.createElement("form"), {
    method: "post", enctype: type, action: url,
  });
  document.body.append(form);
  form.submit();
}"""


def test_another_site_changes_nothing_with_the_cookie_of_a_person(
    page: Page, platform: Platform, lab: FaultySource
) -> None:
    """Another port of this machine gets the cookie sent too, as a site beside the app would."""
    platform.roles = ("read", "start", "stop")
    page.goto("/.auth/login/aad?post_login_redirect_uri=/api/ui")
    start(page, 300)
    page.locator(".lead .state").wait_for()
    monitor = page.url.rpartition("/")[2]
    stop = f"{platform.url}/api/monitors/{monitor}/stop"

    evil = page.context.new_page()
    lab.jobs["evil"] = {}  # any page of that origin
    evil.goto(f"{lab.url}/jobs/evil")
    platform.passed.clear()
    text, json = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
    for options, seen in (
        ({"mode": "no-cors"}, "opaque"),
        ({"mode": "no-cors", "headers": text, "body": "{}"}, "opaque"),
        # For these the browser asks first, and nobody allows them.
        ({"headers": json, "body": "{}"}, "TypeError"),
        ({"headers": {"X-Requested-With": "JobMonitor"}}, "TypeError"),
        ({"headers": {**json, "X-Requested-With": "JobMonitor"}}, "TypeError"),
    ):
        assert evil.evaluate(FETCH, [stop, options]) == seen
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        evil.goto(f"{lab.url}/jobs/evil")
        with evil.expect_navigation():
            evil.evaluate(FORM, [stop, kind])
        assert "A change needs its token" in evil.inner_text("body")
    changes = [each for each in platform.passed if each.method == "POST"]
    assert [(each.signed_in, each.status) for each in changes] == [(True, 403)] * 5

    page.reload()
    expect(page.locator(".lead .state")).to_have_text("▶Monitoring")
    # The page itself may.
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".said p").first).to_have_text("The watch ends. The job goes on.")
