"""Linear models of hashed n-grams."""
