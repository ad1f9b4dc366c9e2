"""From the last stage to an image of the store."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

from composer import dates
from composer.runtime.build.cache import exchange, layers, places
from composer.runtime.build.cache.cache import Snapshot, key_of
from composer.runtime.images import adding
from composer.runtime.images.content import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.runtime.build.cache.cache import Cache
    from composer.runtime.build.cache.exchange import Used
    from composer.runtime.build.requests import Request
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.images.content import Content


def store(
    cache: Cache, content: Content, stage: Stage, request: Request, steps: Sequence[Used]
) -> tuple[str, bool]:
    """Put the image of a stage into the store; return its id, and whether it is new there. Under the store's lock.

    ``steps`` are those of the build, for an inline cache.
    """
    found = layers.stored(cache, content, stage.files.layers, _makers(stage))
    whole = configuration(cache, stage, request, [layer.diff_id for layer in found], steps)
    data = canonical_json(whole)
    is_new = not os.path.exists(content.image(f"sha256:{hashlib.sha256(data).hexdigest()}"))
    return adding.add_image(content, data, found, has_programs=bool(stage.files.programs)), is_new


def _makers(stage: Stage) -> dict[str, str]:
    """Return what made each snapshot of a stage, by the snapshots' ids."""
    made = [entry["created_by"] for entry in stage.history if "created_ns" in entry]
    snapshots = [one.id for one in stage.files.layers if isinstance(one, Snapshot)]
    return dict(zip(reversed(snapshots), reversed(made), strict=False))


def id_of(cache: Cache, stage: Stage, request: Request, steps: Sequence[Used]) -> str:
    """Return the id that the image of a stage has, or would have, without storing it."""
    diff_ids = [
        layers.digest_of(cache, one)[0] if isinstance(one, Snapshot) else one.diff_id
        for one in stage.files.layers
    ]
    data = canonical_json(configuration(cache, stage, request, diff_ids, steps))
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def configuration(
    cache: Cache, stage: Stage, request: Request, diff_ids: Sequence[str], steps: Sequence[Used]
) -> dict[str, Any]:
    """Return the whole configuration of a stage's image. Equal stages give equal bytes, whenever they are built."""
    config = dict(stage.config)
    if request.labels:
        config["Labels"] = {**(config.get("Labels") or {}), **request.labels}
    config = {key: value for key, value in config.items() if value not in (None, [], {}, "")}
    history, created = _dated(cache, stage, request, config)
    inline: dict[str, Any] = {}
    if places.is_inline(request.cache_to, request.args):
        snapshots = [one.id if isinstance(one, Snapshot) else "" for one in stage.files.layers]
        epoch = request.source_date_epoch
        epoch_ns = None if epoch is None else epoch * 1_000_000_000
        inline = {exchange.INLINE: exchange.inline(steps, snapshots, epoch_ns)}
    return {
        **stage.whole,
        **inline,
        "config": config,
        "created": created,
        "history": history,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }


def _dated(
    cache: Cache, stage: Stage, request: Request, config: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str]:
    """Return the history with times, and the image's: those of its layers, so that a build from the cache is equal."""
    latest = max((one.created_ns for one in stage.files.layers if isinstance(one, Snapshot)), default=0)
    if request.source_date_epoch is not None:
        latest = request.source_date_epoch * 1_000_000_000
    elif not latest:
        latest = _first_time(cache, stage, config)
    history = []
    before = ""
    for entry in stage.history:
        made = dict(entry)
        if "created" not in made:
            time_ns = made.pop("created_ns", None)
            if request.source_date_epoch is not None:
                time_ns = latest
            before = made["created"] = dates.utc_ns(time_ns) if time_ns else before or dates.utc_ns(latest)
        history.append(made)
    return history, dates.utc_ns(latest)


def _first_time(cache: Cache, stage: Stage, config: Mapping[str, Any]) -> int:
    """Return when an image that has no layer of its own was built for the first time."""
    said = [entry.get("created_by", "") for entry in stage.history]
    key = key_of("times", stage.files.key, config, said)
    path = f"{cache.root}/times/{key}"
    from composer.runtime.base import files, state

    known = files.read_json(path)
    if known is not None and isinstance(known.get("created_ns"), int):
        return int(known["created_ns"])
    state.make_directory(f"{cache.root}/times")
    now_ns = time.time_ns()
    files.write_json(path, {"created_ns": now_ns})
    return now_ns
