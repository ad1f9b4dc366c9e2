"""Snapshots of a project's data: what is in one, who is kept still for it, and where it goes back to."""
