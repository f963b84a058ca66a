"""A Snowflake on this machine, so that pipelines are tested without an account."""

from reviewml.testing.snowflake.double import Double, snowflake_double
from reviewml.testing.snowflake.log import Statement, Watch

__all__ = ["Double", "Statement", "Watch", "snowflake_double"]
