"""The name server's side of one container: whose look-ups are answered, with which networks and links."""

from __future__ import annotations

import socket

from composer.backends.namespace.runtime import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.backends.namespace.runtime.task import Task


def take(task: Task, descriptors: Sequence[int]) -> None:
    """Answer on the sockets that a container's first process has made; the keeper holds them too."""
    keys = (f"{task.id}/dns-udp", f"{task.id}/dns-tcp")
    task.supervisor.keeper.hold(dict(zip(keys, descriptors, strict=True)))
    serve(task, *(socket.socket(fileno=fd) for fd in descriptors))


def serve(task: Task, udp: socket.socket, tcp: socket.socket) -> None:
    """Answer the container's look-ups on these sockets."""
    udp.setblocking(False)
    tcp.setblocking(False)
    networks = [attachment.network_id for attachment in task.attachments]
    outside = any(attachment.gateways for attachment in task.attachments)
    upstreams = task.own["network"].get("dns", {}).get("servers", ())
    task.supervisor.names.add(task.id, names.Client(udp, tcp, networks, upstreams, outside, _links(task)))


def _links(task: Task) -> list[tuple[str, str]]:
    pairs = [link for one in task.own["network"].get("endpoints", ()) for link in one.get("links", ())]
    return [(name, alias) for name, alias in dict.fromkeys(map(tuple, pairs))]
