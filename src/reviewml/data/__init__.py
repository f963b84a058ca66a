"""Where rows are: sources, datasets, backends and stores."""
