"""The paths of every attribute in the JSON Schema, for who holds a table to it.

A path is the kind of the entry and the names below it: ``service.ports.published``. ``*`` is a key that the user
chooses; positions in lists, and keys below which there is nothing, are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("service", "network", "volume", "config", "secret")
_SCHEMA = Path(__file__).parents[1] / "compose-spec.json"


class Paths(NamedTuple):
    """``leaves`` have nothing inside; ``nodes`` are all, these included."""

    leaves: frozenset[str]
    nodes: frozenset[str]


def attribute_paths() -> Paths:
    """Return the paths of the schema that composer reads compose files by."""
    definitions: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))["$defs"]
    nodes = {path for kind in KINDS for path in _below(definitions, definitions[kind], kind) if path != kind}
    # a short form (a string in place of a mapping) is no leaf where the long form has more
    leaves = {one for one in nodes if not any(other.startswith(f"{one}.") for other in nodes)}
    return Paths(frozenset(leaves), frozenset(nodes))


def _below(definitions: dict[str, Any], one: dict[str, Any], path: str) -> Iterator[str]:
    while "$ref" in one:
        one = definitions[one["$ref"].rpartition("/")[2]]
    yield path.removesuffix(".*")
    for form in ("oneOf", "anyOf", "allOf"):
        for other in one.get(form, ()):
            yield from _below(definitions, other, path)
    for name, inner in one.get("properties", {}).items():
        yield from _below(definitions, inner, f"{path}.{name}")
    free = [v for k, v in one.get("patternProperties", {}).items() if not k.startswith("^x-")]
    for inner in (*free, one.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _below(definitions, inner, f"{path}.*")
    if isinstance(one.get("items"), dict):
        yield from _below(definitions, one["items"], path)
