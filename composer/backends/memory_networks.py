"""The networks of the memory backend, and what somebody takes away of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from composer.backends.memory_parts import Part
from composer.engine.observed import ObservedEndpoint, ObservedNetwork
from composer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from composer.engine.wanted import EndpointSpec, LabelFilter, NetworkSpec


class Networks(Part):
    """The part of `MemoryBackend` that is about networks."""

    _networks: dict[str, tuple[ObservedNetwork, NetworkSpec]]
    _faults: dict[str, tuple[str, ...]]

    def find_network(self, name: str) -> ObservedNetwork | None:
        with self.changed:
            return self._networks[name][0] if name in self._networks else None

    def networks(self) -> Sequence[ObservedNetwork]:
        with self.changed:
            return [network for network, *_ in self._networks.values()]

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        with self.changed:
            return {id: self._faults[id] for id in ids if id in self._faults}

    def damage_network(self, name: str, *faults: str) -> None:
        """Be somebody who takes away a part of a network."""
        with self.changed:
            self._faults[self._networks[name][0].id] = faults

    def create_network(self, spec: NetworkSpec) -> str:
        with self.changed:
            self._called("create_network", spec.name)
            if spec.name in self._networks:
                found, _ = self._networks[spec.name]
                if dict(found.labels) != dict(spec.labels):
                    raise Conflict(f"network '{spec.name}' already exists")
                return found.id
            driver = spec.attributes.get("driver") or "bridge"
            network = ObservedNetwork(
                self._new_id("network", spec.name),
                spec.name,
                dict(spec.labels),
                driver,
                dict(spec.attributes),
            )
            self._networks[spec.name] = (network, spec)
            self._emit("network", "create", spec.name)
            return network.id

    def mend_network(self, id: str) -> None:
        with self.changed:
            self._called("mend_network", id)
            self._faults.pop(id, None)

    def remove_network(self, id: str) -> None:
        with self.changed:
            found = next((n for n, _ in self._networks.values() if id in (n.id, n.name)), None)
            self._called("remove_network", found.name if found else id)
            if found is None:
                return
            users = [
                c.seen.name
                for c in self.by_id.values()
                if any(e.network_id == found.id for e in c.seen.endpoints)
            ]
            if users:
                raise Conflict(f"network '{found.name}' is in use by container '{users[0]}'")
            del self._networks[found.name]
            self._emit("network", "destroy", found.name)

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None:
        with self.changed:
            container = self._find(id)
            self._called("connect_network", container.seen.name)
            joined = self._join(container.seen.name, endpoint)
            others = tuple(e for e in container.seen.endpoints if e.network != endpoint.network)
            container.seen = container.seen._replace(endpoints=(*others, joined))
            self._emit("network", "connect", endpoint.network, container=container.seen.id)

    def disconnect_network(self, id: str, network: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("disconnect_network", container.seen.name)
            rest = tuple(e for e in container.seen.endpoints if network not in (e.network, e.network_id))
            container.seen = container.seen._replace(endpoints=rest)
            self._emit("network", "disconnect", network, container=container.seen.id)

    def _join(self, owner: str, endpoint: EndpointSpec) -> ObservedEndpoint:
        if endpoint.network not in self._networks:
            raise NotFound(f"no such network: {endpoint.network}")
        network, _ = self._networks[endpoint.network]
        address = endpoint.attributes.get("ipv4_address") or self._free_address(owner, network.id)
        return ObservedEndpoint(network.name, network.id, ipv4=address, aliases=endpoint.aliases)

    def _free_address(self, owner: str, network: str) -> str:
        """Return an address by the container's name, or the next one that nobody has there."""
        seen = (e for c in self.by_id.values() for e in c.seen.endpoints)
        taken = {e.ipv4 for e in seen if e.network_id == network}
        start = zlib.crc32(owner.encode())
        for number in range(start, start + 2**16):
            address = f"172.18.{number >> 8 & 255}.{number & 255}"
            if address not in taken and number & 0xFFFF > 1:
                return address
        raise Conflict(f"no available addresses in network '{network}'")

    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        with self.changed:
            used = {e.network_id for c in self.by_id.values() for e in c.seen.endpoints}
            found = [n for n, _ in self._networks.values() if n.id not in used]
            gone = [n for n in found if all(label.matches(n.labels) for label in labels)]
            for network in gone:
                self.remove_network(network.id)
            return [network.name for network in gone]
