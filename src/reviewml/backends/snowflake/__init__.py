"""Snowflake: rows stay there, and work is pushed down to them."""
