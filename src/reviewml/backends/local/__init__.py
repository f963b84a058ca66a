"""On this machine, in this process: rows stream through in batches."""
