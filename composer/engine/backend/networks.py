"""Networks: seen, made, joined, mended, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from composer.engine.observed import ObservedNetwork
    from composer.engine.wanted import EndpointSpec, LabelFilter, Limitation, NetworkSpec


class NetworkObserver(Protocol):
    """What can be seen of networks."""

    def find_network(self, name: str) -> ObservedNetwork | None: ...
    def networks(self) -> Sequence[ObservedNetwork]: ...

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return, by network id, what others took away of networks that containers run in: links, rules, addresses."""
        ...

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return what this backend would not honour of a network's attributes. Paths are relative to the network."""
        ...


class Networks(NetworkObserver, Protocol):
    """What can be done to networks."""

    def create_network(self, spec: NetworkSpec) -> str: ...
    def remove_network(self, id: str) -> None: ...
    def mend_network(self, id: str) -> None:
        """Put back what `network_faults` names, under the containers that run in it."""
        ...

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None: ...
    def disconnect_network(self, id: str, network: str) -> None: ...
    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        """Remove the networks that no container is in, and that all filters match; return their names."""
        ...
