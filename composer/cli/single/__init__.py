"""What the commands on one container or one image share: they have no project."""
