"""Serving: a model that answers over HTTP."""
