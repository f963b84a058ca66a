"""ML Jobs: work on a compute pool of Snowflake's, with reviewml brought along."""

from reviewml.backends.snowflake.jobs.compute_pool import Pool
from reviewml.backends.snowflake.jobs.job import Job, delete_failed, list  # noqa: A004
from reviewml.backends.snowflake.jobs.submit import submit

__all__ = ["Job", "Pool", "delete_failed", "list", "submit"]
