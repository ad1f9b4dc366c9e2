"""Networks as objects of the host: a bridge, its subnets, its place in the firewall.

Made and removed by the command line under the host lock. The object is on the disk before the first effect, so
that a removal after a kill finds everything; a bridge that a reboot took is made again when it is needed.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import records, state
from composer.runtime.base.remembering import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.runtime.base.record_types import EndpointRequest, NetworkRecord
    from composer.runtime.network.addresses import Subnet
    from composer.runtime.network.firewall import Firewall
    from composer.runtime.network.subnets import Used
    from composer.runtime.objects import specs

DEFAULT_NETWORK = "bridge"
"""The network of the mode ``bridge``: nobody's, made for its first container and gone with its last."""

# docker0's usual subnet, kept free for a Docker that is installed or started later.
_DOCKERS_OWN = "172.17.0.0/16"
_IFF_UP = 1  # netdevice(7)


class Networks:
    """The networks of one state directory."""

    def __init__(self, paths: state.Paths) -> None:
        self._paths = paths
        self._records = Remembered("network.json", records.network)
        self._removals: deque[_Removal] = deque()

    def all(self) -> Iterator[NetworkRecord]:
        directory = self._paths.networks()
        return self._records.all(directory, state.list_directory(directory))

    def find(self, name: str) -> NetworkRecord | None:
        """Return a network by name or id."""
        for record in self.all():
            if name in (record["name"], record["id"]):
                return record
        return None

    def request(self, endpoint: specs.Endpoint) -> EndpointRequest:
        """Return an endpoint as a container's configuration has it. Raises NotFound where there is no such network."""
        network = self.find(endpoint.network)
        if network is None:
            raise errors.NotFound(f"network '{endpoint.network}' does not exist")
        return {
            "network": network["name"],
            "network_id": network["id"],
            "aliases": list(endpoint.aliases),
            "links": [list(link) for link in endpoint.links],
            "ipv4": endpoint.ipv4,
            "ipv6": endpoint.ipv6,
            "mac": endpoint.mac,
            "interface": endpoint.interface,
            "link_local": list(endpoint.link_local),
            "sysctls": dict(endpoint.sysctls),
            "gw_priority": endpoint.gw_priority,
        }

    def create(self, spec: specs.Network) -> str:
        """Make a network, or return the one of this name when it carries the same labels."""
        from composer.runtime.base import making
        from composer.runtime.network import firewall
        from composer.runtime.objects import links

        with state.host_lock():
            existing = self._existing(spec.name)
            if existing is not None:
                records.refuse_later(existing, f"network '{spec.name}'")
                if spec.repeatable and dict(existing["labels"]) == dict(spec.labels):
                    self._raise_up(existing)
                    return str(existing["id"])
                raise errors.Conflict(f"network '{spec.name}' already exists with different labels")
            record = self._plan(spec)
            if links.flags(record["bridge"]) is not None:
                # It would be removed with the network, whoever made it.
                raise errors.Conflict(
                    f"cannot create network '{spec.name}': interface '{record['bridge']}' already exists "
                    "on this machine",
                    hint="set another interface name with com.docker.network.bridge.name",
                )
            state.make_directory(self._paths.networks())
            with making.making(f"{self._paths.networks()}/{record['id']}") as directory:
                for name in ("leases", "endpoints"):
                    os.mkdir(f"{directory}/{name}", 0o700)
                records.write_network(directory, record)
            try:
                self._raise_up(record)
            except OSError as error:
                self._take_down([record], firewall.Firewall())
                raise errors.BackendError(
                    f"cannot create network '{spec.name}': {error.strerror or error}"
                ) from error
            return str(record["id"])

    def _existing(self, name: str) -> NetworkRecord | None:
        """Return the network of this name. Raises Conflict where it is there, and its record cannot be read."""
        unread = []
        for id in state.list_directory(self._paths.networks()):
            record = self._records.record(f"{self._paths.networks()}/{id}")
            if record is None:
                unread.append(id)
            elif name in (record["name"], record["id"]):
                return record
        for id in unread:
            directory = f"{self._paths.networks()}/{id}"
            if os.path.isdir(directory) and self.name_of(id) == name:
                raise errors.Conflict(
                    f"cannot create network '{name}': it already exists, but its file {directory}/network.json "
                    "is damaged",
                    hint="recreate the file with composer doctor --repair",
                )
        return None

    def name_of(self, id: str) -> str | None:
        """Return what the containers in a network call it."""
        for container in state.list_directory(self._paths.containers()):
            meta = records.meta(self._paths.container(container))
            for name, network_id in meta["networks"] if meta is not None else ():
                if network_id == id:
                    return name
        return None

    def _plan(self, spec: specs.Network) -> NetworkRecord:
        from composer.runtime.network import subnets

        id = os.urandom(32).hex()
        self._refuse_overlap(spec.name, spec.ipam)
        pools = subnets.choose_pools(
            spec.ipam,
            used=self._used(),
            sources=[subnets.Source.of(*pool) for pool in spec.address_pools],
            ipv4=spec.ipv4,
            ipv6=spec.ipv6,
            seed=spec.name,
        )
        made: NetworkRecord = {
            "id": id,
            "name": spec.name,
            "labels": dict(spec.labels),
            "project": spec.owner,
            "event": dict(spec.event),
            "driver": "bridge",
            "created_ns": time.time_ns(),
            "attributes": dict(spec.attributes),
            "bridge": spec.bridge or f"cmp{id[:10]}",
            "mtu": spec.mtu,
            "masquerade": spec.masquerade,
            "isolated": spec.isolated,
            "internal": spec.internal,
            "pools": [
                {
                    "subnet": str(pool.subnet),
                    "gateway": pool.gateway,
                    "range": str(pool.range),
                    "reserved": dict(pool.reserved),
                }
                for pool in pools
            ],
        }
        if spec.host_bindings:
            made["host_bindings"] = list(spec.host_bindings)
        return made

    def _used(self) -> list[Used]:
        """Return the addresses in use on this host: of networks, of interfaces and behind routes."""
        from composer.runtime.network import netlink
        from composer.runtime.network.subnets import Used

        taken = [Used(_DOCKERS_OWN, "Docker's default network")]
        ours = set()
        for record in self.all():
            ours.add(record["bridge"])
            taken += [Used(pool["subnet"], f"network '{record['name']}'") for pool in record["pools"]]
        with netlink.Netlink() as link:
            names = {one.index: one.name for one in link.links()}

            def named(index: int) -> str:
                return names.get(index, "an interface that has just come")

            taken += [
                Used(f"{address.ip}/{address.prefix}", f"interface {named(address.index)}")
                for address in link.addresses()
                if names.get(address.index) not in ours
            ]
            taken += [
                Used(route.dst, f"route {route.dst} through {named(route.oif)}")
                for route in link.routes()
                if route.dst is not None and names.get(route.oif) not in ours
            ]
        return taken

    def _refuse_overlap(self, name: str, ipam: Mapping[str, Any]) -> None:
        from composer.runtime.network import addresses

        for config in ipam.get("config") or ():
            if not config.get("subnet"):
                continue
            problem = subnet_problem(str(config["subnet"]))
            if problem is not None:
                raise errors.Conflict(
                    f"cannot create network '{name}': {problem}", hint="correct the network's ipam.config"
                )
            wanted = addresses.parse_subnet(config["subnet"])
            for record in self.all():
                for pool in record["pools"]:
                    if addresses.overlaps(wanted, addresses.parse_subnet(pool["subnet"])):
                        raise errors.Conflict(
                            f"cannot create network '{name}': subnet {config['subnet']} overlaps "
                            f"{pool['subnet']} of network '{record['name']}'",
                            hint="use another subnet, or remove it to use a free one",
                        )
            self._refuse_interface(name, wanted)

    def _refuse_interface(self, name: str, wanted: Subnet) -> None:
        """Refuse the subnet of an interface of others: of two equal routes only one leads to our containers."""
        from composer.runtime.network import addresses, netlink

        with netlink.Netlink() as link:
            names = {one.index: one.name for one in link.links()}
            found = [
                names.get(one.index, "")
                for one in link.addresses()
                if one.prefix == wanted.prefix
                and addresses.overlaps(wanted, addresses.parse_subnet(f"{one.ip}/{one.prefix}"))
            ]
        if found:
            hint = "use another subnet, or remove that network first"
            if found[0].startswith(("br-", "docker")):
                hint = "remove the network of Docker first (composer --backend docker down), or use another subnet"
            raise errors.Conflict(
                f"cannot create network '{name}': interface {found[0]} of this machine has subnet {wanted} already",
                hint=hint,
            )

    def ensure_up(self, id: str) -> None:
        """Finish what a killed command began; make the bridge again where a reboot, or somebody, took it.

        A bridge that is up is complete: one small read when all is well.
        """
        if not _is_up(self._there(id)["bridge"]):
            with state.host_lock():
                self._raise_up(self._there(id))  # while the lock was waited for it may have been removed

    def still_there(self, id: str) -> None:
        """Wait for a removal that is under way. Raises NotFound where the network went with it."""
        with state.host_lock():
            self._there(id)

    def _there(self, id: str) -> NetworkRecord:
        record = records.network(f"{self._paths.networks()}/{id}")
        if record is None:
            raise errors.NotFound(f"network {id[:12]} no longer exists")
        return record

    def _raise_up(self, record: NetworkRecord) -> None:
        from composer.runtime.network import bridges

        bridges.raise_up(record, f"{self._paths.networks()}/{record['id']}")

    def remove(self, id: str) -> None:
        """Remove a network. Raises Conflict, naming who is in it, while it is in use.

        The kernel takes many links away in the time of one, some 40 ms. So whoever has the lock removes also the
        networks of all threads that wait for it. Where that fails, each of these tries its own.
        """
        from composer.runtime.network import firewall

        mine = _Removal(id)
        self._removals.append(mine)
        wall = firewall.Firewall()
        try:
            with state.host_lock():
                if not mine.is_done:
                    self._remove_together([mine, *self._others(mine)], wall)
        finally:
            wall.close()  # without the lock: the kernel waits here, too
        if mine.refusal is not None:
            raise mine.refusal

    def _others(self, mine: _Removal) -> Iterator[_Removal]:
        """Take over what waits. What was taken over by somebody who failed is in nobody's queue any more."""
        while self._removals:
            with suppress(IndexError):  # another thread's was the last
                other = self._removals.popleft()
                if other is not mine:
                    yield other

    def _remove_together(self, removals: Sequence[_Removal], wall: Firewall) -> None:
        going: dict[str, NetworkRecord] = {}
        for removal in removals:
            try:
                record = self._unused(removal.id)
            except errors.ComposerError as error:
                removal.refusal = error
            else:
                going |= (
                    {record["id"]: record} if record is not None else {}
                )  # once, however many want it gone
        self._take_down(list(going.values()), wall)
        for removal in removals:
            removal.is_done = True

    def _unused(self, id: str) -> NetworkRecord | None:
        """Return a network that nobody is in; None where there is none. Raises Conflict."""
        from composer.runtime.network import addresses

        record = self.find(id)
        if record is None:
            return None
        records.refuse_later(record, f"network '{record['name']}'")
        users = set(addresses.Leases(self._leases(record)).held().values())
        names = sorted(self._container_name(user) for user in users)
        if names:
            raise errors.Conflict(
                f"network '{record['name']}' is in use by {', '.join(names)}",
                hint="remove these containers first",
            )
        return record

    def _leases(self, record: NetworkRecord) -> str:
        return f"{self._paths.networks()}/{record['id']}/leases"

    def _container_name(self, id: str) -> str:
        meta = records.meta(self._paths.container(id))
        return str(meta["name"]) if meta else id[:12]

    def _take_down(self, going: Sequence[NetworkRecord], wall: Firewall) -> None:
        if not going:
            return
        from composer.runtime.base import trees
        from composer.runtime.network import netlink

        with netlink.Netlink() as link:
            indices = []
            for record in going:
                index = link.link_index(record["bridge"])
                if index is not None:
                    link.set_down(index)  # first: from now on it is not complete, see `ensure_up`
                    indices.append(index)
            wall.remove_network(*(record["bridge"] for record in going))
            link.delete_links(indices)
        for record in going:
            trees.put_away(f"{self._paths.networks()}/{record['id']}")


class _Removal:
    """A network that a thread removes; ``refusal`` is why it cannot be."""

    __slots__ = ("id", "is_done", "refusal")

    def __init__(self, id: str) -> None:
        self.id, self.is_done = id, False
        self.refusal: errors.ComposerError | None = None


def _is_up(interface: str) -> bool:
    from composer.runtime.objects import links

    return bool((links.flags(interface) or 0) & _IFF_UP)


def subnet_problem(subnet: str) -> str | None:
    """Say what is wrong with the subnet of a network, None where nothing is."""
    from composer import values
    from composer.runtime.network import addresses

    if not subnet:
        return None
    try:
        addresses.parse_subnet(subnet)
    except ValueError as error:
        return str(error)
    return values.subnet_problem(subnet)
