"""A job from POST to its final row, black-box: these run on any host that serves the app.

The app must have the source `demo` with the demo job service behind it.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from tests.api import Api, Body, eventually, new_job_id

LINKS = {
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "rewindPostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
}


def job(seconds: float, workload: str = "checksum") -> Body:
    return {"workload": workload, "seconds": seconds}


def events(shown: Body) -> list[tuple[Any, ...]]:
    return [(line["event"], line["from"], line["to"]) for line in shown["log"]]


def test_a_job_is_started_watched_and_its_end_stored(api: Api) -> None:
    """I2, and I5: it is the request that has the job started."""
    started = api.start(job=job(1.5))
    assert set(started) == LINKS | {"monitor"}
    monitor = started["monitor"]
    assert monitor["state"] == "Monitoring"
    assert started["id"] == monitor["id"] == f"demo.{monitor['jobId']}"
    shown = api.ended(monitor["id"])
    assert shown["runtimeStatus"] == "Completed"
    row = shown["monitor"]
    assert (row["state"], row["rawStatus"], row["progress"]) == ("Succeeded", "completed", 100)
    assert row["polls"] >= 2
    assert datetime.fromisoformat(row["endedAt"]).tzinfo
    log = events(shown)
    assert log[0] == ("started", None, "Monitoring")
    assert log[-1] == ("ended", "completed", "Succeeded")
    assert ("status", "processing", "completed") in log
    status = api.call("GET", started["statusQueryGetUri"]).json()
    assert status["runtimeStatus"] == "Completed"
    assert status["output"]["state"] == "Succeeded"
    assert status["customStatus"]["rawStatus"] == "completed"


def test_a_job_that_fails_is_told_with_its_reason(api: Api) -> None:
    row = api.ended(api.start(job=job(0.5, "crash"))["id"])["monitor"]
    assert (row["state"], row["rawStatus"]) == ("Failed", "failed")
    assert row["message"]


def test_a_job_that_the_source_does_not_know_is_lost(api: Api) -> None:
    row = api.ended(api.start(jobId=new_job_id())["id"])["monitor"]
    assert (row["state"], row["outcome"]) == ("Lost", "notFound")
    assert row["polls"] >= 3
    assert row["reason"].endswith("the job was never seen.")


def test_a_watch_that_expires_leaves_the_job_alone_and_may_begin_again(api: Api) -> None:
    """I3: the new run keeps the earlier outcome in the log. I5: the job runs on."""
    first = api.start(job=job(3), timeoutSeconds=1)
    shown = api.ended(first["id"])
    assert shown["monitor"]["state"] == "Expired"
    assert shown["monitor"]["endedAt"] >= shown["monitor"]["expireTime"]
    again = api.start(jobId=first["monitor"]["jobId"])
    assert again["id"] == first["id"]
    assert again["monitor"]["run"] == 2
    shown = api.ended(first["id"])
    assert shown["monitor"]["state"] == "Succeeded"
    runs = [(line["run"], line["event"], line["to"]) for line in shown["log"]]
    assert (1, "ended", "Expired") in runs
    assert (2, "ended", "Succeeded") in runs


def test_an_ended_job_is_not_watched_again(api: Api) -> None:
    first = api.start(job=job(0.2))
    row = api.ended(first["id"])["monitor"]
    again = api.post({"jobId": row["jobId"]})
    assert again.status_code == 200
    assert again.json()["monitor"] == row


def test_fifty_starts_at_once_give_one_monitor(api: Api) -> None:
    """I1: one instance, and fifty answers that agree."""
    body = {"jobId": new_job_id(), "pollIntervalSeconds": 60, "timeoutSeconds": 120}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: Api(api.base_url).post(body), range(50)))
    assert sorted(a.status_code for a in answers) == [200] * 49 + [202]
    assert len({a.json()["id"] for a in answers}) == 1
    monitors = [a.json()["monitor"] for a in answers]
    assert {m["startedAt"] for m in monitors} == {monitors[0]["startedAt"]}
    shown = api.wait(monitors[0]["id"], lambda shown: shown["monitor"]["polls"] > 0)
    assert shown["monitor"]["polls"] == 1
    assert [line["event"] for line in shown["log"]] == ["started", "unseen"]
    assert (shown["logLines"], shown["logNext"]) == (2, None)


def test_a_start_with_other_settings_is_told_the_differences(api: Api) -> None:
    body = {"jobId": new_job_id(), "pollIntervalSeconds": 60, "timeoutSeconds": 120}
    assert api.post(body).status_code == 202
    assert api.post(body).status_code == 200
    assert api.post({"jobId": body["jobId"]}).status_code == 200
    answer = api.post(body | {"pollIntervalSeconds": 61})
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert [error["field"] for error in problem["errors"]] == ["pollIntervalSeconds"]
    assert problem["monitor"]["pollIntervalSeconds"] == 60


def test_a_terminate_shows_at_once_and_the_watch_may_begin_again(api: Api) -> None:
    started = api.start(jobId=new_job_id(), pollIntervalSeconds=60)
    url = started["terminatePostUri"].replace("{text}", "not+needed")
    assert api.call("POST", url).status_code == 202
    shown = api.wait(started["id"], lambda shown: shown["runtimeStatus"] == "Terminated", 10)
    assert shown["monitor"]["state"] == "Terminated"
    assert shown["monitor"]["reason"] == "not needed"
    again = api.start(jobId=started["monitor"]["jobId"])
    assert again["monitor"]["run"] == 2
    shown = api.ended(started["id"])
    assert shown["monitor"]["state"] == "Lost"
    assert (1, "ended", "Terminated") in [(li["run"], li["event"], li["to"]) for li in shown["log"]]


@pytest.mark.parametrize("cancel", [False, True])
def test_a_watch_is_stopped_and_the_job_only_if_asked(api: Api, cancel: bool) -> None:
    """I5: without `cancelJob` the job runs on, and a new watch sees it end."""
    started = api.start(job=job(3), pollIntervalSeconds=3600)
    api.wait(started["id"], lambda shown: shown["monitor"]["rawStatus"] == "processing")
    url = f"/api/monitors/{started['id']}/stop"
    answer = api.call("POST", url, params={"cancelJob": str(cancel).lower(), "reason": "enough"})
    assert answer.status_code == 202
    row = api.ended(started["id"])["monitor"]
    assert (row["state"], row["reason"]) == ("Stopped", "enough")
    assert row["cancelResult"] == ("accepted" if cancel else None)
    assert api.call("POST", url).status_code == 200
    assert api.start(jobId=row["jobId"])["monitor"]["run"] == 2
    ended = api.ended(started["id"])["monitor"]["state"]
    assert ended == ("Cancelled" if cancel else "Succeeded")


def test_a_watch_that_expires_cancels_the_job_if_asked(api: Api) -> None:
    """I5."""
    started = api.start(job=job(60), timeoutSeconds=1, onExpiry="cancel")
    row = api.ended(started["id"])["monitor"]
    assert (row["state"], row["cancelResult"]) == ("Expired", "accepted")
    again = api.start(jobId=row["jobId"])
    assert api.ended(again["id"])["monitor"]["state"] == "Cancelled"


def test_a_stuck_monitor_is_restarted_with_its_settings(api: Api) -> None:
    started = api.start(job=job(1), pollIntervalSeconds=1)
    suspend = started["suspendPostUri"].replace("{text}", "stuck")
    assert api.call("POST", suspend).status_code == 202
    api.wait(started["id"], lambda shown: shown["runtimeStatus"] == "Suspended")
    answer = api.call("POST", f"/api/monitors/{started['id']}/restart")
    assert answer.status_code == 202
    monitor = answer.json()["monitor"]
    assert monitor["run"] == 2
    assert monitor["expireTime"] == started["monitor"]["expireTime"]
    shown = api.ended(started["id"])
    assert (shown["monitor"]["state"], shown["monitor"]["run"]) == ("Succeeded", 2)
    assert api.call("POST", f"/api/monitors/{started['id']}/restart").status_code == 409


def test_restarts_at_once_join(api: Api) -> None:
    """I2: none of them ends the run that another has just begun."""
    started = api.start(job=job(60), pollIntervalSeconds=60)
    url = f"/api/monitors/{started['id']}/restart"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Api(api.base_url).call("POST", url), range(8)))
    assert {answer.status_code for answer in answers} == {202}, [each.text for each in answers]
    shown = api.wait(started["id"], lambda shown: shown["runtimeStatus"] == "Running")
    assert shown["monitor"]["state"] == "Monitoring"
    assert shown["monitor"]["run"] == max(each.json()["monitor"]["run"] for each in answers)


def test_the_list_shows_monitors_newest_first_in_pages(api: Api) -> None:
    job_id = new_job_id()
    first, second = (api.start(jobId=f"{job_id}-{n}", pollIntervalSeconds=60) for n in (1, 2))
    page = api.call("GET", "/api/monitors", params={"top": 1, "state": "Monitoring"}).json()
    assert [m["id"] for m in page["monitors"]] == [second["id"]]
    params = {"top": 1, "state": "Monitoring", "token": page["next"]}
    page = api.call("GET", "/api/monitors", params=params).json()
    assert [m["id"] for m in page["monitors"]] == [first["id"]]
    for filters in ({}, {"source": "demo"}, {"state": "Monitoring"}):
        query = {"jobId": f"{job_id}-1", **filters}
        page = api.call("GET", "/api/monitors", params=query).json()
        assert [m["id"] for m in page["monitors"]] == [first["id"]]
        assert page["next"] is None
    for prefix, found in ((job_id, [second, first]), (f"{job_id}-1", [first]), ("no such", [])):
        page = api.call("GET", "/api/monitors", params={"jobIdPrefix": prefix}).json()
        assert [m["id"] for m in page["monitors"]] == [each["id"] for each in found]
    for filters in ({"source": "nope"}, {"state": "Failed"}, {"label": "team:none"}):
        query = {"jobId": f"{job_id}-1", **filters}
        assert api.call("GET", "/api/monitors", params=query).json()["monitors"] == []


def test_suspend_and_resume_do_no_harm(api: Api) -> None:
    started = api.start(job=job(1))
    for change, status in (("suspend", "Suspended"), ("resume", "Running")):
        url = started[f"{change}PostUri"].replace("{text}", "maintenance")
        assert api.call("POST", url).status_code == 202
        eventually(lambda: api.get(started["id"])["runtimeStatus"], status.__eq__)
    assert api.ended(started["id"])["monitor"]["state"] == "Succeeded"


def test_a_hint_brings_the_poll_forward(api: Api) -> None:
    """I7: the watch would have slept for an hour."""
    started = api.start(job=job(0.5), pollIntervalSeconds=3600)

    def hint() -> Body:
        answer = api.call("POST", f"/api/monitors/{started['id']}/notify")
        assert answer.status_code in (200, 202)
        return api.get(started["id"])

    shown = eventually(hint, lambda shown: shown["monitor"]["state"] != "Monitoring")
    assert shown["monitor"]["state"] == "Succeeded"
    assert shown["monitor"]["polls"] <= 5  # a second apart, however many hints there were


@pytest.mark.parametrize(
    "job_id",
    ["a/b", "a#1", "a?x=1", "a b", "%2F", "a%2Fb", "ジョブ", "x" * 400, "..x", "@a@b", "a\\b"],
)
def test_an_awkward_job_id_is_watched_like_any_other(api: Api, job_id: str) -> None:
    unique = f"{job_id}{new_job_id()}"
    started = api.start(jobId=unique)
    assert started["monitor"]["jobId"] == unique
    assert started["id"] in started["statusQueryGetUri"]
    assert api.call("GET", started["statusQueryGetUri"]).json()["instanceId"] == started["id"]
    shown = api.wait(started["id"], lambda shown: shown["monitor"]["polls"] > 0)
    assert shown["monitor"]["outcome"] == "notFound"


def test_jobs_that_differ_in_case_only_have_a_monitor_each(api: Api) -> None:
    """I1."""
    job_id = new_job_id()
    answers = [api.start(jobId=each) for each in (job_id, job_id.upper())]
    assert answers[0]["id"].lower() != answers[1]["id"].lower()
    assert [a["monitor"]["jobId"] for a in answers] == [job_id, job_id.upper()]


def test_the_cleanup_is_started_once_and_says_what_it_did(api: Api) -> None:
    first, second = (api.call("POST", "/api/cleanup") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert set(first.json()) == LINKS
    assert first.json()["id"] == second.json()["id"] == "periodic-cleanup"

    shown: Body = eventually(
        lambda: api.call("GET", first.json()["statusQueryGetUri"]).json(),
        lambda shown: bool((shown["customStatus"] or {}).get("runs")),
    )
    assert shown["runtimeStatus"] == "Running"
    assert shown["customStatus"]["lastError"] is None


def test_a_source_is_checked_without_starting_anything(api: Api) -> None:
    [demo] = [s for s in api.call("GET", "/api/sources").json()["sources"] if s["name"] == "demo"]
    assert (demo["takesJobs"], demo["cancelsJobs"]) == (True, True)
    job_id = new_job_id()
    answer = api.call("POST", f"/api/sources/demo/check?jobId={job_id}")
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["source"] == "demo"
    assert shown["poll"]["outcome"] == "notFound"
    # The raw answer needs more than a function key.
    assert not {"request", "answer", "selected"} & shown.keys()
    assert api.call("GET", f"/api/monitors/demo.{job_id}").status_code == 404


def test_a_healthy_app_says_so_and_shows_nothing_else(api: Api) -> None:
    answer = api.call("GET", "/api/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    details = api.call("GET", "/api/health/details")
    assert (details.status_code, details.json()["status"]) == (200, "ready")
