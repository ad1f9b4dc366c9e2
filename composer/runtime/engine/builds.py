"""Builds: Dockerfiles become images of the store, with the containers and networks of this engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.runtime.base import making
from composer.runtime.build.builder import Builder, Tools
from composer.runtime.build.steps import owned

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from composer.runtime.build.cache.pruning import Entry
    from composer.runtime.build.requests import Built, News, Request
    from composer.runtime.engine.containers import Containers
    from composer.runtime.engine.core import Core
    from composer.runtime.engine.images import Images


class Builds:
    """The builder of a state directory."""

    def __init__(self, core: Core, containers: Containers, images: Images) -> None:
        self._core, self._containers, self._images = core, containers, images

    def build(
        self, request: Request, tell: Callable[[News], None], standard_input: BinaryIO | None = None
    ) -> Built:
        """Build an image. Raises BuildFailed, with the end of a failed command's output as notes.

        ``standard_input`` is where the context ``-`` is read from.
        """
        self.sweep()
        try:
            return Builder(self._tools()).build(request, tell, standard_input)
        finally:
            self._containers.remove_forgotten_network()
            self._keep_small(request)

    def sweep(self) -> None:
        """Remove what builds that were killed have left."""
        core = self._core
        making.sweep(core.paths)
        owned.sweep(core.paths, lambda: core.client(owned.OWNER))

    def _keep_small(self, request: Request) -> None:
        from composer.runtime.build.cache import pruning
        from composer.runtime.build.cache.cache import Cache

        root = self._core.paths.root
        pruning.keep_small(Cache(f"{root}/build"), f"{root}/images", request.most_cache_bytes)

    def look(self, request: Request) -> str:
        """Return why a build would make another image than there is; empty where it would not. See `Builder.look`."""
        return Builder(self._tools()).look(request)

    def _tools(self) -> Tools:
        core = self._core
        return Tools(
            core.paths,
            core.store,
            core.networks,
            core.volumes,
            lambda: core.client(owned.OWNER),
            self._images.pull,
        )

    def prune(
        self,
        *,
        everything: bool,
        most_bytes: int | None,
        unused_for_s: float,
        wanted: Callable[[Entry], bool] = lambda entry: True,
    ) -> tuple[list[str], int]:
        """Make the build cache smaller; return the ids that are gone, and the bytes freed."""
        from composer.runtime.build.cache import pruning
        from composer.runtime.build.cache.cache import Cache

        root = self._core.paths.root
        cache = Cache(f"{root}/build")
        cache.prepare()
        self.sweep()
        found = pruning.prune(
            cache,
            f"{root}/images",
            everything=everything,
            most_bytes=most_bytes,
            unused_for_s=unused_for_s,
            wanted=wanted,
        )
        # what a step and a removed image had in common is in the store
        self._core.store.sweep()
        return found
