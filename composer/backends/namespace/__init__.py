"""The built-in runtime: images, containers, networks and volumes on a bare Linux machine, without a daemon."""
