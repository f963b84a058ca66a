"""Where pipelines run: one folder for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.backends.local.backend import LocalBackend
    from reviewml.backends.ray.backend import RayBackend
    from reviewml.backends.snowflake.backend import SnowflakeBackend

__all__ = [
    "LocalBackend",
    "RayBackend",
    "SnowflakeBackend",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "LocalBackend": "local.backend",
        "RayBackend": "ray.backend",
        "SnowflakeBackend": "snowflake.backend",
    },
)
