"""One schema for the rows of several files: what their heads say, brought together."""

from __future__ import annotations

import itertools
from collections.abc import Container, Mapping, Sequence

import pyarrow as pa

from reviewml.errors import SourceError
from reviewml.operations.label import read_horizon
from reviewml.rows.provenance import origin_of
from reviewml.rows.row_errors import warn_at_caller
from reviewml.sources.cell_rules import CellRules
from reviewml.sources.find_files import File
from reviewml.sources.formats import TITLE
from reviewml.sources.hive import infer_types
from reviewml.sources.type_inference import CellSample


def merge_types(
    files: list[File],
    heads: Sequence[Mapping[str, pa.DataType]],
    given: Mapping[str, pa.DataType],
    keys: Container[str],
) -> dict[str, pa.DataType]:
    """Merge the column types of all files.

    Parameters
    ----------
    files, heads
        The files, and the types of the columns of each.
    given
        Types that the user states.
    keys
        Columns that are text where no other type is right for all files.

    Raises
    ------
    SourceError
        When files disagree about a column, naming two of them.
    """
    columns: dict[str, pa.DataType] = {}
    first: dict[str, File] = {}
    for file, head in zip(files, heads, strict=False):
        for name, inferred in head.items():
            kind = given.get(name, inferred)
            other_kind = columns.get(name, kind)
            common = _find_common_type(other_kind, kind)
            if common is None and name in keys:
                common = pa.string()
            if common is None:
                raise SourceError(
                    f"column {name!r} is {other_kind} in {first[name].name} and {kind} in "
                    f"{file.name}: pass dtypes={{{name!r}: 'string'}}, or read them apart."
                )
            if not pa.types.is_null(kind):
                first.setdefault(name, file)
            columns[name] = common
    return columns


def add_folder_types(
    columns: Mapping[str, pa.DataType],
    files: list[File],
    heads: list[pa.Schema],
    given: Mapping[str, pa.DataType],
    rules: CellRules,
) -> dict[str, pa.DataType]:
    """Add the columns that folder names define, after those of the files."""
    columns_with_folders = dict(columns)
    for name, inferred in infer_types(files, rules).items():
        kind = given.get(name, inferred)
        other_kind = columns_with_folders.get(name, kind)
        # A file's own column has the type it has there, whatever its folder looks like.
        if all(name in head.names for head in heads) and not pa.types.is_null(other_kind):
            continue
        common = _find_common_type(other_kind, kind)
        if common is None:
            raise SourceError(
                f"column {name!r} is {other_kind} in files and {kind} in the names of "
                "folders: pass "
                f"dtypes={{{name!r}: 'string'}}, or read them apart."
            )
        columns_with_folders[name] = common
    return columns_with_folders


def _find_common_type(left: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if {left, other} == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    schemas = [pa.schema([("it", left)]), pa.schema([("it", other)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("it").type
    except pa.ArrowTypeError:
        return None


def copy_meanings(schema: pa.Schema, heads: list[pa.Schema]) -> pa.Schema:
    """Copy the metadata that marks labels and the enricher a column came from."""
    for field in itertools.chain.from_iterable(heads):
        place = schema.get_field_index(field.name)
        if place >= 0 and (read_horizon(field) is not None or origin_of(field) is not None):
            known, found = origin_of(schema.field(place)), origin_of(field)
            if known is not None and found != known:
                raise SourceError(
                    f"column {field.name!r} was added by {known} in some of the files and by "
                    f"{found} in others: read them apart."
                )
            schema = schema.set(place, schema.field(place).with_metadata(field.metadata))
    return schema


def keep_long_numbers(
    columns: Mapping[str, pa.DataType], samples: Mapping[str, CellSample], stated: Container[str]
) -> dict[str, pa.DataType]:
    """Convert float columns to text where some file has integers that float64 would round."""
    return {
        name: pa.string()
        if kind == pa.float64() and name not in stated and samples.get(name, CellSample()).long
        else kind
        for name, kind in columns.items()
    }


def warn_of_texts(
    schema: pa.Schema,
    samples: Mapping[str, CellSample],
    stated: Container[str],
    texts: Container[str],
) -> None:
    """Warn of text columns that may hold numbers, or words for missing values.

    Parameters
    ----------
    schema
        Of all files.
    samples
        What their heads say of each column.
    stated
        Columns whose type is known.
    texts
        Columns that are reviews: they are not numbers.
    """
    for name, sample in samples.items():
        if name not in stated and schema.field(name).type == pa.string():
            for warning in sample.warnings(name, numbers=name not in texts):
                warn_at_caller(warning)


def warn_of_titles(files: Sequence[File], heads: Sequence[pa.Schema]) -> None:
    """Warn of files that seem to start with a title, and name one of them."""
    titles = [
        (file, head.metadata[TITLE].decode())
        for file, head in zip(files, heads, strict=False)
        if TITLE in (head.metadata or {})
    ]
    if titles:
        file, title = titles[0]
        others = f" So it is in {len(titles) - 1:,} more files." if titles[1:] else ""
        warn_at_caller(f"{file.name}: {title}.{others}")
