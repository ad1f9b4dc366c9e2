"""Containers that come back with the machine: what a service of the system starts, and how that is set up."""
