"""The job that Dagster runs."""
# mypy: ignore-errors

import hashlib
import time

from dagster import Definitions, in_process_executor, job, op


@op(config_schema={"seconds": float, "fail": bool})
def wait(context) -> None:
    """Work for some seconds, then fail if asked to."""
    digest, end = "", time.monotonic() + context.op_config["seconds"]
    while time.monotonic() < end:
        digest = hashlib.sha256(digest.encode() * 1_000).hexdigest()
        time.sleep(0.01)
    if context.op_config["fail"]:
        raise RuntimeError("asked to fail")


@job(executor_def=in_process_executor)
def work() -> None:
    wait()


defs = Definitions(jobs=[work])
