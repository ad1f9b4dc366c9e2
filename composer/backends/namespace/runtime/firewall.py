"""The table ``inet composer``: published ports, masquerade, isolation of networks, in nftables.

The rules never change; networks and ports are elements of named sets and maps, so that a change is one small
atomic batch and a packet's cost does not grow with their number. The host's other tables are not touched, but
for one chain of jumps beside Docker (`ensure_docker_user`), since a drop in any table is final. Bridge names
begin with ``cmp``. Knows nothing of containers; addresses are text and already checked.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Bridge:
    """A network as the firewall sees it. Subnets are ``address/prefix``; internal ones have no way in or out."""

    __slots__ = ("gateway4", "gateway6", "internal", "name", "subnet4", "subnet6")

    def __init__(
        self,
        name: str,
        subnet4: str | None = None,
        gateway4: str | None = None,
        subnet6: str | None = None,
        gateway6: str | None = None,
        internal: bool = False,
    ) -> None:
        self.name = name
        self.subnet4 = subnet4
        self.gateway4 = gateway4
        self.subnet6 = subnet6
        self.gateway6 = gateway6
        self.internal = internal


class Publication:
    """A published port. ``host_ip`` empty, ``0.0.0.0`` or ``::`` is every address of the container address's family."""

    __slots__ = ("bridge", "container_ip", "container_port", "host_ip", "host_port", "protocol")

    def __init__(
        self, protocol: str, host_ip: str, host_port: int, container_ip: str, container_port: int, bridge: str
    ) -> None:
        self.protocol = protocol
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_ip = container_ip
        self.container_port = container_port
        self.bridge = bridge


class Firewall:
    """The table in the network namespace of the calling thread.

    ``lock_path`` is a file that serialises adding and removing networks between processes of this host, so that
    the last network's removal cannot take the table from under somebody else's first. Publishing needs no lock.
    """

    def __init__(self, lock_path: str | None = None) -> None:
        raise NotImplementedError

    def add_network(self, bridge: Bridge) -> None:
        """Let a network in, making the table where there is none. Idempotent; also sets the bridge's sysctls and ip_forward."""
        raise NotImplementedError

    def remove_network(self, name: str) -> None:
        """Forget a network and its published ports, and the table with the last one. Idempotent."""
        raise NotImplementedError

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish ports, all or none. Idempotent. Raises Conflict when a port leads to another container."""
        raise NotImplementedError

    def unpublish(self, publications: Sequence[Publication]) -> None:
        """Take published ports back; those that are gone already do not matter. One that leads elsewhere now stays."""
        raise NotImplementedError

    def networks(self) -> list[str]:
        """Return the names of the bridges that the table knows."""
        raise NotImplementedError

    def publications(self) -> list[Publication]:
        """Return every published port (``bridge`` is the one whose subnet holds the container's address)."""
        raise NotImplementedError

    def exists(self) -> bool:
        """Tell whether the table is there (something else may have flushed the whole rule set)."""
        raise NotImplementedError

    def ensure_docker_user(self) -> bool:
        """Let our bridges through a FORWARD chain that drops by default, as Docker's does; return whether one was met.

        Cheap when there is nothing to do (well under a millisecond): call it when a network is made, and whenever Docker may have
        started since.
        """
        raise NotImplementedError


def container_dns(port_udp: int, port_tcp: int) -> None:
    """In the calling thread's network namespace, lead 127.0.0.11:53 to the given ports of 127.0.0.11.

    Call it in a child that has entered the container's network namespace, before its root changes. Idempotent.
    """
    raise NotImplementedError


def set_bridge_sysctls(bridge: str) -> None:
    """Set what a bridge of ours needs: route_localnet for 127.0.0.1, no router advertisements."""
    raise NotImplementedError


def enable_forwarding(*, ipv6: bool) -> None:
    """Turn on IP forwarding where it is off."""
    raise NotImplementedError
