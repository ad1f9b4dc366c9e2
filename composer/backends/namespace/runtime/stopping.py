"""Whether a process can react to a signal at all."""

from __future__ import annotations

import signal


def would_notice(pid: int, number: int) -> bool:
    """Tell whether the first process of a pid namespace can react to a signal.

    The kernel drops signals that such a process has no handler for (pid_namespaces(7)), so waiting for one that
    can never have an effect would only waste the grace period. A blocked signal may be waited for (signalfd).
    """
    if number == signal.SIGKILL:
        return False
    try:
        with open(f"/proc/{pid}/status", encoding="latin-1") as file:
            masks = dict(line.split(":", 1) for line in file if line.startswith(("SigCgt", "SigBlk")))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(int(mask, 16) & (1 << (number - 1)) for mask in masks.values())
