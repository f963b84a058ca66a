"""The local backend keeps the contract."""

from __future__ import annotations

import pytest

from reviewml.backends.local.backend import LocalBackend
from reviewml.interfaces import Backend
from reviewml.testing import BackendContract


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return LocalBackend()
