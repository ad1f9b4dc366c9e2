"""The commands about registries."""
