"""Sources: descriptions of where rows are, the same for every backend."""
