"""Completion in bash, zsh and fish: click's scripts and protocol, with values from compose files and backends."""

SHELLS = ("bash", "fish", "zsh")
ASKS = "_COMPOSER_COMPLETE"
"""The variable that says that a shell asks. It has this name for a program of any name."""
