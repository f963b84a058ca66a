"""SnowflakeRegistry: saved pipelines in Snowflake's model registry, to be run there."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, SupportsFloat

from reviewml.backends.snowflake import logging_models as uploading
from reviewml.backends.snowflake.session import Access, Connection, Database
from reviewml.errors import BackendError, DamagedModel, RegistryError
from reviewml.interfaces.registry import (
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    checked_metrics,
)
from reviewml.pipeline import Pipeline, load
from reviewml.registries.history import now
from reviewml.saving.manifest import fingerprint
from reviewml.saving.plain import decode, encode
from reviewml.sql import Name, literal, quoted

if TYPE_CHECKING:
    from snowflake.snowpark import DataFrame

GIVEN = ("DEFAULT", "FIRST", "LAST")
"""Aliases that Snowflake gives by itself."""
