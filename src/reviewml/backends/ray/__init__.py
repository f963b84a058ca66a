"""Ray: a cluster of machines; only here is ray imported."""
