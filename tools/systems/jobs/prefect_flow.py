"""The flow that Prefect runs. As a program: deploy it, and print the deployment's id."""
# mypy: ignore-errors

import hashlib
import sys
import time
from pathlib import Path

from prefect import flow, task


@task
def hash_blocks(digest: str) -> str:
    """About half a second of work."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        digest = hashlib.sha256(digest.encode() * 1_000).hexdigest()
    return digest


@flow(name="work")
def work(seconds: float, fail: bool = False) -> str:
    """Work for some seconds, then fail if asked to."""
    digest, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        digest = hash_blocks(digest)
    if fail:
        raise RuntimeError("asked to fail")
    return digest


if __name__ == "__main__":
    here = Path(__file__)
    source = work.from_source(source=str(here.parent), entrypoint=f"{here.name}:work")
    deployment = source.deploy(
        "systems", work_pool_name=sys.argv[1], build=False, print_next_steps=False
    )
    print(deployment)
