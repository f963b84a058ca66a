"""Labels in the database."""

from __future__ import annotations

import pyarrow as pa

from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.backends.snowflake.sql.moments import moment
from reviewml.backends.snowflake.sql.push_down import push_down
from reviewml.interfaces.labelling import FOLLOWING, LabelBatch
from reviewml.sql import quoted


@push_down.register
def _(function: LabelBatch, before: pa.Schema, after: pa.Schema) -> Step:
    waited = f"{moment(before.field(function.time))} <= {function.latest}"
    known = [waited, *(f"{quoted(key)} IS NOT NULL" for key in function.keys)]
    follows = f"{quoted(f'{FOLLOWING}_count')} > 0"
    cell = f"CASE WHEN {' AND '.join(known)} THEN {follows} END"

    def labelled(rows: Rows) -> Rows:
        return rows.select(after, {function.name: cell})

    return labelled
