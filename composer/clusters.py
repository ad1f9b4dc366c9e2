"""What ``deploy`` asks of a cluster, or of one machine in a way that none has: on every backend a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PLACES = "only a cluster places containers"
_RESERVES = "only a cluster reserves it: on one machine nothing is kept free"
UNHEEDED: dict[tuple[str, ...], str] = {
    (
        "endpoint_mode",
    ): "only a cluster has endpoints: each container has its own address, and the name stands for all",
    ("labels",): "they are those of a service of a cluster; labels of containers are written under labels",
    ("placement", "constraints"): _PLACES,
    ("placement", "preferences"): _PLACES,
    ("placement", "max_replicas_per_node"): _PLACES,
    ("resources", "reservations", "cpus"): _RESERVES,
    ("resources", "reservations", "generic_resources"): _RESERVES,
    ("restart_policy", "delay"): "the pause before a restart is 100 ms at first, and grows",
    ("restart_policy", "window"): "a restart is counted from the end of a container on, however long it ran",
}
"""Paths below ``deploy``, and the ends of sentences."""


def unheeded(deploy: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and reason of each of these that a service's ``deploy`` has."""
    for path, reason in UNHEEDED.items():
        if _inside(deploy, path) not in (None, "", [], {}, 0, "0s"):
            yield ("deploy", *path), reason


def _inside(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = (tree or {}).get(name)
    return tree
