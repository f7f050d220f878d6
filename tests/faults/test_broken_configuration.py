"""An app that is configured wrongly says all that is wrong; one faulty source disables itself."""

from pathlib import Path

import pytest

from demo.azurite import Azurite
from demo.stack import Host
from tests.api import Api, new_job_id


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        (None, ["can't be read"]),
        pytest.param("nonsense", ["TOML"], marks=pytest.mark.long),
        pytest.param(
            '[sources.a]\npreset = "slum"',
            ["there are: airflow-2", "slurm"],
            marks=pytest.mark.long,
        ),
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
        public = api.call("GET", "/api/health")
        assert (public.status_code, public.json()["errors"]) == (503, [])
        assert public.json()["faultCount"] >= 1
        for text in (*told, sources.name):
            assert text not in public.text
            assert text in host.log.read_text()
        start = api.post({"source": "a", "jobId": new_job_id()})
        assert start.status_code == 503
        assert start.json()["errors"]
        health = api.call("GET", "/api/health/details")
        assert health.status_code == 503
        assert health.json()["detail"] == "The app is not configured."
        for text in told:
            assert text in str(health.json()["errors"])
        # All that needs no source goes on: live monitors are shown, and can be ended.
        assert api.call("GET", "/api/monitors").json()["monitors"] == []
        assert api.call("GET", "/api/sources").status_code == 200


SOUND = """
[sources.{name}]
status.url = "http://127.0.0.1:9/{{job_id}}"
status.status = "state"
outcomes.succeeded = ["ok"]
"""


def test_one_faulty_source_disables_itself(store: Azurite, tmp_path: Path) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(SOUND.format(name="good") + SOUND.format(name="bad"))
    host = Host(tmp_path / "hub.db", tmp_path / "host.log")
    host.environment = {
        "AzureWebJobsStorage": store.connection_string,
        "JOB_SOURCES_FILE": str(sources),
    }
    job_id = new_job_id()
    watched = {"source": "bad", "jobId": job_id, "pollIntervalSeconds": 1}
    with host:
        assert Api(host.url).post(watched).status_code == 202
    sources.write_text(SOUND.format(name="good") + SOUND.format(name="bad") + "colour = 1\n")
    with host:
        api = Api(host.url)
        health = api.call("GET", "/api/health")
        assert health.status_code == 200
        assert health.json() == {"status": "degraded", "disabledSources": 1, "faults": 1}
        details = api.call("GET", "/api/health/details")
        assert details.json().items() > health.json().items()
        assert "colour" in str(details.json()["errors"])
        refused = api.post({"source": "bad", "jobId": new_job_id()})
        assert refused.status_code == 503
        assert "source bad is disabled" in refused.json()["detail"]
        assert "colour" in str(refused.json()["errors"])
        assert api.post({"source": "good", "jobId": new_job_id()}).status_code == 202
        shown = api.call("GET", "/api/sources").json()
        assert [each["name"] for each in shown["sources"]] == ["good"]
        assert [each["name"] for each in shown["disabled"]] == ["bad"]
        assert api.call("POST", "/api/sources/bad/check?jobId=1").status_code == 503
        # I6: its live monitor waits, and is flagged.
        waiting = api.wait(f"bad.{job_id}", lambda shown: shown["monitor"]["blind"])
        assert waiting["monitor"]["state"] == "Monitoring"
        assert "colour" in waiting["monitor"]["detail"]
