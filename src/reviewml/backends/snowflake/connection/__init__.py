"""Connections to an account: sessions, errors, set-up and diagnosis."""
