"""An app that is configured wrongly serves no monitor, and says all that is wrong."""

from pathlib import Path

import pytest

from demo.azurite import Azurite
from demo.stack import Host
from tests.api import Api, new_job_id


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        (None, ["can't be read"]),
        ("nonsense", ["TOML"]),
        ('[sources.a]\npreset = "slum"', ["there are: airflow-2", "slurm"]),
        ('[sources.a]\npreset = "slurm"', ["sources.a.parameters] url", "presets/slurm.toml"]),
        ('[sources.a]\ncolour = 1\n[sources.b.status]\nurl = "x"', ["colour", "sources.b"]),
    ],
)
def test_health_says_why_and_starts_are_refused(
    store: Azurite, tmp_path: Path, toml: str | None, told: list[str]
) -> None:
    sources = tmp_path / "sources.toml"
    if toml is not None:
        sources.write_text(toml)
    host = Host(tmp_path / "hub.db", tmp_path / "host.log")
    host.healthy_only = False
    host.environment = {
        "AzureWebJobsStorage": store.connection_string,
        "JOB_SOURCES_FILE": str(sources),
    }
    with host:
        api = Api(host.url)
        for answer in (api.call("GET", "/api/health"), api.post({"jobId": new_job_id()})):
            assert answer.status_code == 503
            assert answer.json()["detail"] == "The app is not configured."
            for text in told:
                assert text in str(answer.json()["errors"])
