"""Searching the parameters of a pipeline."""
