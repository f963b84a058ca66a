"""One model in Snowflake's registry: its versions, what is known about them, and their files."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, literal
from reviewml.backends.snowflake.registry.method_signatures import Method
from reviewml.errors import BackendError, DamagedModel
from reviewml.registries.base import Event, ModelVersion
from reviewml.saving.json_codec import decode, encode
from reviewml.saving.manifest import is_outside, read_fingerprint
from reviewml.untrusted import parse_document

OURS = "reviewml"
"""Where in a version's metadata is what we keep there."""

SCHEMA = {"snowpark_ml_schema_version": "2024-01-01"}
"""What Snowflake's client wants of metadata that it is to read metrics from."""

FOLDER = "/artifacts/pipeline/"
"""Where in a version the saved pipeline is."""


@dataclasses.dataclass(frozen=True)
class VersionMetadata:
    """What we keep in the metadata of a version.

    Parameters
    ----------
    logged
        When and why it was.
    manifest
        Hash of the manifest of the saved pipeline.
    methods
        What can be run there, by name.
    moved
        Aliases that were moved to it.
    metrics
        Its figures.
    """

    logged: Event
    manifest: str | None
    methods: Mapping[str, Method]
    moved: tuple[Event, ...] = ()
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def events(self) -> tuple[Event, ...]:
        """All that happened to the version."""
        return (self.logged, *self.moved)

    @classmethod
    def parse(cls, metadata: str | None) -> VersionMetadata | None:
        """Read the metadata of a version; None when it is not ours."""
        known = parse_document((metadata or "{}").encode(), "the metadata of a version")
        if not isinstance(known, dict) or OURS not in known:
            return None
        try:
            ours = known[OURS]
            return cls(
                logged=Event.parse(ours["logged"]),
                manifest=ours["manifest"],
                methods={name: Method(**method) for name, method in ours["methods"].items()},
                moved=tuple(Event.parse(event) for event in ours["moved"]),
                metrics=_keep_numbers(decode(known.get("metrics", {}), {})),
            )
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise DamagedModel(
                f"the metadata of a version is not what was logged: {error}"
            ) from None

    def text(self) -> str:
        """Return the metadata as JSON, figures where Snowflake shows them."""
        ours = dataclasses.asdict(self)
        metrics = encode(ours.pop("metrics"), {})
        return json.dumps({"metrics": metrics, OURS: ours, **SCHEMA}, allow_nan=False)


def _keep_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    # Others may be set in Snowflake, of any kind.
    return {name: value for name, value in metrics.items() if isinstance(value, float | int)}


@dataclasses.dataclass(frozen=True)
class StoredVersion:
    """A version of ours.

    Parameters
    ----------
    number
        As we count.
    aliases
        That stand for it.
    record
        What is kept about it.
    services
        Names of those that run it, as SQL.
    """

    number: int
    aliases: tuple[str, ...]
    record: VersionMetadata
    services: tuple[str, ...] = ()

    def describe_version(self, name: str) -> ModelVersion:
        """Return it as registries do."""
        created, metrics = self.record.logged.time, self.record.metrics
        return ModelVersion(name, self.number, created, self.aliases, metrics)


@dataclasses.dataclass(frozen=True)
class ModelHandle:
    """A model in Snowflake's registry.

    Parameters
    ----------
    database
        Where statements run.
    name
        With database and schema.
    """

    database: SnowflakeSession
    name: Name

    def versions(self) -> list[StoredVersion]:
        """Return the versions of ours, oldest first."""
        found = (
            (number, row, VersionMetadata.parse(row["metadata"]))
            for row in self._show_versions()
            if (number := _parse_number(row["name"])) is not None
        )
        ours = [(number, row, record) for number, row, record in found if record is not None]
        known = {number: _parse_aliases(row["aliases"]) for number, row, _ in ours}
        aliases = _resolve_aliases([record for *_, record in ours], known)
        kept = [
            StoredVersion(
                number,
                tuple(sorted(alias for alias, at in aliases.items() if at == number)),
                record,
                _parse_services(row.get("inference_services")),
            )
            for number, row, record in ours
        ]
        return sorted(kept, key=lambda version: version.number)

    def next_number(self) -> int:
        """Return one more than the newest version has, whoever made that."""
        return (
            max((_parse_number(row["name"]) or 0 for row in self._show_versions()), default=0) + 1
        )

    def keep(self, number: int, record: VersionMetadata) -> None:
        """Write down what is known about a version."""
        text = literal(record.text())
        self.database.run(f"{self._modify_version_sql(number)} SET METADATA = {text}")

    def comment(self, number: int, text: str) -> None:
        """Have Snowflake show a text beside a version."""
        self.database.run(f"{self._modify_version_sql(number)} SET COMMENT = {literal(text)}")

    def move(self, alias: str, number: int, record: VersionMetadata) -> None:
        """Point an alias at a version, of which the record says so.

        Until the record is written the alias stands for what it did, and for this version from
        then on. SQL is told as far as Snowflake allows [1]_: a version has one alias at most, which
        is a name without quotes.

        .. [1] https://docs.snowflake.com/en/sql-reference/sql/alter-model
        """
        self._take(alias, number)
        self.keep(number, record)
        if PLAIN.fullmatch(alias):
            try:
                self._show(alias, number)
            except BackendError as error:
                warnings.warn(
                    f"{alias!r} stands for version {number} of {self.name} here, and in SQL it "
                    f"does not: {error}",
                    stacklevel=4,
                )

    def _take(self, alias: str, number: int) -> None:
        """Take an alias in SQL from another version than one."""
        held = self._find_shown_version(alias)
        if held is None or held == number:
            return
        try:
            self.database.run(f"{self._alter_version_sql(held)} UNSET ALIAS")
        except BackendError:
            # Somebody else may have done it in the same moment.
            if self._find_shown_version(alias) == held:
                raise

    def _show(self, alias: str, number: int) -> None:
        """Give a version an alias in SQL, instead of the one that it has."""
        known = self._list_shown_aliases()[number]
        if alias.upper() in known:
            return
        if known:
            self.database.run(f"{self._alter_version_sql(number)} UNSET ALIAS")
        self.database.run(f"{self._alter_version_sql(number)} SET ALIAS = {alias}")

    def _find_shown_version(self, alias: str) -> int | None:
        """Return the version that an alias stands for in SQL."""
        known = self._list_shown_aliases().items()
        return next((at for at, aliases in known if alias.upper() in aliases), None)

    def _list_shown_aliases(self) -> dict[int, tuple[str, ...]]:
        shown = ((_parse_number(row["name"]), row["aliases"]) for row in self._show_versions())
        return {number: _parse_aliases(listed) for number, listed in shown if number is not None}

    def fetch(self, version: StoredVersion, folder: Path) -> Path:
        """Copy the saved pipeline of a version into a folder, and return where it is.

        Raises
        ------
        DamagedModel
            When it is not what was logged.
        """
        root = f"snow://model/{self.name}/versions/{name_version(version.number)}/"
        target = folder / "pipeline"
        for name in self._list_files(root):
            place = name.partition(FOLDER)[2]
            # What others put there may have any name.
            if is_outside(place):
                raise self._damage_error(version)
            self.database.get(root + name, (target / place).parent)
        if read_fingerprint(target) != version.record.manifest:
            raise self._damage_error(version)
        return target

    def _damage_error(self, version: StoredVersion) -> DamagedModel:
        return DamagedModel(
            f"the files of {self.name}, version {name_version(version.number)}, are not those "
            "that were logged. Nothing was loaded; log the model again."
        )

    def _list_files(self, root: str) -> Iterator[str]:
        for row in self.database.select_records(f"LIST {literal(root + 'model/models/')}"):
            # Listed with the version in front.
            name = row["name"].partition("/")[2].partition("/")[2]
            if FOLDER in name:
                yield name

    def _modify_version_sql(self, number: int) -> str:
        return f"ALTER MODEL {self.name} MODIFY VERSION {name_version(number)}"

    def _alter_version_sql(self, number: int) -> str:
        return f"ALTER MODEL {self.name} VERSION {name_version(number)}"

    def _show_versions(self) -> Sequence[dict[str, Any]]:
        return self.database.select_records(f"SHOW VERSIONS IN MODEL {self.name}")


def name_version(number: int) -> str:
    """Name a version as Snowflake does.

    Examples
    --------
    >>> name_version(3)
    'V3'
    """
    return f"V{number}"


def _parse_number(name: str) -> int | None:
    found = re.fullmatch("V([1-9][0-9]{0,17})", name)
    return int(found[1]) if found else None


def _parse_aliases(listed: str | None) -> tuple[str, ...]:
    return tuple(a for a in json.loads(listed or "[]") if a not in GIVEN)


def list_events(records: Iterable[VersionMetadata]) -> list[Event]:
    """List the events of versions, oldest first."""
    events = (event for record in records for event in record.events)
    return sorted(events, key=lambda event: event.time)


def _resolve_aliases(
    records: Sequence[VersionMetadata], known: Mapping[int, Sequence[str]]
) -> dict[str, int]:
    """Return the version of each alias.

    Parameters
    ----------
    records
        Of all versions. They say which one an alias was moved to last, with reviewml.
    known
        Aliases that Snowflake has of each version. Should one be another's there, somebody has
        moved it by other means, and since.
    """
    events = list_events(records)
    moved = {event.alias: event.version for event in events if event.alias is not None}
    there = {alias: number for number, aliases in known.items() for alias in aliases}
    found = {alias: there.get(alias.upper(), number) for alias, number in moved.items()}
    spelled = {alias.upper() for alias in moved}
    return found | {alias: at for alias, at in there.items() if alias.upper() not in spelled}


def _parse_services(listed: str | None) -> tuple[str, ...]:
    # Besides services, the jobs that built their images are listed.
    return tuple(name for name in json.loads(listed or "[]") if "MODEL_BUILD_" not in name)


PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")
"""Names that need no quotes in SQL."""

GIVEN = ("DEFAULT", "FIRST", "LAST", "LIVE")
"""Aliases that Snowflake gives."""
