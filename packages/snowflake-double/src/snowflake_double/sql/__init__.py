"""Snowflake's SQL, run by DuckDB."""
