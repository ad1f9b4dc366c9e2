"""The name server's side of one container: whose look-ups are answered, with which networks and links."""

from __future__ import annotations

from composer.runtime.network import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.runtime.network.endpoints import Attachment


def client(
    network: Mapping[str, Any], attachments: Sequence[Attachment], udp: socket.socket, tcp: socket.socket
) -> names.Client:
    """Return whom to answer on these sockets; ``network`` is what the container's configuration says."""
    udp.setblocking(False)
    tcp.setblocking(False)
    upstreams = network.get("dns", {}).get("servers", ())
    outside = reaches_outside(attachments)
    return names.Client(udp, tcp, in_order(attachments), upstreams, outside, _links(network))


def has_names(network: Mapping[str, Any]) -> bool:
    """Tell whether a container's networks have names: Docker's default one has none."""
    return bool(network.get("names", True))


def in_order(attachments: Sequence[Attachment]) -> list[str]:
    """Return the networks by whose order a name that is in several is answered: Docker's."""
    ordered = sorted(attachments, key=lambda one: (-one.priority, one.network))
    return [attachment.network_id for attachment in ordered]


def reaches_outside(attachments: Sequence[Attachment]) -> bool:
    return any(attachment.gateways for attachment in attachments)


def _links(network: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [link for one in network.get("endpoints", ()) for link in one.get("links", ())]
    return [(name, alias) for name, alias in dict.fromkeys(map(tuple, pairs))]
