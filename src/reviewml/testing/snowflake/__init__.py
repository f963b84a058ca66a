"""A Snowflake on this machine, so that pipelines are tested without an account.

The connector and Snowpark, unchanged, talk to it over HTTP on loopback; DuckDB holds the rows, by
way of fakesnow. A request takes this way:

- `server`: the protocol; `answering`: handlers first, DuckDB for the rest; `log`: what was asked.
- `statements`: the table of handlers. `context`, `stages`, `formats`, `copying`, `describing`,
  `functions` and `packages` fill it.
- `running`: what DuckDB runs. `dialect` parses, `knowing` refuses what Snowflake lacks, `naming`,
  `temporary`, `values`, `cortex`, `variants`, `scalars`, `aggregates` and `joining` rewrite the
  tree, and `staged` and `table_functions` put rows in the place of files and of functions.
- `wire`: rows as Snowflake sends them.

It does not do: stored procedures, tasks, streams, pipes, functions in languages but Python,
external stages, COPY INTO a stage, ON_ERROR, grants, time travel, time zones but UTC, names that
differ by case alone. Statements, functions, options and paths that it does not know are refused.
The whole list, with where it differs from Snowflake, is in docs/reference/testing.md.
"""

from reviewml import plugins

plugins.optional("fakesnow", "reviewml.testing.snowflake")

from reviewml.testing.snowflake.cortex.answers import Cortex  # noqa: E402
from reviewml.testing.snowflake.double import Double, snowflake_double  # noqa: E402
from reviewml.testing.snowflake.log import Statement, Watch  # noqa: E402

__all__ = ["Cortex", "Double", "Statement", "Watch", "snowflake_double"]
