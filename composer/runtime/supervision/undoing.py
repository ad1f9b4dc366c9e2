"""Taking away what a start made outside of its container's own directory. Safe to repeat.

What goes wrong with one thing is written to the log and keeps none of the others from going: nobody would come back
for them.
"""

from __future__ import annotations

from composer.runtime.base import files
from composer.runtime.container import sharing
from composer.runtime.streams import generations, log
from composer.runtime.supervision import publishing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.runtime.supervision.task import Task


def take_apart(task: Task) -> None:
    """Take away what a restart makes anew, keeping addresses and ports."""
    for attachment in task.attachments:
        safely(task, task.supervisor.networks.withdraw, task.id, attachment)
    task.supervisor.remove_cgroup(task.cgroup)


def undo(task: Task, *, thorough: bool = False) -> None:
    """Remove everything.

    ``thorough`` also looks for what the record does not name, after a kill between an effect and its record.
    """
    networks = task.supervisor.networks
    unpublish(task)
    shared = sharing.is_marked(task.bundle)
    for attachment in task.attachments:
        safely(task, networks.detach, task.id, attachment, with_link=shared)
    if thorough:
        safely(task, networks.release_all, task.id, task.own["network"].get("endpoints", ()))
    task.attachments = []
    task.state["endpoints"] = []
    if task.log is not None:
        task.log.close()
        task.log = None
    for stream in generations.STREAMS:
        task.supervisor.keeper.drop(f"{task.id}/{stream}")
        safely(task, files.remove_file, log.fifo_path(task.bundle, stream))
    safely(task, task.supervisor.remove_cgroup, task.cgroup)


def unpublish(task: Task) -> None:
    """Take the published ports back, whether their sockets are there or went with those who held them."""
    publications = task.ports.publications(task.attachments)
    if publications:
        safely(task, task.supervisor.networks.firewall.unpublish, publications)
    task.relay.close()
    publishing.give_back(task)
    task.state["ports"] = []


def safely(task: Task, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
    """Call a function and ignore its failure: the operation in progress must continue."""
    try:
        call(*arguments, **named)
    except Exception as error:
        task.supervisor.on_error(error)
