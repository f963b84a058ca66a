"""The Ray backend keeps the contract, on a real cluster."""

from __future__ import annotations

import pytest

ray = pytest.importorskip("ray")

from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.interfaces import Backend  # noqa: E402
from reviewml.testing import BackendContract  # noqa: E402


@pytest.mark.usefixtures("ray_cluster")
class TestRayBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return RayBackend()
