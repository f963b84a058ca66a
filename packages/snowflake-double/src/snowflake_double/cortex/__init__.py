"""AI functions of SQL."""
