"""When a container's ports are published: while it has a way out, and from where it gets them.

A container that is in internal networks alone has no way out, and nobody outside a way in: nothing is reserved,
led or relayed for it. Docker's rule; it changes when the container joins another network.
"""

from __future__ import annotations

import os

from composer.runtime.network import endpoints
from composer.runtime.supervision import handover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.supervision.task import Task


def reserve(task: Task) -> None:
    """Bind the ports that are to be published, where they are not; give them back where there is no way out.

    Raises NetworkFailed where somebody else has one.
    """
    if not endpoints.has_way_out(task.attachments):
        give_back(task)
    elif not task.ports.sockets and not handover.waits_for_ports(task):
        task.ports.reserve(task.own["network"].get("ports", ()), os.path.dirname(task.bundle))
        task.supervisor.hold_ports(task.id, task.ports)
    task.state["ports"] = task.ports.published


def give_back(task: Task) -> None:
    task.supervisor.drop_ports(task.id, task.ports)
    task.ports.release()
