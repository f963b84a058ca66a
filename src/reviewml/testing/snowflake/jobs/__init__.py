"""ML Jobs."""
