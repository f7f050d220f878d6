import pytest

from tests.app.loading import ROOT, Loaded, load_app


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The app of this repository."""
    return load_app(ROOT, tmp_path_factory.mktemp("elsewhere"))
