"""Signals by name, as Docker and people write them: ``TERM``, ``SIGTERM``, ``sigrtmin+3``, ``15``."""

from __future__ import annotations

import signal


def number(name: str) -> int | None:
    """Return a signal's number; None where it is none."""
    if name.isascii() and name.isdecimal():
        found = int(name) if len(name) < 4 else 0
        return found if 0 < found < signal.NSIG else None
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    base, sign, offset = full.partition("-" if "-" in full else "+")
    if sign and not (
        base in ("SIGRTMIN", "SIGRTMAX") and offset.isascii() and offset.isdecimal() and len(offset) < 3
    ):
        return None
    try:
        found = int(signal.Signals[base]) + int(f"{sign}{offset}" if sign else 0)
    except KeyError:
        return None
    return found if 0 < found < signal.NSIG else None
