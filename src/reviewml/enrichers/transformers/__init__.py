"""Classifiers of texts that run transformer models."""
