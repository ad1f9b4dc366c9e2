"""A container's places in networks: addresses, veth pairs, names and published ports.

Everything here can be undone from the container's id and its saved state alone, so what a killed supervisor left
behind is found and removed by the next one. Runs in the supervisor, in the host's network namespace.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket

from composer.runtime.base import files, records
from composer.runtime.network import addresses, firewall, netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.runtime.base.record_types import (
        AttachmentRecord,
        Meta,
        NameRecord,
        NetworkRecord,
        PortRequest,
        PublishedPort,
    )

_TRIES = 8
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_SEQPACKET}


class NetworkFailed(Exception):
    """An address, a network or a port cannot be had. ``kind`` is the class of composer.errors for it."""

    def __init__(self, message: str, kind: str = "Conflict", hint: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.hint = hint


class Attachment:
    """One network of one running container, as it is kept in the container's state."""

    __slots__ = (
        "addresses",
        "aliases",
        "gateways",
        "interface",
        "link",
        "link_local",
        "mac",
        "network",
        "network_id",
        "priority",
        "sysctls",
    )

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.network: str = record["network"]
        self.network_id: str = record["network_id"]
        self.interface: str = record["interface"]
        self.link: str = record["link"]
        self.mac: str = record["mac"]
        self.addresses: list[list[Any]] = [list(pair) for pair in record["addresses"]]
        self.gateways: list[str] = list(record["gateways"])
        self.aliases: list[str] = list(record["aliases"])
        self.link_local: list[list[Any]] = [list(pair) for pair in record.get("link_local", ())]
        self.priority = int(record.get("priority", 0))
        self.sysctls: dict[str, str] = dict(record.get("sysctls") or {})

    def interface_of_container(self) -> dict[str, Any]:
        """Return what the container's side has to make of it."""
        return {
            "name": self.interface,
            "addresses": self.addresses + self.link_local,
            "gateways": self.gateways,
            "sysctls": self.sysctls,
        }

    def lead_out_by(self, gateways: list[str]) -> None:
        """Be the way out by these gateways; by none, be no way out."""
        self.gateways = gateways

    def record(self) -> AttachmentRecord:
        return {name: getattr(self, name) for name in self.__slots__}  # type: ignore[return-value]


class Networks:
    """The networks of the state directory, and the one firewall and netlink socket of this process."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._firewall: firewall.Firewall | None = None
        self._netlink: netlink.Netlink | None = None
        self._bridges: dict[str, int] = {}

    @property
    def firewall(self) -> firewall.Firewall:
        if self._firewall is None:
            self._firewall = firewall.Firewall()
        return self._firewall

    @property
    def netlink(self) -> netlink.Netlink:
        if self._netlink is None:
            self._netlink = netlink.Netlink()
        return self._netlink

    def read(self, network_id: str) -> NetworkRecord:
        """Return a network's object. Raises NetworkFailed when it has been removed."""
        found = records.network(f"{self.directory}/{network_id}")
        if found is None:
            raise NetworkFailed(f"network {network_id[:12]} no longer exists", "NotFound")
        return found

    def plan(
        self,
        container: str,
        wanted: Sequence[Mapping[str, Any]],
        present: Sequence[Attachment] = (),
        former: str = "",
    ) -> list[Attachment]:
        """Lease addresses for each network; interface names follow the order, gateways the priority.

        ``former`` is the container whose place this one takes, with its addresses where they are free. What is
        ``present`` already keeps its addresses and its interface's name. Where one of the others cannot
        be had, none of them is kept.
        """
        joined = {attachment.network_id: attachment for attachment in present}
        try:
            return self._plan(container, wanted, joined, former)
        except BaseException:
            self.release_all(container, [one for one in wanted if one["network_id"] not in joined])
            raise

    def _plan(
        self,
        container: str,
        wanted: Sequence[Mapping[str, Any]],
        joined: Mapping[str, Attachment],
        former: str,
    ) -> list[Attachment]:
        attachments = []
        names = _interface_names(wanted, joined)
        by_priority = sorted(
            range(len(wanted)), key=lambda i: (-wanted[i].get("gw_priority", 0), wanted[i]["network"])
        )
        networks = {index: self.read(endpoint["network_id"]) for index, endpoint in enumerate(wanted)}
        default = next((i for i in by_priority if not networks[i].get("internal")), None)
        for index, endpoint in enumerate(wanted):
            network = networks[index]
            try:
                attachment = joined.get(network["id"]) or self._lease(
                    container, endpoint, network, names[index], former
                )
            except ValueError as error:  # an address that is none
                raise NetworkFailed(f"cannot join network {network['name']}: {error}") from None
            attachment.gateways = [pool["gateway"] for pool in network["pools"]] if index == default else []
            attachments.append(attachment)
        return attachments

    def _lease(
        self,
        container: str,
        endpoint: Mapping[str, Any],
        network: Mapping[str, Any],
        interface: str,
        former: str,
    ) -> Attachment:
        leases = self._leases(network["id"])
        leased = []
        for record in network["pools"]:
            pool = _pool(record)
            static = endpoint.get("ipv6" if pool.subnet.family == 6 else "ipv4")
            address = leases.allocate(pool, container, static=static or None, former=former)
            leased.append([address, pool.subnet.prefix])
        first = str(leased[0][0]) if leased else "0.0.0.0"
        return Attachment(
            {
                "network": network["name"],
                "network_id": network["id"],
                "interface": interface,
                "link": link_name(container, network["id"]),
                "mac": addresses.mac_address(first, endpoint.get("mac")),
                "addresses": leased,
                "gateways": [],
                "aliases": endpoint.get("aliases", ()),
                "priority": endpoint.get("gw_priority", 0),
                "link_local": [[ip, 64 if ":" in ip else 16] for ip in endpoint.get("link_local", ())],
                "sysctls": _of_interface(endpoint.get("sysctls") or {}, interface),
            }
        )

    def _leases(self, network_id: str) -> addresses.Leases:
        return addresses.Leases(f"{self.directory}/{network_id}/leases")

    def attach(self, attachment: Attachment, pid: int) -> None:
        """Make the veth pair, one end in the bridge and the other in the network namespace of ``pid``."""
        network = self.read(attachment.network_id)
        index = self._bridges.get(attachment.network_id) or self._look_up(network)
        try:
            try:
                self._make_link(network, attachment, pid, index)
            except OSError:
                if self._look_up(network) == index:
                    raise
                # the bridge was made anew since it was looked up
                self._make_link(network, attachment, pid, self._bridges[attachment.network_id])
        except OSError as error:
            self._bridges.pop(attachment.network_id, None)
            raise NetworkFailed(
                f"cannot join network {network['name']}: {error.strerror or error}"
            ) from error

    def _look_up(self, network: Mapping[str, Any]) -> int:
        """Return the index of a network's bridge as it is now. Raises NetworkFailed."""
        index = self.netlink.link_index(network["bridge"])
        if index is None:
            self._bridges.pop(network["id"], None)
            raise NetworkFailed(
                f"the bridge {network['bridge']} of network {network['name']} no longer exists", "NotFound"
            )
        self._bridges[network["id"]] = index
        return index

    def _make_link(self, network: Mapping[str, Any], attachment: Attachment, pid: int, bridge: int) -> None:
        arguments: dict[str, Any] = {
            "master_index": bridge,
            "peer_name": attachment.interface,
            "peer_netns_pid": pid,
            "peer_mac": attachment.mac,
            "mtu": network.get("mtu"),
            "hairpin": True,
        }
        try:
            port = self.netlink.create_veth(attachment.link, **arguments)
        except FileExistsError:
            # Left by a start that was killed between this and its record.
            self._delete_link(attachment.link)
            port = self.netlink.create_veth(attachment.link, **arguments)
        if network.get("isolated"):
            self.netlink.set_isolated(port, True)

    def forget_bridges(self) -> None:
        """Look up the bridges again: they may have been recreated."""
        self._bridges.clear()

    def announce(self, container: str, attachment: Attachment, names: Sequence[str]) -> None:
        """Publish the container's names in a network, for the name servers of all projects."""
        directory = f"{self.directory}/{attachment.network_id}/endpoints"
        os.makedirs(directory, 0o700, exist_ok=True)
        record: NameRecord = {
            "network": attachment.network,
            "names": list(dict.fromkeys([*names, *attachment.aliases])),
            "addresses": [address for address, _ in attachment.addresses],
        }
        records.write_endpoint(f"{directory}/{container}", record)

    def detach(self, container: str, attachment: Attachment, *, with_link: bool = False) -> None:
        """Take names and addresses back. Idempotent.

        The link goes with the container's network namespace: deleting it here would wait 30 ms for every
        processor to have seen that, while the kernel takes all dead namespaces away at one go. ``with_link`` is
        for a namespace that others are in: the address must not live on in there.
        """
        self.withdraw(container, attachment)
        if with_link:
            self._delete_link(attachment.link)
        if os.path.isdir(f"{self.directory}/{attachment.network_id}"):
            leases = self._leases(attachment.network_id)
            for address, _ in attachment.addresses:
                leases.release(address, container)

    def withdraw(self, container: str, attachment: Attachment) -> None:
        """Take the container's names out of a network, keeping its address."""
        files.remove_file(f"{self.directory}/{attachment.network_id}/endpoints/{container}")

    def release_all(self, container: str, wanted: Sequence[Mapping[str, Any]]) -> None:
        """Give back every address that the container holds, also one that no record of it names."""
        for endpoint in wanted:
            network_id = endpoint["network_id"]
            if os.path.isdir(f"{self.directory}/{network_id}"):
                leases = self._leases(network_id)
                for address, owner in leases.held().items():
                    if owner == container:
                        leases.release(address, container)
            self._delete_link(link_name(container, network_id))

    def _delete_link(self, name: str) -> None:
        index = self.netlink.link_index(name)
        if index is not None:
            try:
                self.netlink.delete_link(index)
            except OSError as error:
                if error.errno not in (errno.ENODEV, errno.ENXIO):
                    raise  # gone between the two calls, with its network namespace: that is what was wanted

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()


def _of_interface(sysctls: Mapping[str, str], interface: str) -> dict[str, str]:
    """Put the interface's name into its sysctls; with slashes, for a name may have dots."""
    return {
        "/".join(interface if part == "IFNAME" else part for part in name.split(".")): value
        for name, value in sysctls.items()
    }


def _interface_names(wanted: Sequence[Mapping[str, Any]], joined: Mapping[str, Attachment]) -> list[str]:
    """Return each endpoint's interface: the name that was asked for or, in their order, the first that is free."""
    taken = {one.interface for one in joined.values()}
    taken |= {endpoint["interface"] for endpoint in wanted if endpoint.get("interface")}
    found = []
    for endpoint in wanted:
        name = endpoint.get("interface") or ""
        if endpoint["network_id"] in joined:
            name = joined[endpoint["network_id"]].interface
        number = 0
        while not name:
            name = f"eth{number}" if f"eth{number}" not in taken else ""
            number += 1
        taken.add(name)
        found.append(name)
    return found


def _pool(record: Mapping[str, Any]) -> addresses.Pool:
    subnet = addresses.parse_subnet(record["subnet"])
    chosen = addresses.parse_subnet(record.get("range") or record["subnet"])
    return addresses.Pool(subnet, record["gateway"], chosen, record.get("reserved", {}))


def link_name(container: str, network_id: str) -> str:
    """Return the host end's name: ``cmp`` and 12 hex digits, found again from the two ids."""
    return "cmp" + hashlib.sha256(f"{container}/{network_id}".encode()).hexdigest()[:12]


# ------------------------------------------------------------------ published ports


class Ports:
    """Published ports of one container: the sockets that reserve them, and the firewall's elements.

    ``companions``, beside ``sockets``, have the same ports of IPv6 where a port is published at every address.
    """

    __slots__ = ("companions", "published", "sockets")

    def __init__(self) -> None:
        self.published: list[PublishedPort] = []
        self.sockets: list[socket.socket] = []
        self.companions: list[socket.socket | None] = []

    def reserve(self, wanted: Sequence[PortRequest | PublishedPort], containers: str) -> None:
        """Bind a socket for each port; ``host_port`` 0 takes any, ``host_port_end`` makes it a range.

        ``containers`` is the directory of all containers, where who has a port already is looked up.
        """
        for port in wanted:
            try:
                reservation, companion = _reserve(port, containers)
            except NetworkFailed:
                self.release()
                raise
            self.sockets.append(reservation)
            self.companions.append(companion)
            self.published.append(
                {
                    "protocol": port["protocol"],
                    "host_ip": port.get("host_ip") or "",
                    "host_port": reservation.getsockname()[1],
                    "container_port": port["container_port"],
                }
            )

    def index_of(self, wanted: PortRequest) -> int | None:
        """Return which of these is a port that is wanted: of fixed numbers only."""
        first = wanted.get("host_port") or 0
        last = wanted.get("host_port_end") or first
        for index, port in enumerate(self.published):
            same = (port["protocol"], port["host_ip"]) == (wanted["protocol"], wanted.get("host_ip") or "")
            if first and same and first <= port["host_port"] <= last:
                return index
        return None

    def take(self, other: Ports, index: int, container_port: int) -> None:
        """Have a port of another container from now on, sockets and all."""
        self.sockets.append(other.sockets.pop(index))
        self.companions.append(other.companions.pop(index))
        self.published.append({**other.published.pop(index), "container_port": container_port})

    def relayed(self, attachments: Sequence[Attachment]) -> list[tuple[socket.socket, tuple[str, int]]]:
        """Return the sockets of IPv6 at which connections may arrive, and where each is to be passed on to."""
        target = _target(attachments)
        if target is None:
            return []
        # By IPv6 where it has that: its own firewall and logs then see what they would see.
        address = sorted((str(ip) for ip, _ in target.addresses), key=lambda ip: ":" not in ip)[0]
        found = []
        for port, own, companion in zip(self.published, self.sockets, self.companions, strict=True):
            listener = companion or (own if ":" in port["host_ip"] else None)
            if listener is not None and port["protocol"] in ("tcp", "udp"):
                found.append((listener, (address, int(port["container_port"]))))
        return found

    def publications(self, attachments: Sequence[Attachment]) -> list[firewall.Publication]:
        """Lead each port to the container's address in the network that is its way out."""
        target = _target(attachments)
        if target is None:
            return []
        found = []
        for port in self.published:
            for address, _ in target.addresses:
                if _same_family(port["host_ip"], address):
                    found.append(
                        firewall.Publication(
                            port["protocol"],
                            port["host_ip"],
                            port["host_port"],
                            address,
                            port["container_port"],
                            target.link,
                        )
                    )
        return found

    def release(self) -> None:
        for reservation in (*self.sockets, *self.companions):
            if reservation is not None:
                reservation.close()
        self.sockets.clear()
        self.companions.clear()
        self.published.clear()


def _target(attachments: Sequence[Attachment]) -> Attachment | None:
    """Return the network that published ports lead through, the way out; None where all networks are internal."""
    return next((one for one in attachments if one.gateways and one.addresses), None)


def has_way_out(attachments: Sequence[Attachment]) -> bool:
    """Tell whether a container reaches anything outside of its networks, and can be reached from there."""
    return _target(attachments) is not None


def _reserve(
    port: PortRequest | PublishedPort, containers: str
) -> tuple[socket.socket, socket.socket | None]:
    """Bind a port and its companion; where there is a choice, one that is free in both families."""
    first = port.get("host_port") or 0
    last = port.get("host_port_end") or first
    left = _TRIES
    while True:
        reservation = _bind({**port, "host_port": first, "host_port_end": last}, containers)
        number = reservation.getsockname()[1]
        try:
            return reservation, _companion(port, reservation, containers)
        except NetworkFailed:
            reservation.close()
            if number >= last if first else not left:
                raise
            left -= 1
            first = number + 1 if first else 0


def _companion(port: Mapping[str, Any], reservation: socket.socket, containers: str) -> socket.socket | None:
    """Reserve the same port of IPv6; None where it is not asked for, or this machine has no IPv6."""
    if port.get("host_ip") or not os.path.exists("/proc/sys/net/ipv6"):
        return None
    number = reservation.getsockname()[1]
    return _bind({**port, "host_ip": "::", "host_port": number, "host_port_end": number}, containers)


def _same_family(host_ip: str, address: str) -> bool:
    if host_ip in ("", "0.0.0.0", "::"):
        return ":" not in address if host_ip == "0.0.0.0" else ":" in address if host_ip == "::" else True
    return (":" in host_ip) == (":" in address)


def _holder(containers: str, protocol: str, number: int) -> Meta | None:
    """Return the ``meta.json`` of the container of ours, in whatever project, that has a port of the host."""
    for id in sorted(os.listdir(containers)):
        state = records.state(f"{containers}/{id}") or {}
        held = [(port["protocol"], port["host_port"]) for port in state.get("ports") or ()]
        if (protocol, number) in held:
            return records.meta(f"{containers}/{id}")
    return None


def _bind(port: Mapping[str, Any], containers: str) -> socket.socket:
    host_ip = port.get("host_ip") or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    if port["protocol"] not in _KINDS:
        raise NetworkFailed(
            f"cannot publish port {port['container_port']}: '{port['protocol']}' is not a protocol with ports"
        )
    first = port.get("host_port") or 0
    last = port.get("host_port_end") or first
    failure: OSError | None = None
    for number in range(first, last + 1):
        reservation = socket.socket(family, _KINDS[port["protocol"]])
        try:
            if family == socket.AF_INET6:
                reservation.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if port["protocol"] == "tcp":
                # A connection of the last stack that lingers in TIME_WAIT must not keep the port.
                reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reservation.bind((host_ip, number))
            if port["protocol"] == "tcp":
                reservation.listen(1)
            return reservation
        except OSError as error:
            reservation.close()
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    address = f"{port['host_ip']}:" if port.get("host_ip") else ""
    shown = f"{address}{first}{f'-{last}' if last != first else ''}"
    if failure is not None and failure.errno == errno.EADDRINUSE:
        holder = _holder(containers, port["protocol"], first)
        if holder is not None:
            whose, command = f" of project '{holder['project']}'", f"composer -p {holder['project']} stop"
            if holder["project"] == records.NOBODY:
                whose, command = "", f"composer container stop {holder['name']}"
            raise NetworkFailed(
                f"cannot publish port {shown}/{port['protocol']}: port is already allocated by container "
                f"'{holder['name']}'{whose}",
                hint=f"stop it ({command}), or publish another port",
            )
        raise NetworkFailed(
            f"cannot publish port {shown}/{port['protocol']}: address already in use",
            hint=f"stop the process that listens on it (ss -lp 'sport = :{first}'), or publish another port",
        )
    if failure is not None and failure.errno == errno.EADDRNOTAVAIL:
        raise NetworkFailed(
            f"cannot publish port {shown}/{port['protocol']}: cannot assign requested address",
            hint="use an address of this machine, or omit it to publish on all of them",
        )
    raise NetworkFailed(
        f"cannot publish port {shown}/{port['protocol']}: {failure.strerror if failure else 'no port'}"
    )
