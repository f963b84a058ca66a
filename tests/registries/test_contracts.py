"""The registries that come with reviewml keep the contract."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest

from reviewml.interfaces import Registry
from reviewml.registries.local import LocalRegistry
from reviewml.registries.mlflow import MlflowRegistry
from reviewml.registries.shared import SharedRegistry
from reviewml.testing import RegistryContract


class TestLocalRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        return LocalRegistry(tmp_path)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Path:
        return tmp_path


class TestSharedFolder(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        return SharedRegistry(tmp_path)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Path:
        return tmp_path


class TestSharedMemory(RegistryContract):
    @pytest.fixture
    def registry(self) -> Registry:
        return SharedRegistry(f"memory://{secrets.token_hex(8)}")


class TestMlflowFileStore(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
        pytest.importorskip("mlflow")
        # MLflow keeps its file store, but asks to be told that it is wanted; and whatever store
        # is in use, it makes an empty default one in the working directory.
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        monkeypatch.chdir(tmp_path)
        return MlflowRegistry((tmp_path / "store").as_uri())

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Path:
        return tmp_path


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables, which take seconds to make."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_registered_models()
    return path


class TestMlflowDatabase(RegistryContract):
    @pytest.fixture
    def registry(
        self, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Registry:
        # Beside a database MLflow keeps its files in the working directory.
        monkeypatch.chdir(tmp_path)
        shutil.copy(empty_database, "mlflow.db")
        return MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db")

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Path:
        return tmp_path
