"""A page about a fitted pipeline, for people who did not fit it."""

from reviewml.report.page import write_report

__all__ = ["write_report"]
