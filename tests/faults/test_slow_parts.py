"""Parts that are slow: nobody waits who has nothing to do with them."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.api import Api, eventually, new_job_id
from tests.faults.conftest import RUNNING, Rig
from tests.faulty_source import Answer

_MANY = 24  # more than there are threads for them


def test_health_and_starts_do_not_wait_for_a_slow_check(rig: Rig) -> None:
    slow, quick, go_on = new_job_id(), new_job_id(), threading.Event()

    def answer() -> Answer:
        assert go_on.wait(20)
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
