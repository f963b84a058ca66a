"""Rows as Arrow batches: their roles, bookkeeping, keys, expressions and exact statistics."""
