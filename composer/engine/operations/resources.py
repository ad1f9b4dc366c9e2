"""Operations on networks and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine.operations.row import IN_USE, MAKES, MENDS, REMOVES, Row, about, field, optionally

if TYPE_CHECKING:
    from composer.engine.backend import Backend
    from composer.engine.operations.row import Report
    from composer.engine.wanted import NetworkSpec, VolumeSpec


class CreateNetwork(NamedTuple):
    spec: NetworkSpec
    cause: str


def _create_network(backend: Backend, operation: CreateNetwork, _: Report) -> str:
    return backend.create_network(operation.spec)


class RemoveNetwork(NamedTuple):
    """``optional``: another project may still be using it; then it stays, with a warning."""

    name: str
    id: str
    cause: str
    optional: bool = False


def _remove_network(backend: Backend, operation: RemoveNetwork, _: Report) -> None:
    optionally(operation.optional, lambda: backend.remove_network(operation.id or operation.name), IN_USE)


class MendNetwork(NamedTuple):
    """What others took away of a network is put back while its containers run."""

    name: str
    id: str
    cause: str


def _mend_network(backend: Backend, operation: MendNetwork, _: Report) -> None:
    backend.mend_network(operation.id)


class CreateVolume(NamedTuple):
    spec: VolumeSpec
    cause: str


def _create_volume(backend: Backend, operation: CreateVolume, _: Report) -> str:
    return backend.create_volume(operation.spec)


class RemoveVolume(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    name: str
    cause: str
    optional: bool = False


def _remove_volume(backend: Backend, operation: RemoveVolume, _: Report) -> None:
    optionally(operation.optional, lambda: backend.remove_volume(operation.name), IN_USE)


_MADE, _NAME = field("spec.name"), field("name")
_NETWORK, _VOLUME = about("network", "name"), about("volume", "name")

ROWS: dict[type, Row] = {
    CreateNetwork: Row(
        "create network",
        "creating",
        "created",
        MAKES,
        about("network", "spec.name"),
        _MADE,
        _create_network,
    ),
    RemoveNetwork: Row("remove network", "removing", "removed", REMOVES, _NETWORK, _NAME, _remove_network),
    MendNetwork: Row("mend network", "mending", "mended", MENDS, _NETWORK, _NAME, _mend_network),
    CreateVolume: Row(
        "create volume", "creating", "created", MAKES, about("volume", "spec.name"), _MADE, _create_volume
    ),
    RemoveVolume: Row("remove volume", "removing", "removed", REMOVES, _VOLUME, _NAME, _remove_volume),
}
