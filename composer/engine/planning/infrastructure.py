"""The part of `reconcile` that decides on networks and volumes: created, replaced, mended, adopted, or missing.

`diverged` comes before anything is decided of containers, which depend on it; `changes_of` afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.planning.decisions import (
    CREATE,
    MEND,
    REPLACE,
    Change,
    Diverged,
    Infrastructure,
    Obsolete,
    Use,
)
from composer.engine.resolving import resolve
from composer.engine.resolving.hashing import network_hash, volume_hash
from composer.engine.resolving.peers import network_forms
from composer.errors import ConfigError
from composer.schema.model import GIVEN
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.engine.losses import Loss
    from composer.engine.observe import World
    from composer.engine.observed import ObservedNetwork, ObservedVolume
    from composer.engine.options import Options
    from composer.engine.planning.decisions import Tree
    from composer.engine.resolving.hashing import Form
    from composer.engine.wanted import NetworkSpec, VolumeSpec
    from composer.schema.model import Project

    Warn = Callable[[str], None]


# ------------------------------------------------------------------ what is not as it is written


def diverged(project: Project, world: World, options: Options, warn: Warn) -> Diverged:
    """Return what is there and is not as it is written. Raises ConfigError for what is external and missing."""
    networks, volumes, kept = set(), set(), []
    for use in uses(project, "network"):
        network = world.networks.get(use.name)
        if network is None:
            _require(project, use)
        elif _has_diverged(project, use, network, warn):
            networks.add(use.name)
    for use in uses(project, "volume"):
        volume = world.volumes.get(use.name)
        if volume is None:
            _require(project, use)
        elif _has_diverged(project, use, volume, warn):
            if options.replace_volumes:
                volumes.add(use.name)
                continue
            kept.append(use.name)
            warn(
                f"volume '{use.name}' exists but doesn't match the configuration in the compose file"
                f"{_driver(use, volume)}; using it as is (recreate it with composer up --yes; its data will be lost)"
            )
    return Diverged(frozenset(networks), frozenset(volumes), tuple(kept))


def uses(project: Project, kind: str) -> Iterator[Use]:
    """Yield the networks or volumes that the services use, by key; all of them where that was asked for."""
    keys: set[str] = set()
    if project.all_resources:
        keys.update(project.tree.get(f"{kind}s") or ())
    for tree in (project.tree.get("services") or {}).values():
        keys.update(networks_of(tree) if kind == "network" else volumes_of(tree))
    entries = project.tree.get(f"{kind}s") or {}
    for key in sorted(keys):
        yield Use(kind, key, resolve.real_name(project, f"{kind}s", key), entries.get(key) or {})


def networks_of(service: Tree) -> list[str]:
    """Return the keys of the networks that a service's containers join."""
    return [] if service.get("network_mode") else list(service.get("networks") or ())


def volumes_of(service: Tree) -> list[str]:
    """Return the keys of the volumes that a service's containers mount, one for each mount."""
    mounts = service.get("volumes") or ()
    return [m["source"] for m in mounts if m["type"] == "volume" and m.get("source")]


_MISSING = {
    "network": "network {} declared as external, but could not be found",
    "volume": 'external volume "{}" not found',
}
"""Docker Compose's words."""


def _require(project: Project, use: Use) -> None:
    if resolve.is_external(use.entry):
        path = (f"{use.kind}s", use.key)
        raise ConfigError(
            _MISSING[use.kind].format(use.name),
            at=project.mark(path),
            path=path,
            hint=f"create it first: composer {use.kind} create {use.name}; "
            f"or remove 'external: true' so that composer creates the {use.kind}",
        )


def _has_diverged(project: Project, use: Use, found: ObservedNetwork | ObservedVolume, warn: Warn) -> bool:
    if resolve.is_external(use.entry):
        return False
    owner = found.labels.get(labels.PROJECT)
    if owner != project.name:
        whose = f"was created for project '{owner}'" if owner else "was not created by composer"
        warn(
            f"{use.kind} '{use.name}' already exists but {whose}; using it as is "
            f"(set 'external: true' to use an existing {use.kind})"
        )
        return False
    written = found.labels.get(labels.CONFIG_HASH)
    if written is None:
        # of a volume that an older Docker Compose made, the driver alone is known
        return use.kind == "volume" and found.driver != (use.entry.get("driver") or "local")
    if use.kind == "volume":
        return written != volume_hash(use.entry)
    return all(written != network_hash(use.entry, form) for form in network_forms(found.labels))


def _driver(use: Use, volume: ObservedVolume) -> str:
    had, has = volume.driver, use.entry.get("driver") or "local"
    return "" if had == has else f", its driver {had} → {has}"


# ------------------------------------------------------------------ what is done about it


def changes_of(
    project: Project, world: World, options: Options, found: Diverged, warn: Warn
) -> Infrastructure:
    """Return what is done about every network and volume, and which data is lost from sight with that."""
    losses: list[Loss] = []
    changes = [
        change
        for use in uses(project, "network")
        if (change := _network_change(world, use, replaced=use.name in found.networks))
    ]
    for use in uses(project, "volume"):
        if use.name in found.volumes:
            driver = _driver(use, world.volumes[use.name])
            cause = f"the configuration of volume '{use.key}' changed{driver}"
            changes.append(Change(use, REPLACE, cause))
        elif use.name not in world.volumes:
            from composer.engine.losses import lost

            loss = lost(project, world.observed, world.neighbours, use.key, use.name)
            if loss is not None and options.new_volumes:
                warn(str(loss))
            elif loss is not None:
                losses.append(loss)
            changes.append(Change(use, CREATE, loss.text if loss else "does not exist"))
    orphans = options.remove_orphans and not options.services
    return Infrastructure(tuple(changes), tuple(_obsolete(project, world, orphans=orphans)), tuple(losses))


def _network_change(world: World, use: Use, *, replaced: bool) -> Change | None:
    if replaced:
        return Change(use, REPLACE, f"the configuration of network '{use.key}' changed")
    network = world.networks.get(use.name)
    if network is None:
        return Change(use, CREATE, "does not exist")
    faults = world.network_faults.get(network.id)
    return Change(use, MEND, "; ".join(faults)) if faults else None


def _obsolete(project: Project, world: World, *, orphans: bool) -> Iterator[Obsolete]:
    """Yield the networks that were renamed, and with ``orphans`` those that no file names any more."""
    declared: Tree = project.tree.get("networks") or {}
    for network in sorted(world.observed.networks, key=lambda n: n.name):
        key = network.labels.get(labels.NETWORK, "")
        if key in declared:
            wanted = resolve.real_name(project, "networks", key)
            if wanted != network.name and not resolve.is_external(declared[key]):
                yield Obsolete(network, f"network '{key}' was renamed to '{wanted}'")
        elif key and orphans:
            yield Obsolete(network, "it is no longer used by any service")


def orphaned_volumes(project: Project, world: World) -> list[str]:
    """Return the project's volumes that no compose file names any more."""
    declared: Tree = project.whole.get("volumes") or {}
    known = ((volume.name, volume.labels.get(labels.VOLUME, "")) for volume in world.observed.volumes)
    return sorted(name for name, key in known if key and key not in declared)


# ------------------------------------------------------------------ what is created


def wanted_network(project: Project, key: str, form: Form) -> NetworkSpec:
    """Return a network of the project as it is created."""
    hashed = network_hash((project.tree.get("networks") or {}).get(key) or {}, form)
    own = {**_labels(project, labels.NETWORK, key, hashed), labels.FORM: form.name}
    return resolve.network_spec(project, key, own)


def wanted_volume(project: Project, key: str) -> VolumeSpec:
    """Return a volume of the project as it is created."""
    hashed = volume_hash(resolve.entry_of(project, "volumes", key))
    own = _labels(project, labels.VOLUME, key, hashed)
    own[labels.DIRECTORY] = "" if project.name_origin == GIVEN else project.name_directory
    return resolve.volume_spec(project, key, own)


def _labels(project: Project, kind: str, key: str, hashed: str) -> dict[str, str]:
    return {
        labels.PROJECT: project.name,
        kind: key,
        labels.VERSION: __version__,
        labels.CONFIG_HASH: hashed,
    }
