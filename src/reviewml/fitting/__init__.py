"""What happens in the fit of a pipeline: enrich, split, look for leaks, train."""
