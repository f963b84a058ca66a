"""Where pipelines run: one folder for each place."""
