"""``config --resolve-image-digests`` and ``--lock-image-digests``: what registries have under the names of images now.

No container runtime is asked: the registries are, with the same client that the built-in runtime pulls with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.schema.tree import Map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Tree = Mapping[str, Any]

_PARALLEL = 8


def resolved(tree: Tree, environment: Mapping[str, str]) -> Map:
    """Return a project's tree with a digest in every image. Raises what the first failure was, in file order."""
    from composer.registry.digests import resolver

    services: Tree = tree.get("services") or {}
    wanted = list(dict.fromkeys(s["image"] for s in services.values() if s.get("image")))
    with resolver(environment) as resolve:
        found = _all(wanted, resolve)
    new = Map(tree)
    if "services" in tree:
        new["services"] = Map(
            (name, Map({**service, "image": found[service["image"]]}) if service.get("image") else service)
            for name, service in services.items()
        )
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


def _all(references: list[str], resolve: Callable[[str], str]) -> dict[str, str]:
    from threading import Thread

    results: dict[str, str | Exception] = {}
    waiting = iter(references)

    def work() -> None:
        for reference in waiting:  # next() of a list's iterator is one step: two threads never get the same
            try:
                results[reference] = resolve(reference)
            except Exception as error:  # raised again below, in the order of the file
                results[reference] = error

    threads = [Thread(target=work, daemon=True) for _ in references[:_PARALLEL]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {}
    for reference in references:
        result = results[reference]
        if isinstance(result, Exception):
            raise result
        found[reference] = result
    return found
