"""Parts that are slow: nobody waits who has nothing to do with them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.api import Api, eventually, new_job_id
from tests.conftest import Store
from tests.faults.conftest import DONE, RUNNING, Rig, working
from tests.faulty_source import Answer, FaultySource, Reply

_MANY = 24  # more than there are threads for them


def test_health_and_starts_do_not_wait_for_a_slow_check(rig: Rig) -> None:
    slow, quick, go_on = new_job_id(), new_job_id(), threading.Event()

    def answer() -> Answer:
        assert go_on.wait(60)
        return RUNNING

    rig.source.behave(slow, answer)
    rig.source.behave(quick, RUNNING)
    before = len(rig.source.requests)

    def check() -> int:
        path = f"/api/sources/demo/check?jobId={slow}"
        return Api(rig.host.url).call("POST", path).status_code

    with ThreadPoolExecutor(_MANY) as pool:
        checks = [pool.submit(check) for _ in range(_MANY)]
        try:
            eventually(lambda: len(rig.source.requests) - before, lambda count: count >= 5)
            assert rig.api.call("GET", "/api/health").status_code == 200
            assert rig.api.post({"jobId": quick}).status_code == 202
            assert not any(each.done() for each in checks)
        finally:
            go_on.set()
        assert {each.result(30) for each in checks} == {200}


@pytest.mark.long
def test_a_receiver_that_hangs_holds_up_no_end_and_no_other_channel(
    tmp_path: Path, store: Store
) -> None:
    jobs, go_on = [new_job_id() for _ in range(8)], threading.Event()

    def never() -> Answer:
        go_on.wait(60)
        return Reply(204)

    with FaultySource() as deaf, FaultySource() as good:
        deaf.behave("submit", never)
        good.behave("submit", Reply(204))
        tables = (
            f'[channels.{name}]\nkind = "webhook"\nurl = "{server.url}"\n'
            for name, server in (("deaf", deaf), ("good", good))
        )
        with working(tmp_path, store.new_account(), "\n".join(tables)) as rig:
            try:
                for job_id in jobs:
                    rig.source.behave(job_id, DONE)
                    rig.api.start(jobId=job_id, notify=["deaf", "good"])
                for job_id in jobs:
                    assert rig.api.ended(f"demo.{job_id}")["monitor"]["state"] == "Succeeded"
                eventually(lambda: len(good.requests), lambda count: count == len(jobs))
                assert 1 <= len(deaf.requests) < len(jobs)
                assert not go_on.is_set()
            finally:
                go_on.set()
