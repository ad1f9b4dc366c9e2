"""From a snapshot of the cache to a layer of the image store: its digest, and its place.

The directory itself moves into the store, and a link stays in the cache: nothing is copied, and every build that goes
on from the snapshot has the same files. The blob is not kept: whoever saves or pushes the image packs it again.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from composer.errors import BuildFailed, ImageError
from composer.runtime.base import files, syscalls
from composer.runtime.images import packing
from composer.runtime.images.content import Layer, chain_id, hex_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.runtime.build.cache.cache import Cache, Snapshot
    from composer.runtime.images.content import Content

_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def stored(
    cache: Cache, content: Content, layers: Sequence[Layer | Snapshot], makers: Mapping[str, str]
) -> list[Layer]:
    """Return all layers as the image store has them, lowest first; what it lacks is moved there.

    ``makers`` has the instruction that made a snapshot, by the snapshot's id, for messages. Raises BuildFailed.
    """
    found: list[Layer] = []
    is_flushed = False
    for layer in layers:
        if isinstance(layer, Layer):
            found.append(layer)
            continue
        try:
            diff_id, plain_bytes = digest_of(cache, layer)
        except ImageError as error:
            maker = makers.get(layer.id)
            raise BuildFailed(f"{maker}: {error}" if maker else str(error), hint=error.hint) from error
        below = found[-1].chain_id if found else ""
        chain = chain_id(below, diff_id)
        # one at a time: two builds that share the step would exchange its files for a link, and back
        with cache.carrying_out(layer.id), cache.carrying_out(hex_of(chain)):
            known = content.known_layer(below, diff_id)
            if known is None and not is_flushed:
                content.flush()  # once for all of them: their files were there before
                is_flushed = True
            found.append(known or _move(content, layer, chain, (diff_id, plain_bytes)))
    return found


def digest_of(cache: Cache, snapshot: Snapshot) -> tuple[str, int]:
    """Return the digest and the length of a snapshot's tar; found out once."""
    facts = cache.facts(snapshot.id)
    if isinstance(facts.get("diff_id"), str) and isinstance(facts.get("plain_bytes"), int):
        return facts["diff_id"], facts["plain_bytes"]
    diff_id, total = digest_now(snapshot)
    note_digest(cache, snapshot, diff_id, total)
    return diff_id, total


def digest_now(snapshot: Snapshot) -> tuple[str, int]:
    """Return the digest and the length of a snapshot's tar, from its files. Raises ImageError, OSError."""
    digest, total = hashlib.sha256(), 0
    fd = os.open(snapshot.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for piece in packing.pack(fd):
            digest.update(piece)
            total += len(piece)
    finally:
        os.close(fd)
    return f"sha256:{digest.hexdigest()}", total


def note_digest(cache: Cache, snapshot: Snapshot, diff_id: str, plain_bytes: int) -> None:
    """Write down what a snapshot's tar is, for who knows it from making the files."""
    cache.write_facts(
        snapshot.id, {**cache.facts(snapshot.id), "diff_id": diff_id, "plain_bytes": plain_bytes}
    )


def _move(content: Content, snapshot: Snapshot, chain: str, packed: tuple[str, int]) -> Layer:
    diff_id, plain_bytes = packed
    layer = Layer(diff_id, chain, diff_id, plain_bytes, _LAYER_TYPE, plain_bytes, is_packed=True)
    final = content.layer(chain)
    if os.path.islink(final) and not os.path.isdir(final):
        os.unlink(final)  # a kill in the middle of an exchange left it
    # The record first: a directory without one would be taken for a layer of unknown size.
    files.write_json(f"{final}.json", layer._asdict(), durable=True)
    try:
        if os.path.islink(snapshot.directory):
            # of COPY --link: another image has these files already, over other layers
            os.symlink(os.path.realpath(snapshot.directory), final)
        else:
            _exchange(snapshot.directory, final)
    except FileExistsError:
        pass  # a pull was faster with the same layer
    except FileNotFoundError as error:
        raise BuildFailed(
            f"cannot store layer {diff_id}: it was removed from the build cache", hint="build again"
        ) from error
    return layer


def _exchange(directory: str, final: str) -> None:
    """Move a directory to ``final`` and leave a link to that in its place, in one step. Raises FileExistsError.

    A link that leads to itself is no directory to anybody, so that no moment shows half of the exchange. It must be
    done by one at a time: the second exchange would take the first one back.
    """
    os.symlink(final, final)
    syscalls.exchange(directory, final)
