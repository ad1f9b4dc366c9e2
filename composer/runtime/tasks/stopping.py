"""Stop a container's program: first by its stop signal, after the grace period by SIGKILL."""

from __future__ import annotations

import os
import signal
import time

from composer.runtime.base.status import PAUSED, RESTARTING, RUNNING, STARTING
from composer.runtime.container import resting, sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.task import Task

    Reply = Callable[[dict[str, Any]], None]

_LOOK_AGAIN_S = 0.1
_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}.get(os.uname().machine, "137")


def stop(
    task: Task,
    reply: Reply,
    *,
    timeout_s: float | None = None,
    number: int | None = None,
    keeps: bool = False,
) -> None:
    """Send the stop signal, and SIGKILL after the grace period. ``reply`` is called when the program has ended.

    With ``keeps`` a container that is to go when it has ended stays: it is about to be started again.
    """
    if not task.is_active():
        reply({"ok": True, "already": True})
        return
    record = task.record
    if keeps:
        record.update(kept=True)
    _mark_stopped(record)
    task.await_end(reply)
    if task.status == RESTARTING:
        task.give_up_restart()
        return
    if task.status == STARTING:
        task.end_starting()
        return
    end(task, timeout_s=timeout_s, number=number)


def end(task: Task, *, timeout_s: float | None = None, number: int | None = None) -> None:
    """Send a running program the stop signal, and SIGKILL after the grace period."""
    record = task.record
    task.resume()
    configured = record.extras["stop"]
    number = number or configured["signal"]
    grace_s = configured["timeout_s"] if timeout_s is None else timeout_s
    record.emit("kill", signal=str(int(number)))
    is_first = sharing.has_own(record.config, "pid")
    if grace_s <= 0:
        task.process.cgroup.kill()
        return
    task.process.signal(number)
    task.after("stop", grace_s, lambda: _kill_all(task))
    if is_first and number != signal.SIGKILL and not would_notice(task.process.pid, number):
        _look_again(task, number, time.monotonic() + grace_s)


def _look_again(task: Task, number: int, until_s: float) -> None:
    """Follow a program that the signal did not reach: once it has a handler it gets it again.

    One that would only sleep through the grace period is ended now.
    """
    if would_notice(task.process.pid, number):
        task.process.signal(number)
    elif resting.is_resting(task.process.pid, task.process.cgroup.processes(), until_s - time.monotonic()):
        task.process.cgroup.kill()
    else:
        task.after("deaf", _LOOK_AGAIN_S, lambda: _look_again(task, number, until_s))


def _mark_stopped(record: Record, *, killed: bool = False) -> None:
    """Write down that the user stopped it; ``killed``: by a signal alone, which is told as such."""
    record.update(stopped=True, killed=killed)
    record.save()


def _kill_all(task: Task) -> None:
    task.record.emit("kill", signal="9")
    task.process.cgroup.kill()


def kill(task: Task, number: int, reply: Reply) -> None:
    """Send a signal to the program; it is not a stop, but Docker counts it as one for the restart policy."""
    if task.status not in (RUNNING, PAUSED):
        reply({"error": f"container {task.name} is not running", "kind": "Conflict"})
        return
    if number in (signal.SIGKILL, signal.SIGTERM):
        _mark_stopped(task.record, killed=True)
    task.record.emit("kill", signal=str(number))
    if number == signal.SIGKILL:
        task.await_end(reply)
        task.process.cgroup.kill()
        task.resume()  # what is frozen does not end
        return
    task.process.signal(number)
    reply({"ok": True})


def would_notice(pid: int, number: int) -> bool:
    """Tell whether the first process of a pid namespace can react to a signal now.

    The kernel drops signals that such a process has no handler for (pid_namespaces(7)). A blocked signal may be waited
    for (signalfd); one that is waited for right now, as tini and dumb-init do, is not among the blocked for that long.
    """
    if number == signal.SIGKILL:
        return False
    return _waits_for_signals(pid) or _has_use_for(pid, number) or _waits_for_signals(pid)


def _waits_for_signals(pid: int) -> bool:
    """Tell a process that is in rt_sigtimedwait(2). Where the kernel does not say, it may be."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="utf-8") as file:
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
