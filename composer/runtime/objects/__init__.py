"""Containers, networks and volumes as objects on the disk, for commands: made, changed, observed, removed."""
