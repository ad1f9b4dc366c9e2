"""What `reconcile` decides and `emit` brings into order: plain values, no steps and no order between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.observed import ContainerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.losses import Loss
    from composer.engine.observed import ObservedContainer, ObservedNetwork
    from composer.engine.operations.images import BuildImage, PullImage
    from composer.engine.operations.row import ContainerRef
    from composer.engine.operations.waiting import WaitService
    from composer.engine.wanted import EndpointSpec
    from composer.graph import Dependency

    Tree = Mapping[str, Any]

CREATE, REPLACE, MEND = "create", "replace", "mend"
"""What becomes of a network or a volume."""

UNFINISHED = "left over from an interrupted up"


class Fate(NamedTuple):
    """A container and why it must be replaced, removed or stopped."""

    container: ObservedContainer
    cause: str


class Decision(NamedTuple):
    """The containers of one service: ``keep`` and ``replace`` by number, ``create`` the numbers that are missing."""

    service: str
    keep: tuple[ObservedContainer, ...] = ()
    replace: tuple[Fate, ...] = ()
    remove: tuple[Fate, ...] = ()
    create: tuple[int, ...] = ()
    create_cause: str = ""

    @property
    def is_empty(self) -> bool:
        """Tell whether the service has no container after the plan."""
        return not (self.keep or self.replace or self.create)

    @property
    def runs_hooks(self) -> bool:
        """Tell whether ``pre_start`` hooks run before its starts: not beside a container that runs."""
        return all(c.state is not ContainerState.RUNNING for c in self.keep)


class Connection(NamedTuple):
    """A network that a container is connected to; ``again``: it is disconnected first."""

    endpoint: EndpointSpec
    cause: str
    again: bool = False


class Stay(NamedTuple):
    """A container that stays. ``rename`` and ``start`` are causes: empty where there is nothing of that to do."""

    container: ObservedContainer
    known: ContainerRef
    rename: str = ""
    connections: tuple[Connection, ...] = ()
    start: str = ""

    @property
    def is_unchanged(self) -> bool:
        return not (self.rename or self.connections or self.start)


class Fetch(NamedTuple):
    """An image that is not here: pulled, built, or built where the pull before did not bring it.

    ``bases`` are the references of images that are fetched too, and that it is built from; without operations it is
    the same image as its base.
    """

    reference: str
    operations: tuple[PullImage | BuildImage, ...]
    bases: tuple[str, ...] = ()


class Use(NamedTuple):
    """A network or volume that services use: ``kind`` is "network" or "volume", ``name`` the real name."""

    kind: str
    key: str
    name: str
    entry: Tree


class Diverged(NamedTuple):
    """Real names of what is not as it is written, and is replaced; ``kept`` are volumes that stay for their data."""

    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()


class Change(NamedTuple):
    """What is done about a network or a volume: CREATE, REPLACE or MEND."""

    use: Use
    action: str
    cause: str


class Obsolete(NamedTuple):
    network: ObservedNetwork
    cause: str


class Infrastructure(NamedTuple):
    """Networks and volumes: ``obsolete`` networks go at the end, where nothing uses them any more."""

    changes: tuple[Change, ...] = ()
    obsolete: tuple[Obsolete, ...] = ()
    losses: tuple[Loss, ...] = ()


class Decisions(NamedTuple):
    """Everything that is decided of a project; what maps is by service, ``order`` has dependencies first.

    ``unfinished``: containers that an interrupted ``up`` made and nobody needs. ``retired``: containers that made
    room and were not removed. ``held``: the containers of others that are stopped before the service's are replaced.
    ``gates``: the dependencies that a start waits for. ``waits`` lack their containers, which `emit` knows.
    """

    order: tuple[str, ...]
    services: Mapping[str, Decision]
    stays: Mapping[str, tuple[Stay, ...]]
    held: Mapping[str, tuple[Fate, ...]]
    gates: Mapping[str, tuple[Dependency, ...]]
    firsts: Mapping[str, int]
    infrastructure: Infrastructure
    diverged: Diverged
    fetches: tuple[Fetch, ...] = ()
    unfinished: tuple[Fate, ...] = ()
    retired: tuple[Fate, ...] = ()
    orphans: tuple[Fate, ...] = ()
    waits: tuple[WaitService, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def containers(self) -> frozenset[str]:
        """The ids of the containers that something is decided about."""
        fates = [*self.unfinished, *self.retired, *self.orphans]
        for one in self.services.values():
            fates += [*one.replace, *one.remove]
        kept = (c for one in self.services.values() for c in one.keep)
        return frozenset((*(fate.container.id for fate in fates), *(c.id for c in kept)))

    @property
    def is_settled(self) -> bool:
        """Tell whether all is as it should be, and nothing is waited for."""
        to_do = (self.fetches, self.unfinished, self.retired, self.orphans, self.waits)
        return not (
            any(to_do)
            or self.infrastructure.changes
            or self.infrastructure.obsolete
            or any(self.held.values())
            or any(one.replace or one.remove or one.create for one in self.services.values())
            or any(not stay.is_unchanged for stays in self.stays.values() for stay in stays)
        )
