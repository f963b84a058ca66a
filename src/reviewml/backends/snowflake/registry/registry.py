"""SnowflakeRegistry: saved pipelines in Snowflake's model registry, to be run there."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.identifiers import Name
from reviewml.backends.snowflake.registry.log_model import get_client_version, upload
from reviewml.backends.snowflake.registry.method_signatures import list_methods
from reviewml.backends.snowflake.registry.model_queries import (
    RunnableModel,
    enrich_query,
    list_columns,
    select_rows,
)
from reviewml.backends.snowflake.registry.model_versions import (
    GIVEN,
    ModelHandle,
    StoredVersion,
    VersionMetadata,
    list_events,
    name_version,
)
from reviewml.backends.snowflake.registry.packaged_model import PackagedModel
from reviewml.errors import RegistryError
from reviewml.parameter_types import check_argument_types
from reviewml.pipeline import Pipeline, load
from reviewml.registries.base import (
    ALIAS,
    LOGGED,
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    check_reason,
    get_time,
)
from reviewml.saving.manifest import read_fingerprint
from reviewml.saving.metric_values import check_metrics
from reviewml.saving.signature import KeyFile, KeyFiles
from reviewml.storage.temporary import create_temporary_folder

if TYPE_CHECKING:
    from snowflake.snowpark import DataFrame

PLATFORMS = ("WAREHOUSE", "SNOWPARK_CONTAINER_SERVICES")

ATTEMPTS = 5
"""Times that something is tried while others are at work too."""


class SnowflakeRegistry(Registry):
    """Keeps pipelines in Snowflake's model registry, where they can also be run.

    A version is a model that scores rows of the enriched columns: it holds the folder that
    `Pipeline.save` writes, and reviewml itself. What Snowflake's client pickles of it is a class
    that reads that folder; loading reads the folder too, and never the pickle. Version 3 is ``V3``
    there, and names are as they are here, so SQL quotes them:
    ``MODEL("purchase", V3)!"predict"(…)``. Aliases are kept with the versions, since Snowflake's
    own are names without quotes, of which a version has one at most; SQL knows the last that it
    was given, where it is made of letters, digits and underscores, in either case:
    ``MODEL("purchase", champion)``.

    Parameters
    ----------
    connection
        As of `ConnectionConfig`.
    database, schema
        Where models are kept; those of the connection unless given.
    target_platforms
        Where models shall run.
    key
        PEM file of an Ed25519 private key that versions are signed with.
    verify
        PEM files of public keys, one of which must have signed what is loaded here.

    Examples
    --------
    >>> SnowflakeRegistry("prod", database="shop", schema="models")
    SnowflakeRegistry('prod', database='shop', schema='models')
    """

    @check_argument_types
    def __init__(
        self,
        connection: Connection = None,
        *,
        database: str | None = None,
        schema: str | None = None,
        target_platforms: Sequence[str] = PLATFORMS,
        key: KeyFile | None = None,
        verify: KeyFiles | None = None,
    ) -> None:
        self.connection = connection
        self.database = database
        self.schema = schema
        self.target_platforms = target_platforms
        self.key = key
        self.verify = verify

    def __repr__(self) -> str:
        where = f"database={self.database!r}, schema={self.schema!r}"
        return f"SnowflakeRegistry({ConnectionConfig(self.connection)!r}, {where})"

    # -- keeping ------------------------------------------------------------------------------

    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        check_name(name)
        if alias is not None:
            self._check_alias(name, alias)
        check_reason(reason)
        figures = check_metrics(metrics)
        with create_temporary_folder() as folder:
            saved = pipeline.save(folder / "pipeline", metrics=figures, key=self.key)
            methods = list_methods(PackagedModel.load(saved))
            self._require_plain_name(name)
            number = self._upload(name, saved)
            event = Event(self._make_next_time(name), LOGGED, number, alias, reason)
            record = VersionMetadata(event, read_fingerprint(saved), methods, (), figures)
        self._keep(name, event, record)
        if reason:
            self._make_handle(name).comment(number, reason)
        return self.find(f"{name}@{number}")

    def load(self, reference: str) -> Pipeline:
        with self.fetch(reference) as folder:
            return load(folder, verify=self.verify)

    @contextlib.contextmanager
    def fetch(self, reference: str) -> Iterator[Path]:
        name, version = self._find_version(reference)
        with create_temporary_folder() as folder:
            yield self._make_handle(name).fetch(version, folder)

    def versions(self, name: str) -> list[ModelVersion]:
        return [version.describe_version(name) for version in self._require_versions(name)]

    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        self._check_alias(name, alias)
        check_reason(reason)
        _, found = self._find_version(f"{name}@{version}")
        event = Event(self._make_next_time(name), ALIAS, found.number, alias, reason)
        record = dataclasses.replace(found.record, moved=(*found.record.moved, event))
        self._keep(name, event, record)

    def history(self, name: str) -> list[Event]:
        return list_events(version.record for version in self._require_versions(name))

    def names(self) -> list[str]:
        return sorted(name for name in self._list_all_names() if self._make_handle(name).versions())

    def set_default(self, name: str, version: int) -> None:
        """Set the version that SQL uses where it names none; until then the first."""
        _, found = self._find_version(f"{name}@{version}")
        target = name_version(found.number)
        self._open_session().run(f"ALTER MODEL {self._name(name)} SET DEFAULT_VERSION = {target}")

    # -- running ------------------------------------------------------------------------------

    def run(
        self,
        reference: str,
        rows: str | DataFrame,
        *,
        method: str = "predict",
        service: str | None = None,
    ) -> DataFrame:
        """Score rows in a warehouse, or on a service; they stay there.

        Parameters
        ----------
        reference
            As of `load`.
        rows
            Name of a table or view, or a Snowpark data frame, with the enriched columns under
            the names that the pipeline was fitted on, or the same in upper case.
        method
            ``"predict"``, ``"predict_proba"`` or ``"explain"``.
        service
            Name of a service that `client_version` made, in the schema of the models unless it
            says. It runs one version, for which it was made: another reference is refused.

        Returns
        -------
        snowflake.snowpark.DataFrame
            The rows with the columns of the method: ``prediction``, ``probability`` (one for
            each class when there are more than two), or the contribution of each feature. It is
            computed when it is used.

        Raises
        ------
        SchemaError
            When a column is missing, or one that the method adds is there already.
        RegistryError
            When the service runs another version.
        """
        place = None if service is None else self._qualify_name(Name.parse(service))
        query = self._make_runnable(reference).query(select_rows(rows), method, place)
        return self._open_session().session.sql(query)

    def create_view(self, name: str, rows: str, reference: str, *, method: str = "predict") -> None:
        """Make a view that enriches rows by SQL, and scores them.

        Each time it is read, each row is asked about again; a table of
        ``pipeline.on("snowflake").enrich(rows)`` is asked about once. It holds to the version
        that the reference stands for now.

        Parameters
        ----------
        name
            Of the view; one of that name is replaced.
        rows
            Name of a table or view, with the columns that the pipeline was fitted on.
        reference, method
            As of `run`.

        Raises
        ------
        CapabilityError
            When an enricher is computed in Python, naming it.
        SchemaError
            When the rows lack a column, or have one that is added.
        """
        database = self._open_session()
        given = select_rows(rows)
        source = enrich_query(self.load(reference), given, list_columns(database, given))
        query = self._make_runnable(reference).query(source, method)
        database.run(f"CREATE OR REPLACE VIEW {Name.parse(name)} AS {query}")

    def client_version(self, reference: str) -> Any:
        """Return the ``ModelVersion`` of Snowflake's client, for services and batches.

        Its ``create_service`` makes what `run` takes as ``service``, and its ``run_batch`` scores
        rows on a compute pool. Methods have their names in double quotes there:
        ``function_name='"predict"'``.
        """
        name, version = self._find_version(reference)
        return get_client_version(self._open_session(), self._name(name), version.number)

    # -- inside -------------------------------------------------------------------------------

    def _open_session(self) -> SnowflakeSession:
        return ConnectionConfig(self.connection).database()

    def _name(self, name: str) -> Name:
        return self._qualify_name(Name((name,)))

    def _qualify_name(self, name: Name) -> Name:
        """Return a name with the database and schema of the models where it lacks them."""
        here = self._open_session().qualify_schema(self.database, self.schema).parts
        return Name((*here[: 3 - len(name.parts)], *name.parts))

    def _make_runnable(self, reference: str) -> RunnableModel:
        name, version = self._find_version(reference)
        return RunnableModel(self._make_handle(name), version)

    def _make_handle(self, name: str) -> ModelHandle:
        return ModelHandle(self._open_session(), self._name(name))

    def _list_all_names(self) -> list[str]:
        schema = self._open_session().qualify_schema(self.database, self.schema)
        found = [
            row["name"]
            for row in self._open_session().select_records(f"SHOW MODELS IN SCHEMA {schema}")
        ]
        return [name for name in found if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)]

    def _require_versions(self, name: str) -> list[StoredVersion]:
        check_name(name)
        if versions := self._list_versions(name):
            return versions
        raise self.not_found(name)

    def _list_versions(self, name: str) -> list[StoredVersion]:
        """Return the versions of a model, none where there is none."""
        return self._make_handle(name).versions() if name in self._list_all_names() else []

    def _find_version(self, reference: str) -> tuple[str, StoredVersion]:
        found = self.find(reference)
        [version] = [v for v in self._require_versions(found.name) if v.number == found.version]
        return found.name, version

    def _check_alias(self, name: str, alias: str) -> None:
        check_alias(alias)
        if alias.upper() in GIVEN:
            raise RegistryError(
                f"{alias!r} cannot be an alias in Snowflake, which gives {', '.join(GIVEN)} itself."
            )
        for other in (one for version in self._list_versions(name) for one in version.aliases):
            if other != alias and other.upper() == alias.upper():
                raise RegistryError(
                    f"{alias!r} cannot be told from the alias {other!r} in Snowflake, where case "
                    "does not matter: choose another one."
                )

    def _make_next_time(self, name: str) -> str:
        """Return the time of what happens now: after all that happened, by whatever clock."""
        before = list_events(version.record for version in self._list_versions(name))
        times = [datetime.datetime.fromisoformat(event.time) for event in before[-1:]]
        later = [time + datetime.timedelta(microseconds=1) for time in times]
        return max([datetime.datetime.fromisoformat(get_time()), *later]).isoformat()

    def _keep(self, name: str, event: Event, record: VersionMetadata) -> None:
        """Write down what happened to a version."""
        model, alias, number = self._make_handle(name), event.alias, event.version
        if alias is None:
            model.keep(number, record)
            return
        model.move(alias, number, record)
        [found] = [version for version in model.versions() if version.number == number]
        # Another's move of the same alias would be there, beside it.
        if event not in found.record.events:
            raise RegistryError(
                f"somebody else changed version {number} of {name!r} in the same moment: move "
                f"{alias!r} again."
            )

    def _upload(self, name: str, saved: Path) -> int:
        for attempt in range(ATTEMPTS):
            known = name in self._list_all_names()
            number = self._make_handle(name).next_number() if known else 1
            try:
                upload(self._open_session(), self._name(name), number, saved, self.target_platforms)
            except Exception:
                taken = (
                    name in self._list_all_names()
                    and self._make_handle(name).next_number() > number
                )
                if not taken or attempt == ATTEMPTS - 1:
                    raise
            else:
                return number
        raise AssertionError("the last attempt raises")

    def _require_plain_name(self, name: str) -> None:
        """Refuse a name that Snowflake's client would take for another: it looks by LIKE."""
        for other in self._list_all_names():
            if other != name and (_is_like(other, name) or _is_like(name, other)):
                raise RegistryError(
                    f"{name!r} cannot be told from {other!r}, which is there already, by "
                    "Snowflake's client: to it '_' is any letter, and case does not matter. "
                    "Choose another name."
                )


def _is_like(name: str, pattern: str) -> bool:
    wanted = re.escape(pattern).replace("_", ".")
    return re.fullmatch(wanted, name, re.IGNORECASE) is not None
