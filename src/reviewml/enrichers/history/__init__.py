"""What reviews had said of a product or customer before the time of each row."""
