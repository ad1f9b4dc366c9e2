"""rtnetlink in as few messages as the runtime needs: bridges, veth pairs, addresses and routes.

Knows the kernel's wire format (rtnetlink(7), linux/if_link.h) and nothing of Compose, of containers or of names.
A socket belongs to the network namespace in which it was opened and stays there. What the kernel refuses is an
OSError with its errno and, where the kernel gave one, its own words (extended acknowledgement).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class Link:
    """A network interface. ``master`` is the bridge's index or 0, ``kind`` is ``bridge``, ``veth``, … or empty."""

    __slots__ = ("index", "kind", "mac", "master", "mtu", "name", "up")

    def __init__(self, index: int, name: str, kind: str, mac: str, mtu: int, master: int, up: bool) -> None:
        self.index = index
        self.name = name
        self.kind = kind
        self.mac = mac
        self.mtu = mtu
        self.master = master
        self.up = up


class Address:
    """An address of an interface: ``ip`` as text, ``prefix`` in bits."""

    __slots__ = ("index", "ip", "prefix")

    def __init__(self, index: int, ip: str, prefix: int) -> None:
        self.index = index
        self.ip = ip
        self.prefix = prefix


class Route:
    """A route. ``dst`` is ``address/prefix`` or None for a default route; ``oif`` is 0 when there is none."""

    __slots__ = ("dst", "family", "metric", "oif", "table", "via")

    def __init__(
        self, family: int, dst: str | None, via: str | None, oif: int, metric: int, table: int
    ) -> None:
        self.family = family
        self.dst = dst
        self.via = via
        self.oif = oif
        self.metric = metric
        self.table = table


class Netlink:
    """A NETLINK_ROUTE socket in the network namespace of the calling thread."""

    def __init__(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket; closing twice is allowed."""
        raise NotImplementedError

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_bridge(
        self, name: str, *, mac: str | None = None, mtu: int | None = None, up: bool = True
    ) -> int:
        """Create a bridge and return its index. Raises FileExistsError when the name is taken."""
        raise NotImplementedError

    def create_veth(
        self,
        host_name: str,
        *,
        master_index: int,
        peer_name: str,
        peer_netns_pid: int | None = None,
        peer_netns_fd: int | None = None,
        peer_mac: str | None = None,
        mtu: int | None = None,
        hairpin: bool = False,
    ) -> int:
        """Create a veth pair, its host end up and in the bridge, its peer in the target namespace; return the host end's index.

        One message (two with ``hairpin``, which lets a frame leave by the bridge port that it came from). The
        peer is down: address it and set it up inside the namespace.
        """
        raise NotImplementedError

    def set_up(self, index: int) -> None:
        raise NotImplementedError

    def set_down(self, index: int) -> None:
        raise NotImplementedError

    def rename(self, index: int, name: str) -> None:
        """Rename an interface; it must be down on kernels before 6.2."""
        raise NotImplementedError

    def set_master(self, index: int, master_index: int) -> None:
        """Put an interface into a bridge; 0 takes it out."""
        raise NotImplementedError

    def set_mac(self, index: int, mac: str) -> None:
        raise NotImplementedError

    def set_hairpin(self, index: int, on: bool) -> None:
        """Let a bridge port send frames back to where they came from."""
        raise NotImplementedError

    def delete_link(self, index: int) -> None:
        """Delete an interface. Raises OSError(ENODEV) when it is gone."""
        raise NotImplementedError

    def link_index(self, name: str) -> int | None:
        """Return the index of an interface, or None when there is none of that name."""
        raise NotImplementedError

    def links(self) -> list[Link]:
        raise NotImplementedError

    def add_address(self, index: int, ip: str, prefix: int) -> None:
        """Give an interface an IPv4 or IPv6 address. IPv6 ones skip duplicate address detection."""
        raise NotImplementedError

    def addresses(self) -> list[Address]:
        """Return every address of the namespace, IPv4 and IPv6."""
        raise NotImplementedError

    def add_route(self, dst: str | None, *, via: str | None = None, oif: int = 0, metric: int = 0) -> None:
        """Add a route to ``address/prefix``; ``dst`` None is the default route of ``via``'s family."""
        raise NotImplementedError

    def routes(self) -> list[Route]:
        """Return the routes of all tables but ``local``, IPv4 and IPv6."""
        raise NotImplementedError

    def dump(self, kind: int, payload: bytes) -> Iterator[bytes]:
        """Send a dump request and yield the payload of each answer."""
        raise NotImplementedError
