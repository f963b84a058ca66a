"""Registries: where saved pipelines are kept under names, versions and aliases."""
