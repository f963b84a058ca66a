"""Models of the registry, their versions and files."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import yaml
from fakesnow.instance import FakeSnow

from snowflake_double.models.warehouse import Warehouse
from snowflake_double.sessions import Full, Session
from snowflake_double.statements import Refused, exists, missing

MANIFEST = "MANIFEST.yml"


def now() -> str:
    """Return the time, as Snowflake shows it."""
    return datetime.datetime.now(datetime.UTC).isoformat(sep=" ", timespec="milliseconds")


@dataclasses.dataclass
class Version:
    """One version of a model.

    Parameters
    ----------
    name
        As in the catalogue.
    folder
        Of its files, as they were uploaded.
    """

    name: str
    folder: Path
    comment: str | None = None
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    created: str = dataclasses.field(default_factory=now)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the uploaded manifest says."""
        found: dict[str, Any] = yaml.safe_load((self.folder / MANIFEST).read_text("utf-8"))
        return found

    @property
    def methods(self) -> dict[str, dict[str, Any]]:
        """What the manifest says of each method."""
        return {method["name"]: method for method in self.manifest["methods"]}

    @property
    def platforms(self) -> list[str]:
        """Where it can run."""
        return self.manifest.get("target_platforms") or ["WAREHOUSE"]

    def files(self, path: str = "") -> list[tuple[str, Path]]:
        """Return the files whose path begins so, by path within the version."""
        found = [file for file in self.folder.rglob("*") if file.is_file()]
        named = sorted((file.relative_to(self.folder).as_posix(), file) for file in found)
        return [(name, file) for name, file in named if name.startswith(path)]


@dataclasses.dataclass
class Model:
    """A model with all its versions.

    Parameters
    ----------
    name
        Database, schema and name.
    """

    name: Full
    versions: dict[str, Version] = dataclasses.field(default_factory=dict)
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)
    default: str = ""
    comment: str | None = None
    created: str = dataclasses.field(default_factory=now)

    @property
    def given(self) -> dict[str, str]:
        """The aliases that every model has."""
        names = list(self.versions)
        return {"DEFAULT": self.default, "FIRST": names[0], "LAST": names[-1]}

    def version(self, name: str) -> Version:
        """Return a version by its name or alias."""
        name = {**self.aliases, **self.given}.get(name, name)
        if name not in self.versions:
            raise missing("Version", name)
        return self.versions[name]

    def aliases_of(self, version: Version) -> list[str]:
        """Return the aliases that stand for a version."""
        return [name for name, at in {**self.aliases, **self.given}.items() if at == version.name]


class Models:
    """All models of a double, and what runs their methods."""

    def __init__(self) -> None:
        self.warehouse = Warehouse()
        self._models: dict[Full, Model] = {}
        self._files = tempfile.TemporaryDirectory(prefix="snowflake_double_models_")
        self._uploads = 0

    @property
    def folder(self) -> Path:
        """Of the files of all versions."""
        return Path(self._files.name)

    def find(self, session: Session, name: str) -> Model:
        """Return a model by its name as it stands in a statement."""
        found = self._models.get(session.full(name))
        if found is None:
            raise missing("Model", name)
        return found

    def create(self, session: Session, name: str, version: str, source: Path) -> None:
        """Make a model of its first version."""
        if session.full(name) in self._models:
            raise exists(name)
        model = Model(session.full(name))
        self.add(model, version, source)
        self._models[model.name] = model

    def add(self, model: Model, version: str, source: Path) -> None:
        """Add a version of the files in a folder."""
        if version in model.versions:
            raise exists(version)
        if not (source / MANIFEST).is_file():
            raise Refused(398507, f"Unable to read file {MANIFEST}")
        self._uploads += 1
        folder = self.folder / str(self._uploads)
        shutil.copytree(source, folder)
        model.versions[version] = Version(version, folder)
        model.default = model.default or version

    def drop(self, model: Model) -> None:
        """Forget a model."""
        del self._models[model.name]

    def within(self, database: str, schema: str) -> list[Model]:
        """Return the models of a schema, sorted by name."""
        found = [model for model in self._models.values() if model.name[:2] == (database, schema)]
        return sorted(found, key=lambda model: model.name)


_models: weakref.WeakKeyDictionary[FakeSnow, Models] = weakref.WeakKeyDictionary()


def models_of(session: Session) -> Models:
    """Return the models of the double that a session is of."""
    return models_at(session.instance)


def models_at(instance: FakeSnow) -> Models:
    """Return the models of a double."""
    if instance not in _models:
        _models[instance] = Models()
    return _models[instance]
