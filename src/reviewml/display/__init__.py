"""What people look at while work runs: progress, tables of text, representations."""
