"""SourceContract: what every source must do."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from reviewml import plugins
from reviewml.data.frames import as_dataset
from reviewml.data.source import Source
from reviewml.rows.roles import ERRORS, ERRORS_TYPE, PLACE


class SourceContract:
    """Subclass it and override `source` and `expected`."""

    @pytest.fixture
    def source(self) -> Source:
        """Return the source under test."""
        raise NotImplementedError("override the fixture `source`")

    @pytest.fixture
    def expected(self) -> pa.Table:
        """Return the rows it must read, at least four of them and all readable."""
        raise NotImplementedError("override the fixture `expected`")

    def test_is_registered_under_a_name(self, source: Source) -> None:
        name = plugins.get_catalogue().name_of("sources", type(source))
        assert plugins.load("sources", name) is type(source)

    def test_reads_the_expected_rows_in_order(self, source: Source, expected: pa.Table) -> None:
        read = as_dataset(source).to_arrow().replace_schema_metadata(None)
        assert read.to_pylist() == expected.to_pylist()

    def test_can_be_read_twice(self, source: Source) -> None:
        dataset = as_dataset(source)
        assert dataset.to_arrow().equals(dataset.to_arrow())

    def test_partitions_travel(self, source: Source) -> None:
        for partition in source.partitions():
            # Bytes that we made ourselves a moment ago.
            travelled = pickle.loads(pickle.dumps(partition))  # noqa: S301
            assert list(travelled.read()) == list(partition.read())

    def test_every_batch_has_the_schema_and_the_bookkeeping(self, source: Source) -> None:
        schema = source.schema
        assert schema.field(PLACE).type == pa.string()
        assert schema.field(ERRORS).type == ERRORS_TYPE
        for partition in source.partitions():
            for batch in partition.read():
                assert batch.schema.equals(schema, check_metadata=True)

    def test_every_row_has_its_own_place(self, source: Source) -> None:
        batches = [b for partition in source.partitions() for b in partition.read()]
        places = pa.Table.from_batches(batches).column(PLACE)
        assert places.null_count == 0
        assert len(places.unique()) == len(places)

    def test_readable_rows_have_no_errors(self, source: Source) -> None:
        assert as_dataset(source).errors.to_pylist() == []

    def test_limit_keeps_the_first_rows(self, source: Source, expected: pa.Table) -> None:
        assert as_dataset(source.limit(2)).to_arrow().to_pylist() == expected.to_pylist()[:2]

    def test_sample_is_repeatable(self, source: Source) -> None:
        first, other = source.sample(3), source.sample(3)
        assert as_dataset(first).count() == 3
        assert as_dataset(first).to_arrow().equals(as_dataset(other).to_arrow())

    def test_describing_it_changes_nothing(self, source: Source, expected: pa.Table) -> None:
        source.limit(1).sample(1)
        assert as_dataset(source).count() == len(expected)
        assert repr(source)
