"""Files that appear whole or not at all, and temporary ones that do not outlive their process."""
