"""Rows of an account: tables, queries and stages."""
