"""Taking over a container that a supervisor before this one started, from its record and what the keeper held.

The container may be alive, may have ended while nobody watched, or may have been in the middle of a start. None
of them is started a second time, and an exit code that nobody could see stays unknown. What had been published, and
is held by nobody any more (a reboot, a kill of everybody), is taken back before a start reserves it anew.
"""

from __future__ import annotations

import os
import socket

from composer.runtime.base import files, records
from composer.runtime.network import answering, endpoints, relay
from composer.runtime.supervision import preparing, undoing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.supervision.task import Task

_RESTART_S = 0.1


def adopt(task: Task, held: dict[str, int], status: int | None) -> None:
    """Go on with a container. ``held`` are descriptors by key, ``status`` the wait status that the keeper saw."""
    task.attachments = [endpoints.Attachment(record) for record in task.state.get("endpoints", ())]
    _take_ports(task, held)
    task.output.console = held.pop("console", -1)
    task.input.writer = held.pop("stdin", -1)
    task.pid, task.pidfd = int(task.state.get("pid") or 0), held.pop("pidfd", -1)
    same_boot = task.state.get("boot_id") == task.supervisor.boot
    alive = same_boot and files.start_time(task.pid) == task.state.get("start_ticks") if task.pid else False
    if not alive and len(task.ports.sockets) != len(task.ports.published):
        undoing.unpublish(task)
    if task.state.get("prepared") and not task.is_active():
        preparing.unprepare(task, thorough=True)
    elif task.status == "restarting":
        task.open_log()
        task.restart_after(_RESTART_S)
    elif task.status == "starting":
        task.fail(
            "the supervisor was killed while it started the container", 125, "StartFailed", thorough=True
        )
    elif alive and _has_pidfd(task):
        _adopt_running(task, held)
    elif task.pidfd >= 0 and status is None:
        # It is dead, and its parent has not reaped it yet: the descriptor will tell how it ended.
        task.open_log()
        task.watch_exit()
    else:
        if same_boot:
            task.open_log()
        task.finish_status(status)
    for fd in held.values():
        os.close(fd)  # duplicates of what has been opened anew, and sockets of the dead


def _take_ports(task: Task, held: dict[str, int]) -> None:
    """Take over what is published: the record of it, and the sockets that the keeper held."""
    task.ports.published = list(task.state.get("ports", ()))
    keys = sorted(key for key in held if key.startswith("port-"))
    task.ports.sockets = [socket.socket(fileno=held.pop(key)) for key in keys]
    # The same numbers for both families: one that was not handed over leaves a gap, and no shift.
    companions = [key.replace("port-", "port6-", 1) for key in keys]
    task.ports.companions = [
        socket.socket(fileno=held.pop(key)) if key in held else None for key in companions
    ]


def _has_pidfd(task: Task) -> bool:
    """Open the pidfd of an adopted process if it is not open. Return False if the process has just ended."""
    if task.pidfd < 0:
        try:
            task.pidfd = os.pidfd_open(task.pid)
        except ProcessLookupError:
            return False
        task.supervisor.keeper.hold({f"{task.id}/pidfd": task.pidfd}, task.pid)
    return True


def _adopt_running(task: Task, held: dict[str, int]) -> None:
    supervisor = task.supervisor
    task.watch_exit()
    task.open_log()
    task.output.watch()
    if "dns-udp" in held and "dns-tcp" in held:
        answering.serve(task, *(socket.socket(fileno=held.pop(key)) for key in ("dns-udp", "dns-tcp")))
    elif task.attachments and answering.has_names(task):
        supervisor.executions.reopen_names(task)
    # Each by itself: a port that somebody else has taken meanwhile must not cost the container its health check.
    undoing.safely(task, _publish_again, task)
    undoing.safely(task, relay.serve_ports, task)
    task.start_health(records.health(task.bundle))


def _publish_again(task: Task) -> None:
    """Forward the ports to the container, with the keeper's sockets or, if these were lost, with new ones."""
    supervisor, ports = task.supervisor, task.ports
    if len(ports.sockets) != len(ports.published):
        wanted = ports.published[:]
        undoing.unpublish(task)
        try:
            ports.reserve(wanted, os.path.dirname(task.bundle))
        finally:
            task.state["ports"] = ports.published
            task.save()
        supervisor.hold_ports(task.id, ports)
    publications = ports.publications(task.attachments)
    if publications:
        supervisor.networks.firewall.publish(publications)
