"""What an ML Job starts; it lies in the job's payload, beside reviewml itself."""

from pathlib import Path

from reviewml.backends.snowflake.jobs.tasks import run

__return__ = run(Path(__file__).parent)
