"""Whether the build cache and the images that came of it are what they say they are; and dropping what is not.

Builds may go on meanwhile: what is gone when it is looked at a second time was pruned, and is no damage.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from composer import references
from composer.errors import ImageError
from composer.runtime.base import state
from composer.runtime.build.cache import layers
from composer.runtime.images import indexes
from composer.runtime.images.content import layer_of_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.build.cache.cache import Cache
    from composer.runtime.images.content import Content, Layer


class Damage(NamedTuple):
    """Something that is not what it says. ``step`` is the key of a step that can be dropped; empty for an image."""

    what: str
    text: str
    step: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


def verify(cache: Cache, content: Content, *, reads_all: bool = True) -> Iterator[Damage]:
    """Yield what is damaged: steps without their files, images without their layers, names without their index.

    With ``reads_all`` every digest that is written down is computed again, which reads all files.
    """
    for name in state.list_directory(f"{cache.root}/steps"):
        key = name.removesuffix(".json")
        if name.endswith(".json") and (text := _fault_of_step(cache, key, reads_all=reads_all)):
            step = cache.peek(key)
            yield Damage(f"build step '{step.what if step else key[:12]}'", text, key)
    done: dict[str, str] = {}
    for id, record in content.records():
        for layer in map(layer_of_record, record["layers"]):
            if layer.chain_id not in done:
                done[layer.chain_id] = _fault_of_layer(content, layer, reads_all=reads_all)
            text = done[layer.chain_id]
            if text and content.record(id) is not None:
                yield Damage(f"image {id[7:19]}", f"layer {layer.diff_id[7:19]} {text}")
    for name, text in indexes.faults(content):
        yield Damage(f"image {references.parse(name).familiar()}", text)


def drop(cache: Cache, damage: Damage) -> bool:
    """Remove a damaged step from the cache; tell whether it is gone. Its image, if it has one, stays."""
    with cache.trying(damage.step) as is_mine:
        if not is_mine:
            return False
        step = cache.peek(damage.step)
        cache.forget(damage.step)
        if step is not None:
            cache.remove_snapshot(step.snapshot.id)
        return True


def _fault_of_step(cache: Cache, key: str, *, reads_all: bool) -> str:
    """Return what is wrong with a step; empty where nothing is, or where it is gone."""
    path = f"{cache.root}/steps/{key}.json"
    step = cache.peek(key)
    if step is None:
        # looked at twice: between its record and its files it may have been pruned
        return "its record cannot be read, or its files are missing" if _stays(path, cache, key) else ""
    recorded = cache.facts(step.snapshot.id).get("diff_id")
    if not reads_all or not isinstance(recorded, str):
        return ""
    try:
        found = layers.digest_now(step.snapshot)[0]
    except (OSError, ImageError) as error:
        found = str(error)
    if found == recorded or cache.peek(key) is None:
        return ""
    return f"its files are not those that it left ({found})"


def _stays(path: str, cache: Cache, key: str) -> bool:
    with cache.trying(key) as is_mine:
        return is_mine and os.path.exists(path) and cache.peek(key) is None


def _fault_of_layer(content: Content, layer: Layer, *, reads_all: bool) -> str:
    if not os.path.isdir(content.layer(layer.chain_id)):
        return "is missing"
    if not layer.is_packed and not os.path.exists(content.blob(layer.blob)):
        return "has no blob"
    if not reads_all:
        return ""
    digest = hashlib.sha256()
    try:
        for piece in content.layer_chunks(layer):
            digest.update(piece)
    except (OSError, ImageError):
        return "is not what its digest says"
    wanted = layer.diff_id if layer.is_packed else layer.blob
    return "" if f"sha256:{digest.hexdigest()}" == wanted else "is not what its digest says"
