"""The DAG that Airflow runs."""
# mypy: ignore-errors

import hashlib
import time

from airflow.sdk import Param, dag, task


@task
def hash_blocks(params: dict | None = None) -> str:
    """Work for some seconds, then fail if asked to."""
    digest, end = "", time.monotonic() + params["seconds"]
    while time.monotonic() < end:
        digest = hashlib.sha256(digest.encode() * 1_000).hexdigest()
        time.sleep(0.01)
    if params["fail"]:
        raise RuntimeError("asked to fail")
    return digest


@dag(
    dag_id="work",
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    params={
        "seconds": Param(default=1, type="number"),
        "fail": Param(default=False, type="boolean"),
    },
)
def work():
    hash_blocks()


work()
