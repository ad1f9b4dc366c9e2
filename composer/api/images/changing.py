"""Images named, removed, and made of containers."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from composer import errors, references
from composer.api import filters
from composer.api.http.problems import Problem
from composer.api.images import finding, shapes, telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.api.filters import Filters
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta
    from composer.runtime.images import Image, Store

_SHORT = 12


def tag(call: Call) -> tuple[int, Any]:
    name = finding.tagged(call.query.text("repo"), call.query.text("tag"))
    found = finding.image(call.world, call.parameters["name"])
    if not name:
        return 200, None  # Docker does nothing either
    given = call.parameters["name"]
    try:
        # by its name, so that images of other platforms come along
        call.world.engine.images.tag(found.id if finding.is_id(given, found) else given, name)
    except errors.NotFound:
        raise finding.missing(given) from None
    except errors.ImageError as error:
        raise Problem(400, str(error)) from None
    telling.event(call.world, "tag", found.id, name)
    return 201, None


# ------------------------------------------------------------------ removing


def remove(call: Call) -> tuple[int, Any]:
    """Untag, and delete with the last name. ``noprune`` changes nothing: no image here is another one's parent."""
    name, force = call.parameters["name"], call.query.flag("force")
    found = finding.image(call.world, name)
    if not finding.is_stored(found):
        raise Problem(409, "image 'host' cannot be removed: it is this machine")
    _check_platforms(call, found)
    _check_conflicts(call.world, found, name, force=force)
    by_id = finding.is_id(name, found)
    try:
        removed = call.world.engine.images.remove(found.id if by_id else name, force=force, waits=False)
    except errors.NotFound:
        raise finding.missing(name) from None
    untagged, deleted = list(removed.untagged), list(removed.deleted)
    for left in [] if by_id else _left_digests(call.world, found, name):
        with contextlib.suppress(errors.NotFound):
            more = call.world.engine.images.remove(left, force=True, waits=False)
            removed = removed._replace(is_swept=removed.is_swept and more.is_swept)
            untagged += [one for one in more.untagged if one not in untagged]
            deleted += more.deleted
    if not removed.is_swept:
        call.world.kept("sweeping", Sweeping).begin(call.world.core.store)
    for one in untagged:
        telling.event(call.world, "untag", found.id, one)
    if found.id in deleted:
        telling.event(call.world, "delete", found.id, found.id)
    return 200, [*({"Untagged": one} for one in untagged), *({"Deleted": one} for one in deleted)]


def _check_platforms(call: Call, found: Image) -> None:
    """Refuse to remove a part of what a name stands for. Raises Problem.

    The digest of a name's index is that of all of its platforms together; and a part that is gone looks like damage.
    """
    wanted = finding.platforms_of(call) if call.version >= (1, 50) else []
    if not wanted:
        return
    name, there = call.parameters["name"], [one.platform for one in (found, *found.others)]
    missing = next((one for one in wanted if one not in there), None)
    if missing is not None:
        raise Problem(404, f"image with reference {name} was found but has no platform {missing}")
    left = [one for one in there if one not in wanted]
    if left:
        raise Problem(
            501,
            f"platforms is not supported for a part of an image's platforms: {name} has {', '.join(left)}, too; "
            "remove the name, and pull the platform that is to stay",
        )


class Sweeping:
    """Removes the files of images that were removed during a pull, as soon as that has ended. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = self._is_under_way = False

    def begin(self, store: Store) -> None:
        """Sweep once more, in a thread that waits for whoever adds to the store."""
        with self._lock:
            self._is_wanted = True
            if self._is_under_way:
                return
            self._is_under_way = True
        threading.Thread(target=self._sweep, args=(store,), name="sweep", daemon=True).start()

    def _sweep(self, store: Store) -> None:
        while True:
            with self._lock:
                if not self._is_wanted:
                    self._is_under_way = False
                    return
                self._is_wanted = False
            with contextlib.suppress(
                OSError
            ):  # what cannot be removed now is tried again with the next removal
                store.sweep()


def _left_digests(world: World, image: Image, name: str) -> list[str]:
    """Return the names with a digest that go with the last tag of their repository."""
    now = world.core.store.find(image.id)
    mine = [
        one
        for one in (now.references if now is not None else ())
        if references.parse(one)[:2] == references.parse(name)[:2]
    ]
    return mine if all("@" in one for one in mine) else []


def _check_conflicts(world: World, image: Image, name: str, *, force: bool) -> None:
    """Refuse what Docker refuses, in its words. Raises Problem."""
    users = [meta for meta in world.core.metas() if meta["image_id"] == image.id]
    running = next((meta for meta in users if world.core.is_active(meta["id"])), None)
    short = image.id.removeprefix("sha256:")[:_SHORT]
    if not finding.is_id(name, image):
        if users and len(shapes.tags_of(image)) < 2 and not force:
            raise Problem(
                409,
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{_short(users[0])} is using its referenced image {short}",
            )
        return
    repositories = {references.split(one).name for one in image.references}
    if len(repositories) > 1 and not force:
        raise Problem(
            409,
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
        )
    if running is not None:
        raise Problem(
            409,
            f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container "
            f"{_short(running)}",
        )
    if users and not force:
        raise Problem(
            409,
            f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container "
            f"{_short(users[0])}",
        )


def _short(meta: Meta) -> str:
    return meta["id"][:_SHORT]


def prune(call: Call) -> tuple[int, Any]:
    wanted = filters.read(call, ("dangling", "label", "label!", "until"))
    dangling = wanted.flag("dangling")
    fitting = _prunable(call.world, wanted, only_unnamed=dangling is not False)
    before = {image.id: image for image in fitting}
    gone, freed = call.world.engine.images.prune(unused=dangling is False, wanted=before.__contains__)
    listed = list(_gone(before, gone))
    for id in gone:
        telling.event(call.world, "delete", id, id)
    return 200, {"ImagesDeleted": listed or None, "SpaceReclaimed": freed}


def _prunable(world: World, wanted: Filters, *, only_unnamed: bool) -> list[Image]:
    from composer import dates
    from composer.api import times

    until = [times.read(text, "until") for text in wanted.texts("until")]
    latest = min((time for time in until if time is not None), default=None)
    return [
        image
        for image in world.core.store.images()
        if (not only_unnamed or not image.references)  # one that came by its digest has that as its name
        and wanted.fits_labels(image.config.get("Labels") or {})
        and (latest is None or (dates.parse_ns(image.created) or 0) < latest)
    ]


def _gone(before: Mapping[str, Image], ids: Sequence[str]) -> Iterable[dict[str, str]]:
    import os

    said: set[str] = set()
    for image in (before[id] for id in ids if id in before):
        names = (*shapes.tags_of(image), *shapes.digests_of(image))
        yield from ({"Untagged": name} for name in names)
        yield {"Deleted": image.id}
        for layer in image.layers:
            if layer not in said and not os.path.lexists(layer):
                said.add(layer)
                yield {"Deleted": f"sha256:{os.path.basename(layer)}"}


# ------------------------------------------------------------------ commit


def commit(call: Call) -> tuple[int, Any]:
    from composer.api.images import changes
    from composer.api.models import images as models
    from composer.api.models.base import body_of
    from composer.runtime.objects import specs

    query = call.query
    name = finding.tagged(query.text("repo"), query.text("tag"))
    container = call.world.container(query.text("container"))
    config = _set(body_of(call, models.Configuration).model_dump(exclude_unset=True))
    config = changes.applied(config, changes.lines_of(query.texts("changes")))
    triggers = config.pop("OnBuild", None)
    if triggers:
        raise Problem(
            501, "a commit with OnBuild is not supported: write ONBUILD in a Dockerfile FROM the image"
        )
    spec = specs.Commit(
        name,
        author=query.text("author"),
        message=query.text("comment"),
        pause=query.flag("pause", default=True),
        changes=config,
    )
    try:
        made = call.world.engine.files.commit(container["id"], spec)
    except errors.NotFound:
        raise Problem(404, f"No such container: {query.text('container')}") from None
    except errors.ImageError as error:
        raise Problem(400, str(error)) from None
    return 201, {"Id": made.id}


def _set(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body sets: clients send what is empty as well, which is the container's."""
    made = {key: value for key, value in config.items() if value not in (None, "", [], {})}
    for key in ("Cmd", "Entrypoint"):
        if isinstance(made.get(key), str):
            made[key] = ["/bin/sh", "-c", made[key]] if key == "Cmd" else [made[key]]
    return made
