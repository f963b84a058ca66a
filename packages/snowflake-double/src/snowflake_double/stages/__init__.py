"""Stages, and files of theirs as rows."""
