"""Protocols for networks: find, create, connect, restore, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from composer.engine.observed import ObservedNetwork
    from composer.engine.wanted import EndpointSpec, LabelFilter, Limitation, NetworkSpec


class NetworkObserver(Protocol):
    """Reads networks."""

    def find_network(self, name: str) -> ObservedNetwork | None: ...
    def networks(self) -> Sequence[ObservedNetwork]: ...

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return, by network id, the missing parts of networks with running containers: links, rules, addresses."""
        ...

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return which of a network's attributes this backend does not support. Paths are relative to the network."""
        ...


class Networks(NetworkObserver, Protocol):
    """Changes networks."""

    def create_network(self, spec: NetworkSpec) -> str: ...
    def remove_network(self, id: str) -> None: ...
    def mend_network(self, id: str) -> None:
        """Restore the parts that `network_faults` returns, while containers keep running."""
        ...

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None: ...
    def disconnect_network(self, id: str, network: str) -> None: ...
    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        """Remove the networks without containers that match all filters; return their names."""
        ...
