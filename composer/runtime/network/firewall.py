"""The table ``inet composer``: published ports, masquerade, isolation of networks, in nftables.

The rules never change (`firewall_rules`); networks and ports are elements of named sets and maps, so that a
change is one small atomic batch and a packet's cost does not grow with their number. No other table of the
host is touched, but for a chain of ours beside Docker (`firewall_docker`). Bridge names begin with ``cmp``.
Knows nothing of containers; addresses are text and already checked.
"""

from __future__ import annotations

import errno
import fcntl
import os

from composer.runtime.network import firewall_rules, nftables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any

_TABLE = firewall_rules.TABLE
_SEEN_TO = ("ip filter FORWARD", "ip6 filter FORWARD")
_NO_CONNTRACK = (errno.EINVAL, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP)
_PROTOCOLS: dict[Any, str] = {6: "tcp", 17: "udp", 132: "sctp"}
_PORT_MAPS = ("ports4", "ports6", "at4", "at6")
_NETWORK_SETS = ("bridges", "same", "internal", "home4", "home6")


class Bridge:
    """A network as the firewall sees it.

    Subnets are ``address/prefix``; internal ones have no way in or out. Without ``masquerade`` containers are seen
    outside under their own addresses.
    """

    __slots__ = ("gateway4", "gateway6", "internal", "masquerade", "name", "subnet4", "subnet6")

    def __init__(
        self,
        name: str,
        subnet4: str | None = None,
        gateway4: str | None = None,
        subnet6: str | None = None,
        gateway6: str | None = None,
        internal: bool = False,
        masquerade: bool = True,
    ) -> None:
        self.name = name
        self.subnet4 = subnet4
        self.gateway4 = gateway4
        self.subnet6 = subnet6
        self.gateway6 = gateway6
        self.internal = internal
        self.masquerade = masquerade


def bridge_of(record: Mapping[str, Any]) -> Bridge:
    """Return a network's record as the firewall sees it."""
    pools = {":" in pool["subnet"]: pool for pool in record["pools"]}
    four, six = pools.get(False), pools.get(True)
    return Bridge(
        record["bridge"],
        subnet4=four["subnet"] if four else None,
        gateway4=four["gateway"] if four else None,
        subnet6=six["subnet"] if six else None,
        gateway6=six["gateway"] if six else None,
        internal=bool(record["internal"]),
        masquerade=bool(record.get("masquerade", True)),
    )


class Publication:
    """A published port.

    ``host_ip`` empty, ``0.0.0.0`` or ``::`` is every address of this host that is of the container address's
    family.
    """

    __slots__ = ("bridge", "container_ip", "container_port", "host_ip", "host_port", "protocol")

    def __init__(
        self,
        protocol: str,
        host_ip: str,
        host_port: int,
        container_ip: str,
        container_port: int,
        bridge: str = "",
    ) -> None:
        self.protocol = protocol
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_ip = container_ip
        self.container_port = container_port
        self.bridge = bridge

    def __str__(self) -> str:
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip or "*"
        to = f"[{self.container_ip}]" if ":" in self.container_ip else self.container_ip
        return f"{host}:{self.host_port}/{self.protocol} → {to}:{self.container_port}"


class Firewall:
    """The table in the network namespace in which this is first used. For one thread at a time.

    ``lock_path`` is a file that serialises adding and removing networks between processes of this host, so
    that the last network's removal cannot take the table from under somebody else's first. Publishing needs
    no lock.
    """

    def __init__(self, lock_path: str | None = None) -> None:
        self._lock_path = lock_path
        self._session = nftables.Session()

    def close(self) -> None:
        """Close the socket to the kernel; may wait some milliseconds for what was deleted last."""
        self._session.close()

    # -------------------------------------------------------------- networks

    def add_network(self, bridge: Bridge) -> None:
        """Let a network in, making the table where there is none; turn on forwarding and set the bridge's
        sysctls.

        Idempotent. Ends with `ensure_docker_user`.
        """
        from composer.runtime.network import firewall_docker

        elements = firewall_rules.network_elements(
            bridge.name, bridge.subnet4, bridge.subnet6, bridge.internal, masquerade=bridge.masquerade
        )
        batch = "".join(f"add element {_TABLE} {name} {{ {element} }}\n" for name, element in elements)
        with _Lock(self._lock_path):
            self._add(batch)
            set_bridge_sysctls(bridge.name)
            enable_forwarding(ipv6=bridge.subnet6 is not None)
            firewall_docker.ensure(self._session)

    def _add(self, batch: str) -> None:
        """Run a batch of elements, making the table where there is none."""
        try:
            self._session.run(batch)
        except FileNotFoundError:
            try:
                self._session.run(firewall_rules.create_table() + batch)
            except FileExistsError:
                # Somebody without our lock made the table in between: it has the same rules.
                self._session.run(batch)

    def remove_network(self, *names: str) -> None:
        """Forget networks and their published ports; the table goes with the last one. Idempotent."""
        from composer.runtime.network import firewall_docker

        with _Lock(self._lock_path):
            state = _read(self._session)
            if state is None:
                return
            networks, ports = state
            if not set(networks) - set(names):
                # The table last: as long as it is there, whoever comes after a kill does this again.
                firewall_docker.remove(self._session)
                self._session.run(f"delete table {_TABLE}\n")
                return
            going = [name for name in names if name in networks]
            batch = [
                f"delete element {_TABLE} {set_name} {{ {element} }}\n"
                for name in going
                for set_name, element in networks[name]
            ]
            batch += [_port_command("delete", one) for one in ports if one.bridge in going]
            if batch:
                self._session.run("".join(batch))

    def restore(self) -> None:
        """Make the table's rules again where somebody took some of them, with all networks and ports that it has."""
        with _Lock(self._lock_path):
            state = _read(self._session)
            if state is None:
                return
            networks, ports = state
            batch = f"delete table {_TABLE}\n{firewall_rules.create_table()}"
            for elements in networks.values():
                batch += "".join(
                    f"add element {_TABLE} {name} {{ {element} }}\n" for name, element in elements
                )
            batch += "".join(_port_command("add", one) for one in ports)
            self._session.run(batch)

    # -------------------------------------------------------------- ports

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish ports, all or none. Idempotent. Raises Conflict when a port leads to another container."""
        if not publications:
            return
        try:
            self._session.run("".join(_port_command("add", one) for one in publications))
        except FileExistsError:
            raise _taken(publications, self.publications()) from None
        _forget_flows(publications)

    def republish(self, old: Sequence[Publication], new: Sequence[Publication]) -> None:
        """Lead ports elsewhere, all at once. Connections that exist stay where they are."""
        batch = "".join(_port_command("delete", one) for one in old if _is_published(self._session, one))
        batch += "".join(_port_command("add", one) for one in new)
        if batch:
            self._session.run(batch)

    def unpublish(self, publications: Sequence[Publication]) -> None:
        """Take published ports back; those that are gone already do not matter.

        One that leads elsewhere now stays.
        """
        if not publications:
            return
        # A second look is for a network that went in between, with its ports.
        for attempt in range(2):
            # The kernel deletes by key alone, so what is there has to be looked at first.
            batch = "".join(
                _port_command("delete", one) for one in publications if _is_published(self._session, one)
            )
            try:
                self._session.run(batch)
                _forget_flows(publications)
                return
            except FileNotFoundError:
                if attempt:
                    raise

    # -------------------------------------------------------------- reading

    def networks(self) -> list[str]:
        """Return the names of the bridges that the table knows."""
        state = _read(self._session)
        return sorted(state[0]) if state else []

    def publications(self) -> list[Publication]:
        """Return every published port; ``bridge`` is the one whose subnet holds the container's address."""
        state = _read(self._session)
        return state[1] if state else []

    def exists(self) -> bool:
        """Tell whether the table is there (something else may have flushed the whole rule set)."""
        try:
            self._session.run(f"list set {_TABLE} bridges\n")
        except FileNotFoundError:
            return False
        return True

    def ensure_docker_user(self) -> bool:
        """Let our bridges through a FORWARD chain that drops by default, as Docker's does; tell whether one
        was met.

        Cheap when there is nothing to do (well under a millisecond): call it whenever Docker may have started
        since.
        """
        from composer.runtime.network import firewall_docker

        with _Lock(self._lock_path):
            return self.exists() and firewall_docker.ensure(self._session)


def obstacles() -> list[str]:
    """Return the forward chains of others that drop by default, as ``family table chain``.

    A drop is final, whatever our table says; the host's own firewall then has to accept packets of our bridges.
    Not those that `Firewall.ensure_docker_user` sees to. In the network namespace of the calling thread.
    """
    import json

    found = []
    for item in json.loads(nftables.run("list chains\n", json=True))["nftables"]:
        chain = item.get("chain") or {}
        name = f"{chain.get('family')} {chain.get('table')} {chain.get('name')}"
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and name not in _SEEN_TO:
            found.append(name)
    return found


def container_dns(port_udp: int, port_tcp: int) -> None:
    """In the calling thread's network namespace, lead 127.0.0.11:53 to the given ports of 127.0.0.11.

    Call it in a child that has entered the container's network namespace, before its root changes, after the
    parent called `nftables.load`. Idempotent.
    """
    text = firewall_rules.container_dns_table(port_udp, port_tcp)
    try:
        nftables.run(text)
    except FileExistsError:
        nftables.run(f"delete table {firewall_rules.DNS_TABLE}\n{text}")


# ------------------------------------------------------------------ sysctls


def set_bridge_sysctls(bridge: str) -> None:
    """Set what a bridge of ours needs.

    Route_localnet for 127.0.0.1, no router advertisements (CVE-2020-13401).
    """
    _write(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet", "1")
    accept_ra = f"/proc/sys/net/ipv6/conf/{bridge}/accept_ra"
    if os.path.exists(accept_ra):  # not where IPv6 is off
        _write(accept_ra, "0")


def enable_forwarding(*, ipv6: bool) -> None:
    """Turn on IP forwarding where it is off."""
    if _sysctl("/proc/sys/net/ipv4/ip_forward") == "0":
        _write("/proc/sys/net/ipv4/ip_forward", "1")
    root = "/proc/sys/net/ipv6/conf"
    if not ipv6 or not os.path.isdir(root) or _sysctl(f"{root}/all/forwarding") != "0":
        return
    # A forwarding interface ignores router advertisements unless accept_ra is 2: the host would lose its own
    # route.
    for name in os.listdir(root):
        if name not in ("all", "lo") and _sysctl(f"{root}/{name}/accept_ra") == "1":
            _write(f"{root}/{name}/accept_ra", "2")
    _write(f"{root}/all/forwarding", "1")


def _sysctl(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(value)


# ------------------------------------------------------------------ internals


def _forget_flows(publications: Sequence[Publication]) -> None:
    udp = [one for one in publications if one.protocol == "udp"]
    if not udp:
        return
    from composer.runtime.network import conntrack

    try:
        conntrack.forget_udp({one.host_port for one in udp}, {one.container_ip for one in udp})
    except OSError as error:
        # Without conntrack over netlink a client waits until its old flow has expired: 30 to 120 seconds.
        if error.errno not in _NO_CONNTRACK:
            raise


class _Lock:
    """An exclusive flock for a ``with`` block; none where there is no path."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        if self._path is not None:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _port_command(verb: str, one: Publication) -> str:
    name, key, value = _element(one)
    data = f" : {value}" if verb == "add" else ""
    return f"{verb} element {_TABLE} {name} {{ {key}{data} }}\n"


def _is_published(session: nftables.Session, one: Publication) -> bool:
    name, key, value = _element(one)
    try:
        return f" : {value} " in session.run(f"get element {_TABLE} {name} {{ {key} }}\n")
    except FileNotFoundError:
        return False


def _element(one: Publication) -> tuple[str, str, str]:
    return firewall_rules.port_element(
        one.protocol, one.host_ip, one.host_port, one.container_ip, one.container_port
    )


def _normal(one: Publication) -> Publication:
    host_ip = "" if one.host_ip in ("0.0.0.0", "::") else one.host_ip
    return Publication(one.protocol, host_ip, one.host_port, one.container_ip, one.container_port)


def _taken(wanted: Sequence[Publication], present: Sequence[Publication]) -> Exception:
    from composer.errors import Conflict

    held = {(one.protocol, one.host_ip, one.host_port, ":" in one.container_ip): one for one in present}
    for one in map(_normal, wanted):
        other = held.get((one.protocol, one.host_ip, one.host_port, ":" in one.container_ip))
        if other is not None and str(other) != str(one):
            port = f"{one.host_ip or '*'}:{one.host_port}/{one.protocol}"
            return Conflict(
                f"port '{port}' is already published to {other.container_ip}",
                hint="use another host port, or stop the container that uses this one",
            )
    return Conflict("a port is published to two containers", hint="use another host port for one of them")


def _read(session: nftables.Session) -> tuple[dict[str, list[tuple[str, str]]], list[Publication]] | None:
    """Return each network's (set, element) pairs and every published port; None when there is no table."""
    import json

    try:
        output = session.run(f"list table {_TABLE}\n", json=True)
    except FileNotFoundError:
        return None
    found: dict[str, list[Any]] = {}
    for item in json.loads(output)["nftables"]:
        body = item.get("set") or item.get("map")
        if body:
            found[body["name"]] = body.get("elem", [])
    return _networks_of(found), _publications_of(found)


def _networks_of(found: dict[str, list[Any]]) -> dict[str, list[tuple[str, str]]]:
    networks: dict[str, list[tuple[str, str]]] = {}
    for name in _NETWORK_SETS:
        for element in found.get(name, ()):
            parts = [_text(part) for part in (element["concat"] if isinstance(element, dict) else [element])]
            quoted = " . ".join([f'"{parts[0]}"', *(f'"{p}"' if name == "same" else p for p in parts[1:])])
            networks.setdefault(parts[0], []).append((name, quoted))
    outbound = {f: {_text(one) for one in found.get(f"outbound{f}", ())} for f in "46"}
    for elements in networks.values():
        for set_name, element in list(elements):
            subnet = element.rpartition(" . ")[2]
            if set_name in ("home4", "home6") and subnet in outbound[set_name[-1]]:
                elements.append((f"outbound{set_name[-1]}", subnet))
    return networks


def _publications_of(found: dict[str, list[Any]]) -> list[Publication]:
    homes = []
    for element in (*found.get("home4", ()), *found.get("home6", ())):
        bridge, subnet = element["concat"]
        homes.append((bridge, *_range(_text(subnet))))
    publications = []
    for name in _PORT_MAPS:
        for key, value in found.get(name, ()):
            *host, protocol, port = key["concat"]
            ip, container_port = value["concat"]
            number = _number(ip)
            bridge = next((b for b, low, high in homes if low <= number <= high), "")
            publications.append(
                Publication(
                    _PROTOCOLS.get(protocol, str(protocol)),
                    host[0] if host else "",
                    port,
                    ip,
                    container_port,
                    bridge,
                )
            )
    return publications


def _text(part: Any) -> str:
    if isinstance(part, dict):
        return f"{part['prefix']['addr']}/{part['prefix']['len']}"
    return str(part)


def _number(ip: str) -> int:
    import socket

    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    # IPv6 above all of IPv4, so that the two never compare as neighbours.
    return int.from_bytes(socket.inet_pton(family, ip), "big") + ((1 << 32) if ":" in ip else 0)


def _range(subnet: str) -> tuple[int, int]:
    ip, _, prefix = subnet.partition("/")
    low, bits = _number(ip), 128 if ":" in ip else 32
    return low, low + (1 << (bits - int(prefix or bits))) - 1
