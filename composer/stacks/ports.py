"""Published ports and fixed names moved out of each other's way, so that a project can be there several times.

What changes is merged over the files, as one more file would be: all else of the project stays what it says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.schema import load as loader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.schema.model import Project

    Choose = Callable[[str, Mapping[str, Any]], str]

_LAYER = "moved ports and names"


def apart(project: Project, choose: Choose | None = None, *, suffix: str | None = None) -> Project:
    """Return a project whose fixed host ports and container names are no other instance's.

    A host port is any free one, or what ``choose(service, port)`` names. ``suffix`` comes behind each
    ``container_name``; without one the names are the usual ones. Raises ProjectInvalid.
    """
    options = project.loaded_with
    services = {**project.disabled, **(project.whole.get("services") or {})}
    layers = {name: _layer(name, tree, choose, suffix) for name, tree in services.items()}
    lines = [f"  {json.dumps(name)}:\n{text}" for name, text in layers.items() if text]
    if options is None or not lines:
        return project
    texts = {**options.texts, _LAYER: "services:\n" + "".join(lines)}
    return loader.load(options._replace(name=project.name, texts=texts))


def _layer(service: str, tree: Mapping[str, Any], choose: Choose | None, suffix: str | None) -> str:
    """Return the attributes of a service that change, as YAML; empty where none does."""
    found = ""
    ports = tree.get("ports") or ()
    if any(_is_fixed(port) for port in ports):
        changed = [_moved(service, port, choose) if _is_fixed(port) else dict(port) for port in ports]
        found += f"    ports: !override {json.dumps(changed)}\n"
    if tree.get("container_name") and suffix:
        found += _named(f"{tree['container_name']}-{suffix}")
    elif tree.get("container_name"):
        found += "    container_name: !reset null\n"
    return found


def _named(name: str) -> str:
    return f"    container_name: {json.dumps(name)}\n"


def _is_fixed(port: Mapping[str, Any]) -> bool:
    return str(port.get("published") or "0") != "0"


def _moved(service: str, port: Mapping[str, Any], choose: Choose | None) -> dict[str, Any]:
    found = {key: value for key, value in port.items() if key != "published"}
    text = choose(service, port) if choose is not None else ""
    return {**found, "published": text} if text else found
