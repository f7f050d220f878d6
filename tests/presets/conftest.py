from tests.adapters.conftest import _shared, server

__all__ = ["_shared", "server"]
