"""Completion in bash, zsh and fish: click's scripts and protocol, with values from compose files and backends."""
