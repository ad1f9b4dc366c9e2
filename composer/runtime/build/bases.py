"""What stages are built from: images of the store, and those that a registry has."""

from __future__ import annotations

import copy as copying
import json
import os
from typing import TYPE_CHECKING, Any

from composer import references
from composer.errors import BuildFailed, Cancelled, ComposerError
from composer.runtime.build import platforms
from composer.runtime.build.cache import filesystems
from composer.runtime.build.cache.cache import key_of
from composer.runtime.build.cache.filesystems import Filesystem
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.steps.looking import Unbuilt
from composer.runtime.images import host, indexes
from composer.runtime.images.content import layer_of_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.parallel import Stop
    from composer.registry.platforms import Platform
    from composer.runtime.build.cache.cache import Cache, Snapshot
    from composer.runtime.build.telling import Showing
    from composer.runtime.images import Image, Store
    from composer.runtime.images.content import Content
    from composer.runtime.images.leases import Lease

    Pull = Callable[[str, Callable[[Any], None], str], Image]


class Bases:
    """Finds base images, and pulls what is missing. Safe for threads."""

    def __init__(
        self,
        store: Store,
        content: Content,
        cache: Cache,
        lease: Lease,
        pull: Pull,
        platform: Platform,
        *,
        layouts: Mapping[str, Image],
        always: bool,
        only_looks: bool = False,
        stop: Stop | None = None,
    ) -> None:
        """With ``always``, the registry is asked whether it has a newer one.

        ``layouts`` are images that were loaded for this build, by id: no name keeps those of other platforms together.
        """
        self._store, self._content, self._cache = store, content, cache
        self._lease, self._pull = lease, pull
        self.platform, self._layouts = platform, layouts
        self._always, self._only_looks = always and not only_looks, only_looks
        self._pulled: set[str] = set()
        self._stop = stop

    def of(self, platform: Platform) -> Bases:
        """Return the same for another platform."""
        found = copying.copy(self)
        found.platform = platform
        return found

    def image(
        self, reference: str, platform: Platform | None, shown: Showing
    ) -> tuple[dict[str, Any], Filesystem]:
        """Return an image's whole configuration and its files. Raises BuildFailed."""
        if reference == host.REFERENCE:
            _check_host(platform)
            shown.cached()
            return self._host()
        found = None if self._always and not _is_id(reference) else self._find(reference, platform)
        if found is not None and not _fits(found[0], platform):
            found = None  # the registry may have the one that is wanted
        if found is None and self._only_looks:
            raise Unbuilt(f"base image {_familiar(reference)} is not here")
        if found is None:
            with shown.running():
                id = self._bring(reference, platform)
            # by its id: of another platform it need not be what the name stands for
            found = self._find(id, platform)
        else:
            shown.cached()
        if found is None:
            raise BuildFailed(f"cannot find image '{reference}'", hint="check its name, or pull it")
        self._check(reference, found[0], platform)
        return found

    def _find(self, reference: str, platform: Platform | None) -> tuple[dict[str, Any], Filesystem] | None:
        with self._store.using():
            image = self._layouts.get(reference) or self._store.find(reference)
            if image is not None and platform is not None:
                # of several platforms, the one that is wanted
                every = (image, *image.others)
                image = next((one for one in every if platforms.parse(one.platform) == platform), image)
            record = None if image is None else self._content.record(image.id)
            if image is None or record is None:
                return None
            self._lease.add(image.layers)
        whole = json.loads(self._content.read(image.id))
        whole["config"] = dict(image.config)
        files = filesystems.of_image([layer_of_record(layer) for layer in record["layers"]])
        if image.programs:  # it was built FROM host, and so are those that are built from it
            files = files._replace(
                key=key_of("over host", files.key, *image.programs), programs=tuple(image.programs)
            )
        return whole, files

    def _host(self) -> tuple[dict[str, Any], Filesystem]:
        """Return this machine as an image: a copy of its skeleton, and its programs below that."""
        with self._store.using():
            image = self._store.find("host")
            assert image is not None
            key = key_of("host", image.id)
            with self._cache.carrying_out(key):
                found = self._cache.find(key)
                snapshot = found.snapshot if found is not None else self._copied(image.layers[0])
                if found is None:
                    self._cache.keep(key, snapshot, what="FROM host", base="", seconds=0)
                self._lease.add([snapshot.directory])
        whole = {**platforms.as_configuration(platforms.native()), "config": dict(image.config)}
        return whole, Filesystem(key, (snapshot,), tuple(image.programs))

    def _copied(self, directory: str) -> Snapshot:
        with self._cache.making() as temporary:
            source = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            target = os.open(f"{temporary}/files", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                tree = Tree(source)
                copy(tree, select(tree, ["/"], "/", step="FROM host"), target, wants_digest=False)
            finally:
                os.close(source)
                os.close(target)
            return self._cache.take(f"{temporary}/files", self._lease.add)

    def _bring(self, reference: str, platform: Platform | None) -> str:
        """Pull an image; return its id."""
        is_own = platform is None or platform == platforms.native()
        try:
            return self._pull(reference, self._go_on, "" if is_own else str(platform)).id
        except ComposerError as error:
            if isinstance(error, BuildFailed | Cancelled):
                raise
            raise BuildFailed(
                f"cannot get base image '{_familiar(reference)}': {error}", hint=error.hint
            ) from error

    def _go_on(self, advance: Any) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled("the build was stopped")

    def _check(self, reference: str, whole: Mapping[str, Any], wanted: Platform | None) -> None:
        have = indexes.platform_of(whole)
        # of a variant, the registry may have given a lesser one, whose programs run as well
        if wanted is not None and platforms.parse(have)[:2] != wanted[:2]:
            raise BuildFailed(
                f"image '{_familiar(reference)}' is for {have}, not for {wanted}",
                hint="remove platform, or use an image for it",
            )


def _check_host(platform: Platform | None) -> None:
    if platform is not None and platform != platforms.native():
        raise BuildFailed(
            f"FROM host is of platform {platforms.native()}, not of {platform}",
            hint="use an image that has this platform, or FROM --platform=$BUILDPLATFORM host where it only builds",
        )


def _fits(whole: Mapping[str, Any], wanted: Platform | None) -> bool:
    if wanted is None:
        return True
    found = platforms.parse(indexes.platform_of(whole))
    # without a variant on one side, which one it is is not known
    is_variant = not (found.variant and wanted.variant) or found.variant == wanted.variant
    return is_variant and found[:2] == wanted[:2]


def _is_id(reference: str) -> bool:
    return references.id_prefix(reference) is not None and reference.startswith("sha256:")


def _familiar(reference: str) -> str:
    try:
        return references.parse(reference).familiar()
    except ComposerError:
        return reference
