"""The machine, events, networks and volumes."""
