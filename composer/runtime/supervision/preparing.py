"""Starts prepared ahead: the first process of a container is there, and waits with what others could notice.

Somebody who waits for a dependency has time, which the container behind it then does not need. Prepared are
namespaces, addresses, cgroups and the mounts that are the container's own. Names, ports, the event, and every
mount of what others can change until then (see `container.index_of_outside`) are left to the start.

It is no state of the container: nobody is shown it, and it goes with the connection that asked for it. On the disk
it is ``prepared``, written before the first effect, so that whoever comes next can undo it.
"""

from __future__ import annotations

from composer.errors import Conflict
from composer.runtime.base import wire
from composer.runtime.container import sharing
from composer.runtime.network import endpoints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.supervision.task import Task


def prepare(task: Task, preparer: object) -> None:
    """Prepare a start, until `Task.start` or `unprepare`. What goes wrong is left to the start, which says it."""
    takes_over = task.own["network"].get("takes_over")
    if task.is_active() or task.preparer is not None or takes_over or sharing.owners(task.config):
        return
    if any(not {"shared", "rshared"}.isdisjoint(mount.get("options", ())) for mount in task.config["mounts"]):
        return  # what is shared with the host has to be taken as it is at the start
    task.preparer = preparer
    task.state.update(prepared=True, boot_id=task.supervisor.boot)
    try:
        task.lease()
        task.save()
        task.make()
    except (endpoints.NetworkFailed, OSError, Conflict):
        unprepare(task)
    except Exception as error:
        task.supervisor.on_error(error)
        unprepare(task)


def unprepare(task: Task, *, thorough: bool = False) -> None:
    """Take a prepared start back, one of a supervisor before this one too. Nothing happens where there is none."""
    if not task.state.get("prepared") or task.is_active():
        return
    task.preparer = None
    task.abandon(thorough=thorough)
    del task.state["prepared"]
    task.state["pid"] = 0
    task.save()
    task.supervisor.on_task_ended()


def take(task: Task) -> bool:
    """Make a prepared start the real one; False where there is none, or where its process has died."""
    if task.preparer is not None and wire.is_readable(task.pidfd):
        unprepare(task)
    is_there, task.preparer = task.preparer is not None, None
    task.state.pop("prepared", None)
    return is_there
