"""Our Python, and users' own, run by the warehouse."""
