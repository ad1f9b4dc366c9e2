"""Runs Compose projects on a built-in container runtime or on Docker Engine.

Nothing is imported here: a command pays only for the modules that it uses.
"""

__version__ = "0.1.0"
