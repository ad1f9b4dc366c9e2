"""Images seen: the list with its filters, one with all that is known of it, and how it was made."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import dates, errors, references
from composer.api import filters, times
from composer.api.expressions import Expression, Invalid
from composer.api.http.problems import Problem
from composer.api.images import finding, shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.api.filters import Filters
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.images import Image

_FILTERS = ("dangling", "label", "label!", "before", "since", "reference", "until")


# ------------------------------------------------------------------ the list


class _Shown(NamedTuple):
    """An image of a list, with those of its names that the filters leave."""

    image: Image
    names: Sequence[str]
    digests: Sequence[str]


def list_images(call: Call) -> tuple[int, Any]:
    wanted = filters.read(call, _FILTERS)
    stored = call.world.core.store.images()
    shown = _filtered(call.world, stored, wanted)
    shown.sort(key=lambda one: dates.parse_ns(one.image.created) or 0, reverse=True)
    users = users_of(call.world) if call.version >= (1, 51) or call.query.flag("manifests") else {}
    shared = shared_bytes(stored) if call.query.flag("shared-size") and call.version >= (1, 42) else {}
    found = []
    for one in shown:
        document = shapes.summary(
            one.image,
            call.version,
            containers=len(users.get(one.image.id, ())),
            shared_bytes=shared.get(one.image.id, -1),
            names=one.names,
            digests=one.digests,
        )
        if call.query.flag("manifests") and call.version >= (1, 47) and one.image.index_digest:
            document.update(_manifests(call.world, one.image, users))
        found.append(document)
    return 200, found


def users_of(world: World) -> dict[str, list[str]]:
    """Return the containers that use each image, by the image's id."""
    found: dict[str, list[str]] = {}
    for meta in world.core.metas():
        if meta["image_id"]:
            found.setdefault(meta["image_id"], []).append(meta["id"])
    return found


def shared_bytes(images: Sequence[Image]) -> dict[str, int]:
    """Return for each image the bytes of layers that others have, too."""
    from composer.runtime.base import files

    users = Counter(layer for image in images for layer in image.all_layers)
    sizes = {
        layer: int((files.read_json(f"{layer}.json") or {}).get("size_bytes") or 0)
        for layer, count in users.items()
        if count > 1
    }
    return {image.id: sum(sizes.get(layer, 0) for layer in image.all_layers) for image in images}


def _filtered(world: World, stored: Sequence[Image], wanted: Filters) -> list[_Shown]:
    dangling = wanted.flag("dangling")
    before, after = _bounds(world, wanted)
    patterns = [_glob(text) for text in wanted.texts("reference")]
    found = []
    for image in stored:
        created = dates.parse_ns(image.created) or 0
        names, digests = shapes.tags_of(image), shapes.digests_of(image)
        if dangling is not None and dangling != (not names):
            continue
        if (before is not None and created >= before) or (after is not None and created <= after):
            continue
        if not wanted.fits_labels(image.config.get("Labels") or {}):
            continue
        if patterns:
            names = [name for name in names if _fits(patterns, name)]
            digests = [name for name in digests if _fits(patterns, name)]
            if not names and not digests:
                continue
        found.append(_Shown(image, names, digests))
    return found


def _bounds(world: World, wanted: Filters) -> tuple[int | None, int | None]:
    """Return between which times images are to be from."""
    before = [dates.parse_ns(finding.image(world, name).created) or 0 for name in wanted.texts("before")]
    until = [_time(text) for text in wanted.texts("until")]
    since = [dates.parse_ns(finding.image(world, name).created) or 0 for name in wanted.texts("since")]
    ends = [time for time in (*before, *until) if time is not None]
    return min(ends, default=None), max(since, default=None)


def _time(text: str) -> int | None:
    try:
        return times.read(text, "until")
    except Problem:
        raise Problem(400, f'failed to parse value as time or duration: "{text}"') from None


def _fits(patterns: Sequence[Expression], name: str) -> bool:
    return any(one.is_in(name) or one.is_in(references.split(name).name) for one in patterns)


def _glob(text: str) -> Expression:
    """Return a pattern of a path as an expression: ``*`` and ``?`` stop at slashes. Raises Problem."""
    made, index = "", 0
    while index < len(text):
        letter = text[index]
        if letter == "*":
            made += "[^/]*"
        elif letter == "?":
            made += "[^/]"
        elif letter == "[":
            end = text.find("]", index + 2)
            if end < 0:
                raise Problem(400, "syntax error in pattern")
            inner = text[index + 1 : end]
            negated, inner = inner[:1] == "^", inner.removeprefix("^")
            made += f"[{'^' if negated else ''}{inner.replace('[', chr(92) + '[')}]"
            index = end
        elif letter == "\\" and index + 1 < len(text):
            index += 1
            made += re.escape(text[index])
        else:
            made += re.escape(letter)
        index += 1
    try:
        return Expression(f"\\A(?s:{made})\\z")
    except Invalid:
        raise Problem(400, "syntax error in pattern") from None


# ------------------------------------------------------------------ one of them


def inspect(call: Call) -> tuple[int, Any]:
    name = call.parameters["name"]
    platform = finding.platform_of(call) if call.version >= (1, 49) else ""
    wants_manifests = call.query.flag("manifests") and call.version >= (1, 48)
    if platform and wants_manifests:
        raise Problem(400, "conflicting options: manifests and platform options cannot both be set")
    found = finding.image(call.world, name)
    if platform:
        found = of_platform(found, name, platform)
    manifests = None
    if wants_manifests and found.index_digest:
        manifests = _manifests(call.world, found, users_of(call.world))
    return 200, shapes.details(found, whole_of(call.world, found), call.version, manifests)


def of_platform(found: Image, name: str, platform: str) -> Image:
    """Return an image, or the one beside it that is for another platform. Raises Problem."""
    fitting = next((one for one in (found, *found.others) if one.platform == platform), None)
    if fitting is None:
        raise Problem(
            404,
            f"image with reference {name} was found but its platform ({found.platform}) does not match the "
            f"specified platform ({platform})",
        )
    return fitting


def whole_of(world: World, image: Image) -> dict[str, Any]:
    """Return an image's whole configuration. Raises Problem where it has gone meanwhile."""
    if not finding.is_stored(image):
        return {"architecture": image.platform.partition("/")[2], "os": "linux"}
    try:
        found = json.loads(world.core.store.read(image.id))
    except FileNotFoundError:
        raise finding.missing(image.id) from None
    return found if isinstance(found, dict) else {}


def _manifests(world: World, image: Image, users: dict[str, list[str]]) -> dict[str, Any]:
    """Return the index that an image's name stands for, with what is there of it."""
    try:
        data = world.core.store.read(image.index_digest)
    except FileNotFoundError:
        raise finding.missing(image.id) from None
    index = json.loads(data)
    media_type = str(index.get("mediaType") or "application/vnd.oci.image.index.v1+json")
    top = {"mediaType": media_type, "digest": image.index_digest, "size": len(data)}
    return shapes.descriptors(image, index, top, users)


def history(call: Call) -> tuple[int, Any]:
    name = call.parameters["name"]
    platform = finding.platform_of(call) if call.version >= (1, 48) else ""
    found = finding.image(call.world, name)
    if platform:
        found = of_platform(found, name, platform)
    if not finding.is_stored(found):
        return 200, []
    try:
        steps = call.world.core.store.history(found.id)
    except errors.NotFound:
        raise finding.missing(name) from None
    return 200, shapes.history(steps, found)
