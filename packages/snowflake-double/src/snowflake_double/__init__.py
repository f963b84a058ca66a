"""A Snowflake on this machine, so that pipelines are tested without an account.

The connector and Snowpark, unchanged, talk to it over HTTP on loopback; DuckDB holds the rows, by
way of fakesnow. A request takes this way:

- `server`: the protocol; `answering`: handlers first, DuckDB for the rest; `log`: what was asked.
- `statements`: the table of handlers. `context`, `stages`, `formats`, `copying`, `describing`,
  `functions` and `packages` fill it.
- `running`: what DuckDB runs. `dialect` parses, `knowing` refuses what Snowflake lacks and what is
  not known to mean the same in DuckDB, `naming`, `temporary`, `constraints`, `values`, `cortex`,
  `variants`, `scalars`, `aggregates`, `joining`, `assigning` and `spelling` rewrite the tree, and
  `staged` and `table_functions` put rows in the place of files and of functions.
- `macros`: functions of Snowflake, written for DuckDB; `calls` gives them their arguments, and
  `moments` writes and reads dates and times by Snowflake's formats.
- `wire`: rows as Snowflake sends them.

It does not do: stored procedures, tasks, streams, pipes, functions in languages but Python,
external stages, COPY INTO a stage, ON_ERROR, grants, time travel, time zones but UTC. Statements,
functions, options and paths that it does not know are refused.
The whole list, with where it differs from Snowflake, is in the README.
"""

from snowflake_double.cortex.answers import Cortex
from snowflake_double.double import Double, snowflake_double
from snowflake_double.log import Statement, Watch

__all__ = ["Cortex", "Double", "Statement", "Watch", "snowflake_double"]
