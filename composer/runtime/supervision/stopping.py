"""Stop a container's program: first by its stop signal, after the grace period by SIGKILL."""

from __future__ import annotations

import os
import signal

from composer.runtime.base.status import EXITED, PAUSED, RESTARTING, RUNNING, STARTING
from composer.runtime.container import sharing
from composer.runtime.supervision import undoing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.runtime.supervision.task import Task

    Reply = Callable[[dict[str, Any]], None]

_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}.get(os.uname().machine, "137")


def stop(task: Task, reply: Reply, *, timeout_s: float | None = None, number: int | None = None) -> None:
    """Send the stop signal, and SIGKILL after the grace period. ``reply`` is called when the program has ended."""
    if not task.is_active():
        reply({"ok": True, "already": True})
        return
    task.state["stopped"] = True
    task.save()
    task.enders.append(reply)
    if task.status == RESTARTING:
        _stop_waiting(task)
        return
    if task.status == STARTING:
        kill_starting(task)
        return
    task.resume()
    number = number or task.own["stop"]["signal"]
    grace_s = task.own["stop"]["timeout_s"] if timeout_s is None else timeout_s
    task.emit("kill", signal=str(int(number)))
    is_first = sharing.has_own(task.config, "pid")
    if grace_s <= 0 or (is_first and not would_notice(task.pid, number)):
        task.cgroup.kill()
        return
    task.signal(number)
    task.after("stop", grace_s, lambda: _kill_all(task))


def _stop_waiting(task: Task) -> None:
    """Stop a container that is waiting for its next start."""
    task.cancel("restart")
    undoing.undo(task)
    task.transition(EXITED, durable=True)
    task.answer_enders()
    task.supervisor.on_task_ended()


def kill_starting(task: Task) -> None:
    # By both ways: it may not have joined its cgroup yet, and in there it may have children.
    task.signal(signal.SIGKILL)
    task.cgroup.kill()


def _kill_all(task: Task) -> None:
    task.emit("kill", signal="9")
    task.cgroup.kill()


def kill(task: Task, number: int, reply: Reply) -> None:
    """Send a signal to the program; it is not a stop, but Docker counts it as one for the restart policy."""
    if task.status not in (RUNNING, PAUSED):
        reply({"error": f"container {task.name} is not running", "kind": "Conflict"})
        return
    if number in (signal.SIGKILL, signal.SIGTERM):
        task.state["stopped"] = True
        task.save()
    task.emit("kill", signal=str(number))
    if number == signal.SIGKILL:
        task.enders.append(reply)
        task.cgroup.kill()
        task.resume()  # what is frozen does not end
        return
    task.signal(number)
    reply({"ok": True})


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
