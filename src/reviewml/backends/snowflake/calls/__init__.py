"""Calls that cost: what a database is asked about each different row, once."""
