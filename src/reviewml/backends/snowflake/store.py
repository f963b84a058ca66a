"""SnowflakeStore: an enrichment store in tables of Snowflake's."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviewml.backends.snowflake.connection.session import (
    Connection,
    ConnectionConfig,
    SnowflakeSession,
)
from reviewml.backends.snowflake.identifiers import Name, literal
from reviewml.backends.snowflake.tables.role_expressions import hash_ids_as_sql
from reviewml.backends.snowflake.tables.types import SqlType, find_sql_type, restore_column
from reviewml.backends.snowflake.tables.upload import stage_batches
from reviewml.data.store import EnrichmentStore, ShelfSummary
from reviewml.errors import SchemaError, StoreError
from reviewml.operations.value_store import Shelf, ValueStore
from reviewml.parameter_types import check_argument_types
from reviewml.rows.row_keys import KEY, hash_ids, list_ids
from reviewml.rows.windows import Duration
from reviewml.stores.ages import find_unused
from reviewml.stores.sqlite_codec import check_kept

KEYS_AT_ONCE = 16_384
"""Keys that a statement may name: it may have a million letters."""

PREFIX = "REVIEWML_STORE"

SHELVES = (
    "FINGERPRINT TEXT, ENRICHER TEXT, NAMES TEXT, HITS INTEGER, MISSES INTEGER, "
    "LAST_USED FLOAT, KEPT_IN TEXT"
)
"""Columns of the table of shelves."""

LINK = ["ID", "KEY"]

TABLE = "CREATE TRANSIENT TABLE IF NOT EXISTS {} ({}) DATA_RETENTION_TIME_IN_DAYS = 0"
"""Of what is deleted, Snowflake keeps no copy then."""


NOW = "DATE_PART(EPOCH_MICROSECOND, SYSDATE()) / 1000000"
"""Seconds since 1970 by Snowflake's clock, which is one for all machines that use a store."""


class SnowflakeStore(EnrichmentStore):
    """Keeps values in tables of Snowflake's, whose names begin with ``REVIEWML_STORE``.

    Parameters
    ----------
    connection
        As of `SnowflakeBackend`.
    schema
        Where the tables are, as ``schema`` or ``database.schema``; that of the session unless
        given.
    """

    @check_argument_types
    def __init__(self, connection: Connection = None, *, schema: str | None = None) -> None:
        self.connection = connection
        self.schema = schema

    def table(self, shelf: Shelf) -> Name:
        """Return the name of a shelf's table.

        Its columns are ``KEY``, in hexadecimal digits, and ``C0``, ``C1`` … for the values:
        moments as whole numbers, bytes in hexadecimal digits, lists and structs as JSON.
        """
        return self._name_table(hashlib.sha256(shelf.fingerprint.encode()).hexdigest()[:32].upper())

    def prepare(self, shelf: Shelf) -> None:
        check_kept(shelf.columns)
        database = self._with_table(shelf)
        cells = (
            ("FINGERPRINT", literal(shelf.fingerprint)),
            ("ENRICHER", literal(shelf.enricher)),
            ("NAMES", literal(json.dumps(shelf.columns.names))),
            ("LAST_USED", NOW),
            ("KEPT_IN", literal(self.table(shelf).parts[-1])),
        )
        row = ", ".join(f"{value} AS {name}" for name, value in cells)
        names = [name for name, _ in cells]
        database.run(
            f"MERGE INTO {self._shelves} AS t USING (SELECT {row}) AS s "
            "ON t.FINGERPRINT = s.FINGERPRINT "
            "WHEN MATCHED THEN UPDATE SET LAST_USED = s.LAST_USED WHEN NOT MATCHED THEN INSERT "
            f"({', '.join(names)}, HITS, MISSES) "
            f"VALUES ({', '.join(f's.{name}' for name in names)}, 0, 0)"
        )

    def find(self, shelf: Shelf, keys: pa.Array) -> tuple[npt.NDArray[np.int64], pa.RecordBatch]:
        cells = [kind.wire(f"t.C{place}") for place, kind in enumerate(_list_sql_types(shelf))]
        places, parts = [np.empty(0, np.int64)], [shelf.columns.empty_table()]
        for chunk in self._look_up(shelf, keys, cells):
            places.append(_to_integers(chunk.column(0)))
            columns = zip(chunk.columns[1:], shelf.columns, strict=True)
            parts.append(pa.table([restore_column(c, f) for c, f in columns], schema=shelf.columns))
        positions = np.concatenate(places)
        self.used(shelf, len(positions), len(keys) - len(positions))
        return positions, _combine_chunks(pa.concat_tables(parts))

    def used(self, shelf: Shelf, hits: int, misses: int) -> None:
        """Count how many values were looked up and found, and how many were not."""
        self._ensure_tables().run(
            f"UPDATE {self._shelves} SET HITS = HITS + {hits}, "
            f"MISSES = MISSES + {misses}, LAST_USED = {NOW} "
            f"WHERE FINGERPRINT = {literal(shelf.fingerprint)}"
        )

    def known(self, shelf: Shelf, keys: pa.Array) -> npt.NDArray[np.bool_]:
        mask = np.zeros(len(keys), bool)
        for chunk in self._look_up(shelf, keys, []):
            mask[_to_integers(chunk.column(0))] = True
        return mask

    def add(
        self, shelf: Shelf, keys: pa.Array, values: pa.RecordBatch, links: pa.RecordBatch
    ) -> None:
        self.prepare(shelf)
        # First: values that no id leads to could not be forgotten.
        self.link(links)
        if not len(keys):
            return
        names = ["KEY", *(f"C{place}" for place in range(len(shelf.columns)))]
        batch = pa.RecordBatch.from_arrays([_to_hex(keys), *values.columns], names)
        database = self._ensure_tables()
        incoming = stage_batches(database, [batch], [TEXT, *_list_sql_types(shelf)], names)
        database.run(
            f"MERGE INTO {self.table(shelf)} AS t USING (SELECT * FROM {incoming} "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY KEY ORDER BY KEY) = 1) AS s "
            f"ON t.KEY = s.KEY WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join(f's.{name}' for name in names)})"
        )

    def link(self, links: pa.RecordBatch) -> None:
        if not len(links):
            return
        database = self._ensure_tables()
        batch = pa.RecordBatch.from_arrays([_to_hex(column) for column in links.columns], LINK)
        incoming = stage_batches(database, [batch], [TEXT, TEXT], LINK)
        database.run(
            f"MERGE INTO {self.links} AS t USING (SELECT DISTINCT ID, KEY FROM {incoming}) AS s "
            "ON t.ID = s.ID AND t.KEY = s.KEY "
            "WHEN NOT MATCHED THEN INSERT (ID, KEY) VALUES (s.ID, s.KEY)"
        )

    def forget(self, ids: Iterable[Any]) -> int:
        listed = list_ids(ids)
        # As they were hashed here, and there.
        hashes = [key.hex() for key in hash_ids(listed)] + hash_ids_as_sql(listed)
        return sum(map(self._forget_ids, _split_chunks(hashes)))

    def _forget_ids(self, ids: Sequence[str]) -> int:
        database = self._ensure_tables()
        listed = ", ".join(map(literal, ids))
        led_to = f"SELECT DISTINCT KEY FROM {self.links} WHERE ID IN ({listed})"
        table = database.create_temporary_table(led_to)
        forgotten = f"KEY IN (SELECT KEY FROM {table})"
        tables = [self._qualify_name(shelf["KEPT_IN"]) for shelf in self._select_shelves()]
        gone = sum(_delete_rows(database, name, forgotten) for name in tables)
        _delete_rows(database, self.links, forgotten)
        return gone

    def prune(self, older_than: Duration) -> int:
        database, shelves, gone = self._ensure_tables(), self._select_shelves(), 0
        [(now,)] = database.run(f"SELECT {NOW}")
        old = find_unused([shelf["LAST_USED"] for shelf in shelves], older_than, float(now))
        for shelf, is_old in zip(shelves, old, strict=True):
            if is_old:
                table = self._qualify_name(shelf["KEPT_IN"])
                gone += database.count(table.sql)
                database.run(f"DROP TABLE {table}")
                fingerprint = literal(shelf["FINGERPRINT"])
                _delete_rows(database, self._shelves, f"FINGERPRINT = {fingerprint}")
        left = [self._qualify_name(shelf["KEPT_IN"]) for shelf in self._select_shelves()]
        keys = " UNION ALL ".join(f"SELECT KEY FROM {name}" for name in left)
        _delete_rows(database, self.links, f"KEY NOT IN ({keys})" if keys else "TRUE")
        return gone

    def describe(self) -> list[ShelfSummary]:
        return [self._make_summary(**shelf) for shelf in self._select_shelves()]

    def _make_summary(
        self,
        FINGERPRINT: str,
        ENRICHER: str,
        NAMES: str,
        HITS: int,
        MISSES: int,
        LAST_USED: float,
        KEPT_IN: str,
    ) -> ShelfSummary:
        names = json.loads(NAMES)
        sizes = "".join(f" + {_write_size(f'C{n}')}" for n in range(len(names)))
        [(rows, size)] = self._ensure_tables().run(
            f"SELECT COUNT(*), COALESCE(SUM({KEY.byte_width}{sizes}), 0) "
            f"FROM {self._qualify_name(KEPT_IN)}"
        )
        moment = datetime.datetime.fromtimestamp(LAST_USED, datetime.UTC)
        return ShelfSummary(
            FINGERPRINT, ENRICHER, tuple(names), int(rows), int(size), HITS, MISSES, moment
        )

    # -- tables ---------------------------------------------------------------------------------

    def _look_up(self, shelf: Shelf, keys: pa.Array, cells: Sequence[str]) -> Iterator[pa.Table]:
        """Yield positions of keys that have values, and cells of these."""
        database = self._with_table(shelf)
        listed = [f"{cell} AS V{place}" for place, cell in enumerate(cells)]
        first = 0
        for chunk in _split_chunks(_to_hex(keys).to_pylist()):
            keys_table = f"TABLE(FLATTEN(INPUT => PARSE_JSON({literal(json.dumps(chunk))})))"
            yield from database.stream_batches(
                f"SELECT {', '.join([f'f.INDEX + {first} AS PLACE', *listed])} "
                f"FROM {keys_table} AS f JOIN {self.table(shelf)} AS t ON t.KEY = f.VALUE::TEXT"
            )
            first += len(chunk)

    def _with_table(self, shelf: Shelf) -> SnowflakeSession:
        database = self._ensure_tables()
        columns = "".join(f", C{n} {kind.carried}" for n, kind in enumerate(_list_sql_types(shelf)))
        database.run(TABLE.format(self.table(shelf), f"KEY TEXT{columns}"))
        return database

    def _ensure_tables(self) -> SnowflakeSession:
        """Open a session, and create the tables that all shelves share."""
        database = ConnectionConfig(self.connection).database()
        for name, columns in ((self._shelves, SHELVES), (self.links, "ID TEXT, KEY TEXT")):
            if name not in database.made:
                database.run(TABLE.format(name, columns))
                database.made.add(name)
        return database

    def _select_shelves(self) -> list[dict[str, Any]]:
        names = [column.split()[0] for column in SHELVES.split(", ")]
        query = f"SELECT {', '.join(names)} FROM {self._shelves} ORDER BY LAST_USED DESC"
        return [dict(zip(names, row, strict=True)) for row in self._ensure_tables().run(query)]

    def _qualify_name(self, name: str) -> Name:
        before = Name.parse(self.schema).parts if self.schema else ()
        return Name((*before, name))

    def _name_table(self, what: str) -> Name:
        return self._qualify_name(f"{PREFIX}_{what}")

    @property
    def _shelves(self) -> Name:
        return self._name_table("SHELVES")

    @property
    def links(self) -> Name:
        """The name of the table of ids and the keys that they led to, both hashed."""
        return self._name_table("LINKS")

    def __getstate__(self) -> dict[str, Any]:
        return {"access": ConnectionConfig(self.connection), "schema": self.schema}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.connection = state["access"].connection
        self.schema = state["schema"]

    def __repr__(self) -> str:
        arguments = [] if self.connection is None else [repr(ConnectionConfig(self.connection))]
        arguments += [f"schema={self.schema!r}"] if self.schema else []
        return f"SnowflakeStore({', '.join(arguments)})"


def store_at(access: ConnectionConfig, store: ValueStore | None) -> SnowflakeStore | None:
    """Return a store if its tables are where this access leads to, and None otherwise."""
    if isinstance(store, SnowflakeStore) and ConnectionConfig(store.connection) == access:
        return store
    return None


TEXT = find_sql_type(pa.field("KEY", pa.string()))


def _list_sql_types(shelf: Shelf) -> list[SqlType]:
    try:
        return [find_sql_type(field) for field in shelf.columns]
    except SchemaError as error:
        refused = str(error)
    raise StoreError(refused)


def _to_hex(keys: pa.Array) -> pa.Array:
    return pa.array([key.hex() for key in keys.to_pylist()], pa.string())


def _to_integers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()))


def _combine_chunks(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _split_chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(values), KEYS_AT_ONCE):
        yield values[first : first + KEYS_AT_ONCE]


def _write_size(column: str) -> str:
    """Return about how many bytes the cells of a column take, as SQL."""
    number = f"TYPEOF(TO_VARIANT({column})) IN ('DOUBLE', 'DECIMAL')"
    return f"COALESCE(IFF({number}, 8, LENGTH(TO_VARCHAR({column}))), 0)"


def _delete_rows(database: SnowflakeSession, name: Name, where: str) -> int:
    [(rows,)] = database.run(f"DELETE FROM {name} WHERE {where}")
    return int(rows)
