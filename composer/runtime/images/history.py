"""How an image was made, by the history of its configuration: a step for each instruction, and what it added.

https://github.com/opencontainers/image-spec/blob/main/config.md#properties
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.images import manifests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Step(NamedTuple):
    """One step. ``id`` is the image's at the last one; ``created`` is a date, or empty where nothing says it."""

    created: str
    created_by: str
    size_bytes: int
    comment: str = ""
    id: str = ""


def steps(config: bytes, layers: Sequence[Mapping[str, Any]], id: str) -> list[Step]:
    """Return the steps, the last first. Layers that no entry of the history stands for are steps too."""
    whole = manifests.parsed(config, "the configuration")
    found = whole.get("history")
    entries: list[Mapping[str, Any]] = (
        [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    )
    sizes = [layer["size_bytes"] for layer in layers]
    missing = len(sizes) - sum(entry.get("empty_layer") is not True for entry in entries)
    entries = [*({} for _ in range(missing)), *entries]
    made = []
    for entry in entries:
        is_empty = entry.get("empty_layer") is True or not sizes
        made.append(
            Step(
                _text(entry, "created"),
                _text(entry, "created_by"),
                0 if is_empty else sizes.pop(0),
                _text(entry, "comment"),
            )
        )
    made.reverse()
    return [made[0]._replace(id=id), *made[1:]] if made else []


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
