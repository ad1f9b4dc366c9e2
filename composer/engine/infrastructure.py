"""The part of `reconcile` that plans networks and volumes: created, replaced, adopted, or missing.

A network that changed is replaced under its running containers: they are stopped, disconnected, and connected
again with their complete endpoints (Docker Compose connects them bare, and they lose aliases and addresses).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer import __version__
from composer.engine import labels, resolve
from composer.engine.draft import ref
from composer.engine.hashing import network_hash, volume_hash
from composer.engine.operations import (
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    MendNetwork,
    RemoveNetwork,
    RemoveVolume,
)
from composer.engine.sight import lost
from composer.errors import ConfigError
from composer.schema.model import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.draft import Draft
    from composer.engine.observe import World
    from composer.engine.observed import ObservedContainer, ObservedNetwork, ObservedVolume
    from composer.engine.wanted import VolumeSpec
    from composer.schema.model import Project

    Tree = Mapping[str, Any]


class Infrastructure:
    """``network_steps`` and ``volume_steps`` map a real name to the step after which it is there.

    ``replaced_networks`` and ``replaced_volumes`` are real names.
    """

    def __init__(self, project: Project, world: World, draft: Draft) -> None:
        self._project, self._world, self._draft = project, world, draft
        self.network_steps: dict[str, int] = {}
        self.volume_steps: dict[str, int] = {}
        self.replaced_networks: set[str] = set()
        self.replaced_volumes: set[str] = set()
        self._agreed = False

    # ------------------------------------------------------------- deciding

    def inspect(self, *, replace_volumes: bool, new_volumes: bool) -> None:
        """Find what diverged, before anything is planned. Raises ConfigError for what is external and missing."""
        self._agreed = new_volumes
        for use in self._uses("network"):
            network = self._world.networks.get(use.name)
            if network is None:
                self._require(use)
            elif self._diverged("network", use, network):
                self.replaced_networks.add(use.name)
        for use in self._uses("volume"):
            volume = self._world.volumes.get(use.name)
            if volume is None:
                self._require(use)
            elif self._diverged("volume", use, volume):
                if replace_volumes:
                    self.replaced_volumes.add(use.name)
                else:
                    self._draft.builder.diverged_volumes.append(use.name)
                    self._draft.builder.warn(
                        f"volume '{use.name}' exists but does not match its configuration{self._driver(use)}; it is "
                        "used as it is (to recreate it and lose its data: composer up --yes)"
                    )

    def _uses(self, kind: str) -> Iterator[_Use]:
        """Yield the networks or volumes that the services use, by key; all of them where that was asked for."""
        keys: set[str] = set()
        if self._project.all_resources:
            keys.update(self._project.tree.get(f"{kind}s") or ())
        for tree in (self._project.tree.get("services") or {}).values():
            if kind == "network":
                keys.update(() if tree.get("network_mode") else tree.get("networks") or ())
            else:
                keys.update(
                    m["source"]
                    for m in tree.get("volumes") or ()
                    if m["type"] == "volume" and m.get("source")
                )
        entries = self._project.tree.get(f"{kind}s") or {}
        for key in sorted(keys):
            yield _Use(kind, key, resolve.real_name(self._project, f"{kind}s", key), entries.get(key) or {})

    def _require(self, use: _Use) -> None:
        if resolve.is_external(use.entry):
            path = (f"{use.kind}s", use.key)
            raise ConfigError(
                f"external {use.kind} '{use.name}' does not exist",
                at=self._project.mark(path),
                path=path,
                hint=f"create it first, or remove 'external: true' so that composer creates the {use.kind}",
            )

    def _diverged(self, kind: str, use: _Use, found: ObservedNetwork | ObservedVolume) -> bool:
        if resolve.is_external(use.entry):
            return False
        owner = found.labels.get(labels.PROJECT)
        if owner != self._project.name:
            whose = f"belongs to project '{owner}'" if owner else "was not created by composer"
            self._draft.builder.warn(
                f"{kind} '{use.name}' exists but {whose}; it is used as it is "
                "(to say that this is meant: external: true)"
            )
            return False
        written = found.labels.get(labels.CONFIG_HASH)
        if written is None:
            # of a volume that an older Docker Compose made, the driver alone is known
            return kind == "volume" and found.driver != (use.entry.get("driver") or "local")
        hashed = network_hash if kind == "network" else volume_hash
        return written != hashed(use.entry)

    # ------------------------------------------------------------- planning

    def emit(self) -> None:
        """Add the steps that make every network and volume be there. Volumes to replace come later."""
        for use in self._uses("network"):
            if use.name in self.replaced_networks:
                self._replace_network(use)
            elif use.name not in self._world.networks:
                self._create("network", use, "does not exist")
            else:
                self._mend(self._world.networks[use.name])
        for use in self._uses("volume"):
            if use.name in self.replaced_volumes:
                self._replace_volume(use)
            elif use.name not in self._world.volumes:
                self._create("volume", use, self._lost(use) or "does not exist")

    def _lost(self, use: _Use) -> str:
        """Return what is lost from sight with a new volume, and keep it for who is to agree."""
        loss = lost(self._project, self._world.observed, self._world.neighbours, use.key, use.name)
        if loss is None:
            return ""
        if self._agreed:
            self._draft.builder.warn(str(loss))
        else:
            self._draft.builder.losses.append(loss)
        return loss.text

    def _create(self, kind: str, use: _Use, cause: str, needs: Iterable[int] = ()) -> None:
        if kind == "network":
            own = _labels(self._project, labels.NETWORK, use.key, network_hash(use.entry))
            network = CreateNetwork(resolve.network_spec(self._project, use.key, own), cause)
            self.network_steps[use.name] = self._draft.builder.add(network, needs)
        else:
            volume = CreateVolume(wanted_volume(self._project, use.key), cause)
            self.volume_steps[use.name] = self._draft.builder.add(volume, needs)

    def _mend(self, network: ObservedNetwork) -> None:
        faults = self._world.network_faults.get(network.id)
        if faults:
            operation = MendNetwork(network.name, network.id, "; ".join(faults))
            self.network_steps[network.name] = self._draft.builder.add(operation)

    def _replace_network(self, use: _Use) -> None:
        cause = f"the configuration of network '{use.key}' changed"
        network = self._world.networks[use.name]
        freed = []
        for container in self._attached(network):
            if container.id in self._draft.removed:
                freed.append(self._draft.removed[container.id])
                continue
            stopped = self._draft.stop(container, cause)
            operation = DisconnectNetwork(ref(container), use.name, cause)
            step = self._draft.builder.add(operation, stopped)
            self._draft.touched.setdefault(container.id, []).append(step)
            freed.append(step)
        removed = self._draft.builder.add(RemoveNetwork(use.name, network.id, cause), freed)
        self._create("network", use, cause, [removed])

    def _attached(self, network: ObservedNetwork) -> list[ObservedContainer]:
        containers = self._world.observed.containers
        attached = [c for c in containers if any(e.network_id == network.id for e in c.endpoints)]
        return sorted(attached, key=lambda c: c.name)

    def _replace_volume(self, use: _Use) -> None:
        cause = f"the configuration of volume '{use.key}' changed{self._driver(use)}"
        users = [c for c in self._world.observed.containers if any(m.name == use.name for m in c.mounts)]
        gone = [self._draft.remove(c, cause) for c in sorted(users, key=lambda c: c.name)]
        removed = self._draft.builder.add(RemoveVolume(use.name, f"{cause}: its data is lost"), gone)
        self._create("volume", use, cause, [removed])

    def _driver(self, use: _Use) -> str:
        had, has = self._world.volumes[use.name].driver, use.entry.get("driver") or "local"
        return "" if had == has else f", its driver {had} → {has}"

    def needs(self, service: Tree) -> list[int]:
        """Return the steps after which everything that a service's containers are made of is there."""
        steps = []
        for key in () if service.get("network_mode") else service.get("networks") or ():
            step = self.network_steps.get(resolve.real_name(self._project, "networks", key))
            steps += [step] if step else []
        for mount in service.get("volumes") or ():
            if mount["type"] == "volume" and mount.get("source"):
                step = self.volume_steps.get(resolve.real_name(self._project, "volumes", mount["source"]))
                steps += [step] if step else []
        return steps

    def remove_obsolete(self, steps: Iterable[int], *, orphans: bool, firmly: bool) -> None:
        """Add the removal of networks that were renamed, and with ``orphans`` of those that no file names any more.

        Best effort: one that is still in use stays. It comes after all ``steps`` have ended, or ``firmly`` after all
        have succeeded.
        """
        needs, after = (steps, ()) if firmly else ((), steps)
        declared: Tree = self._project.tree.get("networks") or {}
        for network in sorted(self._world.observed.networks, key=lambda n: n.name):
            key = network.labels.get(labels.NETWORK, "")
            if key in declared:
                wanted = resolve.real_name(self._project, "networks", key)
                if wanted == network.name or resolve.is_external(declared[key]):
                    continue
                cause = f"network '{key}' is now called '{wanted}'"
            elif key and orphans:
                cause = "no service uses it any more"
            else:
                continue
            self._draft.builder.add(
                RemoveNetwork(network.name, network.id, cause, optional=True), needs, after
            )


def wanted_volume(project: Project, key: str) -> VolumeSpec:
    """Return a volume of the project as it is created."""
    hashed = volume_hash(resolve.entry_of(project, "volumes", key))
    own = _labels(project, labels.VOLUME, key, hashed)
    own[labels.DIRECTORY] = "" if project.name_origin == GIVEN else project.directory
    return resolve.volume_spec(project, key, own)


def _labels(project: Project, kind: str, key: str, hashed: str) -> dict[str, str]:
    return {
        labels.PROJECT: project.name,
        kind: key,
        labels.VERSION: __version__,
        labels.CONFIG_HASH: hashed,
    }


def orphaned_volumes(project: Project, world: World) -> list[str]:
    """Return the project's volumes that no compose file names any more."""
    declared: Tree = project.whole.get("volumes") or {}
    known = ((volume.name, volume.labels.get(labels.VOLUME, "")) for volume in world.observed.volumes)
    return sorted(name for name, key in known if key and key not in declared)


class _Use(NamedTuple):
    kind: str
    key: str
    name: str
    entry: Tree
