"""Stores: where values of enrichers are kept."""
