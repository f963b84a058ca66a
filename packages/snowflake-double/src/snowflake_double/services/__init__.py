"""Services: what runs in containers."""
