"""Faults on demand in containers: lost packets, refused ports, late answers, full disks.

    wishes      what a fault is, as a record that goes to the agent
    rules       a fault as rules of nftables, in the container's own network
    agent       the process that makes a fault, holds it, and undoes it when nobody wants it any more
    relaying    a relay in the container's network that delays, closes late or resets connections
    filling     a file that fills a file system
    exhausting  memory of a container that runs out
    marks       which faults there are, for whoever asks

Nothing of the host changes: rules and relay are in the container's network namespace, which goes with the container.
"""

from __future__ import annotations

import os


def directory(state: str) -> str:
    """Return where faults are noted, below a state root."""
    return f"{state}/faults"


def are_noted(state: str) -> bool:
    """Tell whether there may be faults: without the imports that reading them takes."""
    try:
        return bool(os.listdir(directory(state)))
    except FileNotFoundError:
        return False
