"""The part of `reconcile` that decides which containers a service keeps, and why one must be replaced.

`_Judge.cause` asks in the order of docs/reconcile.md; `decide` adds numbers and scale.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from composer.engine import labels
from composer.engine.observed import ContainerState
from composer.engine.planning.decisions import Decision, Fate
from composer.engine.planning.infrastructure import networks_of
from composer.engine.resolving import compare, resolve
from composer.engine.resolving.hashing import service_hash
from composer.engine.resolving.identity import contents_of, hashed_tree
from composer.engine.resolving.peers import service_forms
from composer.graph import sharing

if TYPE_CHECKING:
    from collections.abc import Collection

    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer
    from composer.engine.options import Options
    from composer.engine.planning.decisions import Tree
    from composer.engine.resolving.hashing import Form
    from composer.schema.model import Project

_BROKEN = frozenset((ContainerState.DEAD, ContainerState.REMOVING))


class _Judge:
    """Asks the questions of `mustRecreate` of the containers of one service; what it should have is found once."""

    def __init__(
        self, project: Project, service: str, tree: Tree, world: World, policy: str, replaced: Collection[str]
    ) -> None:
        self._project, self._service, self._tree = project, service, tree
        self._world, self._policy, self._replaced = world, policy, replaced
        self._hashes: dict[str, str] = {}

    # ------------------------------------------------------------- what a container should have

    @cached_property
    def _hashed(self) -> Tree:
        return hashed_tree(self._tree, self._world)

    def _hash(self, form: Form) -> str:
        found = self._hashes.get(form.name)
        if found is None:
            found = self._hashes[form.name] = service_hash(self._hashed, form)
        return found

    @cached_property
    def _wanted_contents(self) -> dict[str, str]:
        return contents_of(self._project, self._service, self._world)

    @cached_property
    def _wanted_networks(self) -> list[str]:
        keys = sorted(networks_of(self._tree))
        return [resolve.real_name(self._project, "networks", key) for key in keys]

    @cached_property
    def _wanted_volumes(self) -> list[tuple[str, str]]:
        """Names, and where they are mounted."""
        return [
            (resolve.real_name(self._project, "volumes", mount["source"]), mount["target"])
            for mount in self._tree.get("volumes") or ()
            if mount.get("type") == "volume" and mount.get("source")
        ]

    # ------------------------------------------------------------- what it has

    def cause(self, container: ObservedContainer) -> str:
        """Return why a container must be replaced, or nothing."""
        if self._policy == "never":
            return ""
        if self._policy == "force":
            return "--force-recreate"
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
                return f"it shares namespaces or volumes with service '{parent}', which is recreated"
        return ""

    def _configuration(self, container: ObservedContainer) -> str:
        written = container.labels.get(labels.CONFIG_HASH)
        if any(written == self._hash(form) for form in service_forms(container.labels)):
            return ""
        fields = container.labels.get(labels.FIELDS)
        if fields is not None:
            found = compare.differences(
                fields, self._tree, self._world.key, self._mark, ("services", self._service)
            )
            if found is not None:
                return compare.summary(found) or self._other_owner()
        if written is None:
            return ""
        return (
            self._other_owner()
            or "its configuration changed (created by another tool; changed fields unknown)"
        )

    def _other_owner(self) -> str:
        """Return why a hash differs where no field does: it names the container that is shared with."""
        names = ", ".join(f"'{name}'" for name in sharing(self._tree))
        return (
            f"it shares namespaces or volumes with a container of {names} that was recreated" if names else ""
        )

    def _mark(self, path: tuple[str | int, ...]) -> Any:
        mark = self._project.mark(path)
        return mark and mark._replace(file=short_file(mark.file, self._project.directory))

    def _contents(self, container: ObservedContainer) -> str:
        try:
            had = json.loads(container.labels.get(labels.CONTENTS) or "{}")
        except ValueError:
            return ""
        wants = self._wanted_contents
        changed = [name for name in sorted(wants) if name in had and had[name] != wants[name]]
        return "; ".join(f"the content of {name.replace(':', ' ', 1)} changed" for name in changed)

    def _image(self, container: ObservedContainer) -> str:
        image = self._world.images.get(resolve.image_of(self._project, self._service, self._tree))
        had = container.labels.get(labels.IMAGE)
        if not image or not had or had == image.id:
            return ""
        reference = resolve.image_of(self._project, self._service, self._tree)
        return f"image {reference}: {_short(had)} → {_short(image.id)}"

    def _networks(self, container: ObservedContainer) -> str:
        """A container that does not run and lacks a network is connected before its start, not replaced."""
        is_running = container.state is ContainerState.RUNNING
        joined = {endpoint.network: endpoint.network_id for endpoint in container.endpoints}
        for name in self._wanted_networks:
            network = self._world.networks.get(name)
            if network and is_running and network.id not in joined.values():
                return f"it is not connected to network '{name}'"
            if network and joined.get(name) and joined[name] != network.id:
                return f"network '{name}' was recreated since the container was created"
            if not network and is_running:
                return f"network '{name}' is new"
        return ""

    def _volumes(self, container: ObservedContainer) -> str:
        mounted = {(mount.name, mount.target) for mount in container.mounts}
        for name, target in self._wanted_volumes:
            if (name, target.rstrip("/") or "/") not in mounted:
                return f"volume '{name}' is not mounted at '{target}'"
        return ""


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def short_file(file: str, directory: str) -> str:
    """Return a path relative to the project's directory, where it is below it."""
    return file.removeprefix(directory.rstrip("/") + "/")


# ------------------------------------------------------------------ one service


def decide(
    project: Project,
    service: str,
    containers: list[ObservedContainer],
    world: World,
    options: Options,
    replaced: Collection[str],
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
