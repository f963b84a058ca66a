"""Secrets and personal data: how they are recognised, hidden and refused."""
