"""Taking over a container that a supervisor before this one started, from its record and what the keeper held.

The container may be alive, may have ended while nobody watched, or may have been in the middle of a start. None
of them is started a second time, and an exit code that nobody could see stays unknown. What had been published, and
is held by nobody any more (a reboot, a kill of everybody), is taken back before a start reserves it anew.
"""

from __future__ import annotations

import os

from composer.runtime.base import files, records
from composer.runtime.base.status import RESTARTING, STARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.task import Task

_RESTART_S = 0.1


def adopt(services: Services, task: Task, held: dict[str, int], status: int | None) -> None:
    """Go on with a container. ``held`` are descriptors by key, ``status`` the wait status that the keeper saw."""
    record, networking = task.record, task.networking
    task.adopt(held)
    pid, ticks = task.process.pid, record.state.get("start_ticks")
    same_boot = record.state.get("boot_id") == services.boot
    alive = same_boot and files.start_time(pid) == ticks if pid else False
    if not alive and len(networking.ports.sockets) != len(networking.ports.published):
        networking.unpublish()
    if record.state.get("prepared") and not task.is_active():
        task.unprepare(thorough=True)
    elif task.status == RESTARTING:
        task.open_log()
        task.restart_after(_RESTART_S)
    elif task.status == STARTING:
        task.fail("the supervisor was killed while it was starting the container", 125, thorough=True)
    elif alive and task.process.open():
        _adopt_running(services, task, held)
    elif task.process.is_there() and status is None:
        # It is dead, and its parent has not reaped it yet: the descriptor will tell how it ended.
        task.open_log()
        task.watch_exit()
    else:
        if same_boot:
            task.open_log()
        task.finish_status(status)
    for fd in held.values():
        os.close(fd)  # duplicates of what has been opened anew, and sockets of the dead


def _adopt_running(services: Services, task: Task, held: dict[str, int]) -> None:
    networking = task.networking
    task.watch_exit()
    task.open_log()
    task.watch_output()
    if "dns-udp" in held and "dns-tcp" in held:
        networking.serve_names([held.pop(key) for key in ("dns-udp", "dns-tcp")])
    elif networking.attachments and networking.has_names():
        networking.reopen_names(task.process.pidfd)
    # Each by itself: a port that somebody else has taken meanwhile must not cost the container its health check.
    services.safely(networking.publish_again)
    services.safely(networking.serve_ports)
    task.start_health(records.health(task.record.bundle))
