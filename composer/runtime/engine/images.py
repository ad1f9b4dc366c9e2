"""Images: pulled, pushed, imported, loaded, named, saved and removed, with regard to the containers that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.references import id_prefix, parse, split
from composer.runtime.base import making

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.references import Reference
    from composer.registry.registry import Manifest
    from composer.runtime.engine.core import Core
    from composer.runtime.images import Image
    from composer.runtime.images.manifests import Step
    from composer.runtime.images.progress import Advance, Watcher
    from composer.runtime.images.pull import Puller
    from composer.runtime.images.push import Pusher
    from composer.runtime.images.removal import Removed


class Images:
    """The images of a state directory. ``environment`` has the user's settings of registries."""

    def __init__(self, core: Core, environment: Mapping[str, str]) -> None:
        self._core, self._environment = core, environment
        self._puller: Puller | None = None
        self._pusher: Pusher | None = None

    def find(self, reference: str) -> Image | None:
        return self._core.store.find(reference)

    def all(self) -> Sequence[Image]:
        return self._core.store.images()

    def pull(
        self,
        reference: str,
        progress: Callable[[Advance], None] | None = None,
        platform: str = "",
        *,
        watcher: Watcher | None = None,
    ) -> Image:
        """Pull an image; one for another ``platform`` than this machine's stays beside what the name stands for."""
        puller = self._puller_for_all()
        return self._core.store.pull(reference, puller, progress, platform=platform, watcher=watcher)

    def resolve(self, reference: str) -> str:
        """Return the digest that the registry has for a reference now. Raises PullFailed."""
        return self._puller_for_all().resolve(parse(reference))

    def tags(self, reference: Reference) -> list[str]:
        """Return the tags that a registry has of a reference's repository. Raises PullFailed."""
        return self._puller_for_all().tags(reference)

    def manifest(self, reference: Reference) -> Manifest:
        """Return the manifest, or the index, of a reference at its registry. Raises PullFailed."""
        return self._puller_for_all().manifest(reference)

    def small_blob(self, reference: Reference, digest: str, size_bytes: int) -> bytes:
        """Return a small blob of a reference's repository. Raises PullFailed."""
        return self._puller_for_all().small_blob(reference, digest, size_bytes)

    def _puller_for_all(self) -> Puller:
        """Return the one that all threads share, so that what several images have in common is fetched once."""
        with self._core.lock:
            if self._puller is None:
                self._puller = self._core.store.puller(self._environment)
            return self._puller

    def push(
        self,
        reference: str,
        progress: Callable[[Advance], None] | None = None,
        *,
        compression: str = "gzip",
        watcher: Watcher | None = None,
    ) -> str:
        """Push an image; return its digest at the registry. Raises NotFound or PushFailed."""
        making.sweep(self._core.paths)
        with self._core.lock:
            if self._pusher is None:
                self._pusher = self._core.store.pusher(self._environment)
            pusher = self._pusher
        return self._core.store.push(reference, pusher, progress, compression=compression, watcher=watcher)

    def history(self, reference: str) -> list[Step]:
        return self._core.store.history(reference)

    def remove(self, reference: str, *, force: bool = False, waits: bool = True) -> Removed:
        """Remove a name, and the image with its last one; an id removes all names. Raises NotFound or Conflict.

        For ``waits`` see `Store.remove`.

        As in Docker Engine: an image with names of several repositories, or that stopped containers have, goes with
        ``force`` alone; one that a running container has keeps its files, and with ``force`` loses its name.
        """
        store = self._core.store
        found = store.find(reference)
        if found is None:
            raise errors.NotFound(f"no such image: {reference}")
        is_id = _is_id(reference, found)
        users = sorted(meta["name"] for meta in self._core.metas() if meta["image_id"] == found.id)
        running = sorted(
            meta["name"]
            for meta in self._core.metas()
            if meta["image_id"] == found.id and self._core.is_active(meta["id"])
        )
        if is_id and not force and len({split(name).name for name in found.references}) > 1:
            raise errors.Conflict(
                f"cannot remove image '{reference}': it has names of several repositories "
                f"({', '.join(found.references)})",
                hint="remove these names, or add --force",
            )
        is_last = is_id or len(found.references) < 2
        if users and is_last and not force:
            raise errors.Conflict(
                f"image '{reference}' is in use by {', '.join(users)}", hint="remove these containers first"
            )
        if running and is_id:
            raise errors.Conflict(
                f"image '{reference}' is in use by running containers ({', '.join(running)})",
                hint="stop these containers first",
            )
        return store.remove(reference, keeps=bool(running), waits=waits)

    def import_rootfs(self, path: str, reference: str, config: Mapping[str, Any]) -> Image:
        making.sweep(self._core.paths)
        return self._core.store.import_rootfs(path, reference, config)

    def load(self, path: str) -> Sequence[Image]:
        making.sweep(self._core.paths)
        return self._core.store.load(path)

    def load_named(self, path: str, platform: str = "") -> Sequence[tuple[Image, Sequence[str]]]:
        """Load an archive; return its images, or the ones for a platform, with the names that it gives them."""
        making.sweep(self._core.paths)
        return self._core.store.load_named(path, platform)

    def tag(self, reference: str, name: str) -> None:
        self._core.store.tag(reference, name)

    def save(self, references: Sequence[str], path: str) -> None:
        self._core.store.save(references, path)

    def prune(
        self, *, unused: bool = False, wanted: Callable[[str], bool] = lambda id: True
    ) -> tuple[Sequence[str], int]:
        making.sweep(self._core.paths)
        return self._core.store.prune(unused=unused, wanted=wanted)

    def abort(self) -> None:
        """End the pulls and pushes that are under way, from another thread."""
        with self._core.lock:
            moving = [one for one in (self._puller, self._pusher) if one is not None]
        for one in moving:
            one.abort()

    def close(self) -> None:
        for one in (self._puller, self._pusher):
            if one is not None:
                one.close()


def _is_id(reference: str, found: Image) -> bool:
    """Tell whether an image was found by its id, and not by a name or a digest."""
    prefix = id_prefix(reference)
    ids = (found.id.removeprefix("sha256:"), found.index_digest.removeprefix("sha256:"))
    if prefix is None or not any(id.startswith(prefix) for id in ids):
        return False
    return reference.startswith("sha256:") or str(parse(reference)) not in {
        str(parse(name)) for name in found.references
    }
