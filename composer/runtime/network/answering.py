"""The name server's side of one container: whose look-ups are answered, with which networks and links."""

from __future__ import annotations

import socket

from composer.runtime.network import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.runtime.supervision.task import Task


def take(task: Task, descriptors: Sequence[int]) -> None:
    """Answer on the sockets that a container's first process has made; the keeper holds them too."""
    keys = (f"{task.id}/dns-udp", f"{task.id}/dns-tcp")
    task.supervisor.keeper.hold(dict(zip(keys, descriptors, strict=True)))
    serve(task, *(socket.socket(fileno=fd) for fd in descriptors))


def serve(task: Task, udp: socket.socket, tcp: socket.socket) -> None:
    """Answer the container's look-ups on these sockets."""
    udp.setblocking(False)
    tcp.setblocking(False)
    upstreams = task.own["network"].get("dns", {}).get("servers", ())
    client = names.Client(udp, tcp, _in_order(task), upstreams, _reaches_outside(task), _links(task))
    task.supervisor.names.add(task.id, client)


def has_names(task: Task) -> bool:
    """Tell whether its networks have names: Docker's default one has none."""
    return bool(task.own["network"].get("names", True))


def refresh(task: Task) -> None:
    """Answer from the networks that it is in now, after they changed."""
    networks = _in_order(task)
    is_served = task.supervisor.names.change(task.id, networks, forward=_reaches_outside(task))
    if not is_served and networks and has_names(task):
        task.supervisor.executions.reopen_names(task)


def _in_order(task: Task) -> list[str]:
    """Return the networks by whose order a name that is in several is answered: Docker's."""
    ordered = sorted(task.attachments, key=lambda one: (-one.priority, one.network))
    return [attachment.network_id for attachment in ordered]


def _reaches_outside(task: Task) -> bool:
    return any(attachment.gateways for attachment in task.attachments)


def _links(task: Task) -> list[tuple[str, str]]:
    pairs = [link for one in task.own["network"].get("endpoints", ()) for link in one.get("links", ())]
    return [(name, alias) for name, alias in dict.fromkeys(map(tuple, pairs))]
