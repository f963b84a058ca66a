"""Aspects: what a review talks about, where it does so, and how."""
