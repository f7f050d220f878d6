"""A stack of its own for tests that break parts: the job system is one that misbehaves."""

from collections.abc import Iterator

import pytest

from demo.stack import Stack
from tests.api import Api
from tests.faulty_source import FaultySource

SECRET = "planted-secret-7f3a9c"  # noqa: S105 - it is planted to be searched for
_SOURCE = """
[sources.{name}.status]
url = "{url}/jobs/{{job_id}}"
status = "status"
progress = "progress"
message = "message"
[sources.{name}.submit]
url = "{url}/jobs"
job_id = "id"
[sources.{name}.cancel]
url = "{url}/jobs/{{job_id}}/cancel"
[sources.{name}.outcomes]
running = ["queued", "processing"]
succeeded = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]
[sources.{name}.auth]
kind = "bearer"
token = "${{FAULTY_TOKEN}}"
[sources.{name}.http]
timeout_seconds = {timeout}
"""


class Rig:
    """The parts, the misbehaving job system, and the API."""

    def __init__(self, stack: Stack, source: FaultySource) -> None:
        self.stack, self.source = stack, source

    @property
    def api(self) -> Api:
        return Api(self.stack.host.url)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("rig")
    with FaultySource() as source:
        sources = folder / "sources.toml"
        # Most answers come at once, and a busy machine must not turn them into time-outs.
        patient = _SOURCE.format(name="demo", url=source.url, timeout=20)
        hasty = _SOURCE.format(name="hasty", url=source.url, timeout=0.5)
        sources.write_text('default = "demo"\n' + patient + hasty)
        stack = Stack(folder)
        stack.host.environment = {"JOB_SOURCES_FILE": str(sources), "FAULTY_TOKEN": SECRET}
        with stack:
            yield Rig(stack, source)
