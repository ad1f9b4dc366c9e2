"""``config --resolve-image-digests`` and ``--lock-image-digests``: what registries have under the names of images now.

No container runtime is asked: the registries are, with the same client that the built-in runtime pulls with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.schema.tree import Map

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Tree = Mapping[str, Any]

_PARALLEL = 8


def resolved(tree: Tree, environment: Mapping[str, str]) -> Map:
    """Return a project's tree with a digest in every image. Raises what the first failure was, in file order."""
    from composer.parallel import each
    from composer.registry.digests import resolver

    services: Tree = tree.get("services") or {}
    wanted = list(dict.fromkeys(image for service in services.values() for image in _images(service)))
    with resolver(environment) as resolve:
        found = dict(zip(wanted, each(wanted, resolve, _PARALLEL), strict=True))
    new = Map(tree)
    if "services" in tree:
        new["services"] = Map((name, _pinned(service, found)) for name, service in services.items())
    return new


def _images(service: Tree) -> Iterator[str]:
    """Yield the image of a service, and those of its ``pre_start`` hooks."""
    for one in (service, *(service.get("pre_start") or ())):
        if one.get("image"):
            yield one["image"]


def _pinned(service: Tree, found: Mapping[str, str]) -> Map:
    new = Map(service)
    if service.get("image"):
        new["image"] = found[service["image"]]
    if service.get("pre_start"):
        new["pre_start"] = [
            Map({**hook, "image": found[hook["image"]]}) if hook.get("image") else hook
            for hook in service["pre_start"]
        ]
    return new


def locked(tree: Tree, *, in_json: bool) -> Map:
    """Return an override file that holds nothing but the images of services.

    In JSON Compose writes what it never leaves out there: an empty name, and null for a service's commands.
    """
    nulls = {"command": None, "entrypoint": None} if in_json else {}
    services = {
        name: Map({**nulls, **({"image": service["image"]} if service.get("image") else {})})
        for name, service in (tree.get("services") or {}).items()
    }
    return Map({**({"name": ""} if in_json else {}), "services": Map(services)})
