"""Ports of the host for the tests."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a TCP port that nobody has on any address now, IPv4 or IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
        one.bind(("::", 0))
        return int(one.getsockname()[1])


def free_pair() -> int:
    """Return the first of two ports in a row that nobody has."""
    while True:
        first = free_port()
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
            try:
                other.bind(("::", first + 1))
            except (OSError, OverflowError):
                continue
            return first
