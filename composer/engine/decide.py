"""What becomes of each container of one service: kept, replaced or removed, and which numbers are missing.

The rules are Docker Compose's (pkg/compose/convergence.go, reconcile.go): the order of the questions in `cause`
is theirs, the answers name the field and its place. Pure; emits no operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import compare, labels, resolve
from composer.engine.backend import ContainerState
from composer.engine.hashing import service_hash
from composer.graph import sharing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.backend import ObservedContainer
    from composer.engine.observe import World
    from composer.schema.model import Project

    Tree = Mapping[str, Any]

_BROKEN = frozenset((ContainerState.DEAD, ContainerState.REMOVING))


class Options(NamedTuple):
    """What the command line asks of an ``up``.

    ``services`` are the ones that were named (none: all); ``known`` every service of the project, selected or not.
    ``recreate`` is ``diverged``, ``force`` or ``never``. ``dependencies`` False leaves other services alone.
    """

    services: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    recreate: str = "diverged"
    recreate_dependencies: str = "diverged"
    scale: Mapping[str, int] = {}
    dependencies: bool = True
    start: bool = True
    remove_orphans: bool = False
    ignore_orphans: bool = False
    renew_anonymous_volumes: bool = False
    replace_volumes: bool = False
    timeout_s: float | None = None
    wait: bool = False
    wait_timeout_s: float | None = None
    pull: str | None = None

    def recreate_policy(self, service: str) -> str:
        named = not self.services or service in self.services
        return self.recreate if named else self.recreate_dependencies


class Fate(NamedTuple):
    """A container and why it must be replaced or removed."""

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


def decide(
    project: Project,
    service: str,
    containers: list[ObservedContainer],
    world: World,
    options: Options,
    replaced: frozenset[str],
) -> Decision:
    """Return what becomes of a service's containers; ``replaced`` are the services whose containers are replaced."""
    tree: Tree = project.tree["services"][service]
    expected = resolve.replicas(service, tree, options.scale)
    judge = _Judge(project, service, tree, world, options.recreate_policy(service), replaced)
    fates = [Fate(c, judge.cause(c)) for c in containers]
    # obsolete ones go first, then the highest numbers
    fates.sort(key=lambda fate: (bool(fate.cause), labels.number_of(fate.container), fate.container.name))
    staying, leaving = fates[:expected], fates[expected:]
    staying.sort(key=lambda fate: (labels.number_of(fate.container), fate.container.name))
    highest = max((labels.number_of(c) for c in containers), default=0)
    missing = expected - len(staying)
    return Decision(
        service,
        keep=tuple(fate.container for fate in staying if not fate.cause),
        replace=tuple(fate for fate in staying if fate.cause),
        remove=tuple(Fate(fate.container, f"scale {len(containers)} → {expected}") for fate in leaving),
        create=tuple(range(highest + 1, highest + 1 + missing)),
        create_cause=f"scale {len(containers)} → {expected}" if containers else "does not exist",
    )


class _Judge:
    """Asks the questions of `mustRecreate` of the containers of one service; the hash is computed once."""

    __slots__ = ("_hash", "_policy", "_project", "_replaced", "_service", "_tree", "_world")

    def __init__(
        self, project: Project, service: str, tree: Tree, world: World, policy: str, replaced: frozenset[str]
    ) -> None:
        self._project, self._service, self._tree = project, service, tree
        self._world, self._policy, self._replaced = world, policy, replaced
        self._hash: str | None = None

    def cause(self, container: ObservedContainer) -> str:
        """Return why a container must be replaced, or nothing."""
        if self._policy == "never":
            return ""
        if self._policy == "force":
            return "forced"
        return (
            self._shared_parent()
            or self._configuration(container)
            or self._contents(container)
            or self._image(container)
            or self._networks(container)
            or self._volumes(container)
            or (f"it is {container.state.value}" if container.state in _BROKEN else "")
        )

    def _shared_parent(self) -> str:
        for parent in sharing(self._tree):
            if parent in self._replaced:
                return f"it shares with service '{parent}', which is replaced"
        return ""

    def _configuration(self, container: ObservedContainer) -> str:
        written = container.labels.get(labels.CONFIG_HASH)
        if self._hash is None:
            self._hash = service_hash(hashed_tree(self._tree, self._world))
        if written == self._hash:
            return ""
        fields = container.labels.get(labels.FIELDS)
        if fields is not None:
            found = compare.differences(
                fields, self._tree, self._world.key, self._mark, ("services", self._service)
            )
            if found is not None:
                return compare.summary(found)
        return (
            ""
            if written is None
            else "its configuration changed (made by another tool, which kept no fields)"
        )

    def _mark(self, path: tuple[str | int, ...]) -> Any:
        mark = self._project.mark(path)
        return mark and mark._replace(file=short_file(mark.file, self._project.directory))

    def _contents(self, container: ObservedContainer) -> str:
        import json

        try:
            had = json.loads(container.labels.get(labels.CONTENTS) or "{}")
        except ValueError:
            return ""
        wants = contents_of(self._tree, self._world)
        changed = [name for name in sorted(wants) if name in had and had[name] != wants[name]]
        return "; ".join(f"the content of {name.replace(':', ' ')} changed" for name in changed)

    def _image(self, container: ObservedContainer) -> str:
        image = self._world.images.get(resolve.image_of(self._project.name, self._service, self._tree))
        had = container.labels.get(labels.IMAGE)
        if not image or not had or had == image.id:
            return ""
        reference = resolve.image_of(self._project.name, self._service, self._tree)
        return f"image {reference}: {_short(had)} → {_short(image.id)}"

    def _networks(self, container: ObservedContainer) -> str:
        """A container that does not run and lacks a network is connected before its start, not replaced."""
        if self._tree.get("network_mode"):
            return ""
        is_running = container.state is ContainerState.RUNNING
        joined = {endpoint.network: endpoint.network_id for endpoint in container.endpoints}
        for key in sorted(self._tree.get("networks") or {}):
            name = resolve.real_name(self._project, "networks", key)
            network = self._world.networks.get(name)
            if network and is_running and network.id not in joined.values():
                return f"it is not connected to network '{name}'"
            if network and joined.get(name) and joined[name] != network.id:
                return f"network '{name}' is another one than it was created with"
            if not network and is_running:
                return f"network '{name}' is new"
        return ""

    def _volumes(self, container: ObservedContainer) -> str:
        mounted = {(mount.name, mount.target) for mount in container.mounts}
        for mount in self._tree.get("volumes") or ():
            if mount.get("type") == "volume" and mount.get("source"):
                name = resolve.real_name(self._project, "volumes", mount["source"])
                if (name, mount["target"].rstrip("/") or "/") not in mounted:
                    return f"volume '{name}' is not mounted at '{mount['target']}'"
        return ""


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def short_file(file: str, directory: str) -> str:
    """Return a path relative to the project's directory, where it is below it."""
    return file.removeprefix(directory.rstrip("/") + "/")


def contents_of(tree: Tree, world: World) -> dict[str, str]:
    """Return the digests of the configs and secrets that one service is granted."""
    names = [
        f"{kind}:{grant['source']}" for kind in ("config", "secret") for grant in tree.get(f"{kind}s") or ()
    ]
    return {name: world.contents[name] for name in sorted(names) if name in world.contents}


def hashed_tree(tree: Tree, world: World) -> Tree:
    """Return the tree that Docker Compose hashes: shared services replaced by the id of their first container."""
    if not sharing(tree):
        return tree
    ids: dict[str, str] = {}
    for container in sorted(world.observed.containers, key=labels.number_of):
        if not labels.is_oneoff(container):
            ids.setdefault(labels.service_of(container), container.id)
    return substitute_shared(tree, ids)


def substitute_shared(tree: Tree, ids: Mapping[str, str]) -> Tree:
    """Replace ``service:NAME`` by ``container:ID`` where the id is known."""
    changed: dict[str, Any] = {}
    for attribute in ("network_mode", "ipc", "pid"):
        kind, _, name = str(tree.get(attribute) or "").partition(":")
        if kind == "service" and name in ids:
            changed[attribute] = f"container:{ids[name]}"
    if tree.get("volumes_from"):
        changed["volumes_from"] = [_substitute_source(str(v), ids) for v in tree["volumes_from"]]
    return {**tree, **changed} if changed else tree


def _substitute_source(source: str, ids: Mapping[str, str]) -> str:
    if source.startswith("container:"):
        return source.removeprefix("container:")
    name, _, access = source.removeprefix("service:").partition(":")
    return ":".join(filter(None, (ids.get(name, name), access)))
