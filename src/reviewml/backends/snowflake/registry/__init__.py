"""Snowflake's model registry."""
