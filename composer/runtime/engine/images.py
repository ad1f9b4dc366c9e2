"""Images: pulled, pushed, imported, loaded, named, saved and removed, with regard to the containers that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import making

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.runtime.engine.core import Core
    from composer.runtime.images import Image
    from composer.runtime.images.progress import Advance
    from composer.runtime.images.pull import Puller
    from composer.runtime.images.push import Pusher


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

    def pull(self, reference: str, progress: Callable[[Advance], None] | None = None) -> Image:
        return self._core.store.pull(reference, self._puller_for_all(), progress)

    def resolve(self, reference: str) -> str:
        """Return the digest that the registry has for a reference now. Raises PullFailed."""
        from composer.references import parse

        return self._puller_for_all().resolve(parse(reference))

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
    ) -> str:
        """Push an image; return its digest at the registry. Raises NotFound or PushFailed."""
        making.sweep(self._core.paths)
        with self._core.lock:
            if self._pusher is None:
                self._pusher = self._core.store.pusher(self._environment)
        return self._core.store.push(reference, self._pusher, progress, compression=compression)

    def remove(self, reference: str, *, force: bool = False) -> None:
        """Remove a name, and the image with its last one. Raises Conflict, naming who uses it, without force."""
        found = self._core.store.find(reference)
        if found is None:
            raise errors.NotFound(f"no such image: {reference}")
        users = sorted(meta["name"] for meta in self._core.metas() if meta["image_id"] == found.id)
        if users and not force:
            raise errors.Conflict(
                f"image '{reference}' is in use by {', '.join(users)}", hint="remove these containers first"
            )
        self._core.store.remove(reference)

    def import_rootfs(self, path: str, reference: str, config: Mapping[str, Any]) -> Image:
        making.sweep(self._core.paths)
        return self._core.store.import_rootfs(path, reference, config)

    def load(self, path: str) -> Sequence[Image]:
        making.sweep(self._core.paths)
        return self._core.store.load(path)

    def tag(self, reference: str, name: str) -> None:
        self._core.store.tag(reference, name)

    def save(self, references: Sequence[str], path: str) -> None:
        self._core.store.save(references, path)

    def prune(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        making.sweep(self._core.paths)
        return self._core.store.prune(unused=unused)

    def close(self) -> None:
        for one in (self._puller, self._pusher):
            if one is not None:
                one.close()
