"""What stages are built from: images of the store, and those that a registry has."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from composer import references
from composer.errors import BuildFailed, ComposerError
from composer.runtime.build import platforms
from composer.runtime.build.cache import filesystems
from composer.runtime.build.cache.cache import key_of
from composer.runtime.build.cache.filesystems import Filesystem
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.steps.looking import Unbuilt
from composer.runtime.images import host
from composer.runtime.images.content import layer_of_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.build.cache.cache import Cache, Snapshot
    from composer.runtime.build.dockerfile.platforms import Platform
    from composer.runtime.build.telling import Showing
    from composer.runtime.images import Image, Store
    from composer.runtime.images.content import Content
    from composer.runtime.images.leases import Lease

    Pull = Callable[[str, Callable[[Any], None]], Image]


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
        always: bool,
        only_looks: bool = False,
    ) -> None:
        """With ``always``, the registry is asked whether it has a newer one."""
        self._store, self._content, self._cache = store, content, cache
        self._lease, self._pull = lease, pull
        self.platform = platform
        self._always, self._only_looks = always and not only_looks, only_looks
        self._pulled: set[str] = set()

    def empty_image(self) -> dict[str, Any]:
        """Return what ``FROM scratch`` begins with."""
        return platforms.as_configuration(self.platform)

    def image(
        self, reference: str, platform: Platform | None, shown: Showing
    ) -> tuple[dict[str, Any], Filesystem]:
        """Return an image's whole configuration and its files. Raises BuildFailed."""
        if reference == host.REFERENCE:
            shown.cached()
            return self._host()
        found = None if self._always and not _is_id(reference) else self._find(reference)
        if found is not None and not _fits(found[0], platform):
            found = None  # the registry may have the one that is wanted
        if found is None and self._only_looks:
            raise Unbuilt(f"base image {_familiar(reference)} is not here")
        if found is None:
            with shown.running():
                self._bring(reference, shown)
            found = self._find(reference)
        else:
            shown.cached()
        if found is None:
            raise BuildFailed(f"cannot find image '{reference}'", hint="check its name, or pull it")
        self._check(reference, found[0], platform)
        return found

    def _find(self, reference: str) -> tuple[dict[str, Any], Filesystem] | None:
        with self._store.using():
            image = self._store.find(reference)
            record = None if image is None or image.programs else self._content.record(image.id)
            if image is None or record is None:
                return None
            self._lease.add(image.layers)
        whole = json.loads(self._content.read(image.id))
        whole["config"] = dict(image.config)
        return whole, filesystems.of_image([layer_of_record(layer) for layer in record["layers"]])

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
        whole = {**self.empty_image(), "config": dict(image.config)}
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

    def _bring(self, reference: str, shown: Showing) -> None:
        try:
            self._pull(reference, lambda advance: None)
        except ComposerError as error:
            if isinstance(error, BuildFailed):
                raise
            raise BuildFailed(
                f"cannot get base image '{_familiar(reference)}': {error}", hint=error.hint
            ) from error

    def _check(self, reference: str, whole: Mapping[str, Any], wanted: Platform | None) -> None:
        if not _fits(whole, wanted):
            have = f"{whole.get('os', 'linux')}/{whole.get('architecture', '')}"
            raise BuildFailed(
                f"image '{_familiar(reference)}' is for {have}, not for {wanted}",
                hint="remove platform, or use an image for it",
            )


def _fits(whole: Mapping[str, Any], wanted: Platform | None) -> bool:
    if wanted is None:
        return True
    return (whole.get("os") or "linux", whole.get("architecture") or platforms.native().architecture) == (
        wanted.system,
        wanted.architecture,
    )


def _is_id(reference: str) -> bool:
    return references.id_prefix(reference) is not None and reference.startswith("sha256:")


def _familiar(reference: str) -> str:
    try:
        return references.parse(reference).familiar()
    except ComposerError:
        return reference
