"""Whether a process can react to a signal at all."""

from __future__ import annotations

import os
import signal

_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}.get(os.uname().machine, "137")


def would_notice(pid: int, number: int) -> bool:
    """Tell whether the first process of a pid namespace can react to a signal.

    The kernel drops signals that such a process has no handler for (pid_namespaces(7)), so waiting for one that
    can never have an effect would only waste the grace period. A blocked signal may be waited for (signalfd); one
    that is waited for right now, as tini and dumb-init do, is not among the blocked for that long.
    """
    if number == signal.SIGKILL:
        return False
    return _waits_for_signals(pid) or _has_use_for(pid, number) or _waits_for_signals(pid)


def _waits_for_signals(pid: int) -> bool:
    """Tell a process that is in rt_sigtimedwait(2). Where the kernel does not say, it may be."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            return file.read().split()[0] == _SIGTIMEDWAIT
    except (FileNotFoundError, ProcessLookupError):
        return not os.path.exists("/proc/self/syscall")
    except PermissionError:
        return True


def _has_use_for(pid: int, number: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", encoding="latin-1") as file:
            masks = dict(line.split(":", 1) for line in file if line.startswith(("SigCgt", "SigBlk")))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(int(mask, 16) & (1 << (number - 1)) for mask in masks.values())
