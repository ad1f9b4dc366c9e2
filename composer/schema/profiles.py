"""Which services take part: profiles, the services that a command names, and what those need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import DisabledService, no_such_service
from composer.schema.tree import WORKLOADS, Map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def is_enabled(service: Mapping[str, Any], profiles: Iterable[str]) -> bool:
    """Tell whether a service takes part: it has no profiles, or an active one; ``*`` activates all."""
    own = service.get("profiles")
    return not own or any(profile == "*" or profile in own for profile in profiles)


def split(services: Map, profiles: Sequence[str]) -> tuple[Map, dict[str, Map]]:
    """Return the enabled services and the disabled ones."""
    enabled, disabled = services.copy(), {}
    for name, service in services.items():
        if not is_enabled(service, profiles):
            disabled[name] = service
            enabled.drop(name)
    return enabled, disabled


def concerned(services: Mapping[str, Map], names: Sequence[str]) -> frozenset[str] | None:
    """Return the services that are named and all that they depend on; None, for all, where none is named."""
    if not names:
        return None
    found: set[str] = set()
    pending = [name for name in names if name in services]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            needs = services[name].get("depends_on")
            pending += [other for other in needs or () if other in services]
    return frozenset(found)


def choose(
    services: Map, disabled: Mapping[str, Map], names: Sequence[str], *, dependencies: bool
) -> list[str]:
    """Return the names of the services to keep, those named and, when asked, all that they depend on.

    Naming a disabled service activates its profiles. Raises UnknownService, and DisabledService when a dependency
    that is required is left disabled.
    """
    for name in names:
        if name not in services and name not in disabled:
            raise no_such_service(name, [*services, *disabled])
    activated = {
        profile for name in names if name in disabled for profile in disabled[name].get("profiles") or ()
    }
    usable = {
        **services,
        **{name: one for name, one in disabled.items() if name in names or is_enabled(one, activated)},
    }
    kept: list[str] = []
    queue = list(names)
    while queue:
        name = queue.pop(0)
        if name in kept or name not in usable:
            continue
        kept.append(name)
        if dependencies:
            needed = usable[name].get("depends_on") or {}
            _check_enabled(name, needed, usable, disabled)
            queue.extend(needed)
    return kept


def _check_enabled(
    name: str, needed: Mapping[str, Any], usable: Mapping[str, Any], disabled: Mapping[str, Map]
) -> None:
    for other, how in needed.items():
        if other in disabled and other not in usable and how.get("required"):
            profiles = disabled[other].get("profiles") or ()
            raise DisabledService(
                f"service '{name}' depends on service '{other}', which is not enabled by any active profile",
                hint=f"enable it with --profile {profiles[0]}" if profiles else None,
            )


def without_dependencies(service: Map, kept: Iterable[str]) -> Map:
    """Return a service whose ``depends_on`` names only services that are kept."""
    depends = service.get("depends_on")
    present = set(kept)
    if not depends or all(name in present for name in depends):
        return service
    new, left = service.copy(), depends.copy()
    for name in depends:
        if name not in present:
            left.drop(name)
    if left:
        new["depends_on"] = left
    else:
        new.drop("depends_on")
    return new


def used_resources(services: Iterable[Map]) -> dict[str, set[str]]:
    """Return the names of the networks, volumes, secrets, configs and models that services use."""
    used: dict[str, set[str]] = {
        key: set() for key in ("networks", "volumes", "secrets", "configs", "models")
    }
    for service in services:
        used["networks"].update(service.get("networks") or ())
        used["models"].update(service.get("models") or ())
        for volume in service.get("volumes") or ():
            if volume.get("type") == "volume" and volume.get("source"):
                used["volumes"].add(volume["source"])
        build_secrets = (service.get("build") or {}).get("secrets") or ()
        used["secrets"].update(
            item.get("source") for item in (*(service.get("secrets") or ()), *build_secrets)
        )
        used["configs"].update(item.get("source") for item in service.get("configs") or ())
    return used


def prune(tree: Map) -> Map:
    """Return the tree without resources that no enabled service uses."""
    used = used_resources(
        workload for section in WORKLOADS for workload in (tree.get(section) or {}).values()
    )
    new = tree.copy()
    for section, names in used.items():
        resources = tree.get(section)
        if not isinstance(resources, Map):
            continue
        left = resources.copy()
        for name in resources:
            if name not in names:
                left.drop(name)
        if left:
            new[section] = left
        else:
            new.drop(section)
    return new
