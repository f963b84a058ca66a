"""ML Jobs: work on a compute pool of Snowflake's, with reviewml brought along."""

from reviewml.backends.snowflake.jobs.compute_pool import ComputePool
from reviewml.backends.snowflake.jobs.job import Job, delete_failed, list  # noqa: A004
from reviewml.backends.snowflake.jobs.submit import submit
from reviewml.backends.snowflake.jobs.training import JobTraining

__all__ = ["ComputePool", "Job", "JobTraining", "delete_failed", "list", "submit"]
