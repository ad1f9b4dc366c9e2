"""The builder of a state directory: from a request to an image in the store."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.base import state
from composer.runtime.build import platforms, result
from composer.runtime.build.bases import Bases
from composer.runtime.build.building import Build
from composer.runtime.build.cache import Cache
from composer.runtime.build.context.contexts import open_context
from composer.runtime.build.context.statcache import StatCache
from composer.runtime.build.contexts import Contexts
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.filesystems import Mounter
from composer.runtime.build.requests import Built
from composer.runtime.build.running import Runner
from composer.runtime.build.telling import Teller
from composer.runtime.images import leases
from composer.runtime.images.content import Content

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.state import Paths
    from composer.runtime.build.dockerfile.platforms import Platform
    from composer.runtime.build.requests import News, Request
    from composer.runtime.build.stage import Stage
    from composer.runtime.images import Image, Store
    from composer.runtime.objects.client import Client
    from composer.runtime.objects.networks import Networks
    from composer.runtime.objects.volumes import Volumes


class Tools(NamedTuple):
    """What of the runtime a builder uses. ``pull`` brings an image into the store."""

    paths: Paths
    store: Store
    networks: Networks
    volumes: Volumes
    client: Callable[[], Client]
    pull: Callable[[str, Callable[[Any], None]], Image]


class Builder:
    """Builds images. Several builds may go on at once, in this process and in others."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._content = Content(f"{tools.paths.root}/images")
        self._cache = Cache(f"{tools.paths.root}/build")

    def build(self, request: Request, tell: Callable[[News], None]) -> Built:
        """Build an image, name it, and return it. Raises BuildFailed."""
        platform = platforms.parse(request.platform) if request.platform else platforms.native()
        platforms.check(platform)
        self._cache.prepare()
        with self._content.adding():
            pass  # makes its directories
        teller = Teller(tell)
        with contextlib.ExitStack() as held:
            lease = held.enter_context(leases.leasing(self._content.root))
            build, context = self._opened(request, platform, lease, teller, held)
            with teller.step(f"[internal] load build definition from {context.dockerfile_name}").running():
                dockerfile = parse(context.dockerfile, context.dockerfile_name)
            warnings: list[str] = []
            stage = build.run(context, dockerfile)
            return self._exported(request, stage, teller, warnings)

    def _opened(
        self,
        request: Request,
        platform: Platform,
        lease: leases.Lease,
        teller: Teller,
        held: contextlib.ExitStack,
    ) -> tuple[Build, Any]:
        tools, root = self._tools, self._cache.root
        empty, downloads = f"{root}/empty", f"{root}/downloads"
        for directory in (empty, downloads):
            state.make_directory(directory)
        os.chmod(empty, 0o755)
        context = held.enter_context(
            open_context(
                request.context,
                dockerfile=request.dockerfile,
                inline=request.inline,
                environment=request.environment,
                downloads=downloads,
            )
        )
        build = Build(
            request,
            cache=self._cache,
            mounter=Mounter(self._content, empty),
            runner=Runner(tools.paths, tools.store, tools.networks, tools.volumes, tools.client),
            lease=lease,
            bases=Bases(tools.store, self._content, lease, tools.pull, platform, always=request.pull),
            teller=teller,
            contexts=Contexts(request, downloads, held),
            checksums=held.enter_context(StatCache(f"{root}/checksums")),
            downloads=downloads,
        )
        return build, context

    def _exported(self, request: Request, stage: Stage, teller: Teller, warnings: list[str]) -> Built:
        shown = teller.step("exporting to image")
        with shown.running(), self._content.adding():
            id = result.store(self._cache, self._content, stage, request)
            shown.line(f"writing image {id}")
            for name in request.names:
                self._tools.store.tag(id, name)
                shown.line(f"naming to {name}")
        image = self._tools.store.find(id)
        if image is None:
            raise BuildFailed(
                f"image {id} was removed by another command while it was built", hint="build it again"
            )
        return Built(image, image.config, warnings)
