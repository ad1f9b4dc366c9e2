"""The builder of a state directory: from a request to an image in the store."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import BuildFailed, ImageError, NotFound
from composer.runtime.base import state
from composer.runtime.build import contexts, outputs, platforms, result, several
from composer.runtime.build.bases import Bases
from composer.runtime.build.cache import exchange, places
from composer.runtime.build.cache.cache import Cache, Snapshot
from composer.runtime.build.cache.filesystems import Mounter
from composer.runtime.build.context.contexts import Kind, classify
from composer.runtime.build.context.statcache import StatCache
from composer.runtime.build.dockerfile import checks
from composer.runtime.build.dockerfile.directives import check_options
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.dockerfile.stage_checks import BaseFacts
from composer.runtime.build.requests import Built
from composer.runtime.build.steps.looking import Unbuilt
from composer.runtime.build.steps.work import Work
from composer.runtime.build.telling import Teller
from composer.runtime.images import indexes, leases
from composer.runtime.images.content import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from composer.registry.platforms import Platform
    from composer.runtime.base.state import Paths
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.dockerfile.instructions import Dockerfile
    from composer.runtime.build.requests import News, Request
    from composer.runtime.build.steps.running import Runner
    from composer.runtime.images import Image, Store
    from composer.runtime.objects.client import Client
    from composer.runtime.objects.networks import Networks
    from composer.runtime.objects.volumes import Volumes


class Tools(NamedTuple):
    """What of the runtime a builder uses. ``pull`` brings an image into the store, for a platform if one is said."""

    paths: Paths
    store: Store
    networks: Networks
    volumes: Volumes
    client: Callable[[], Client]
    pull: Callable[[str, Callable[[Any], None], str], Image]


def _in_registries(
    environment: Mapping[str, str], held: contextlib.ExitStack
) -> Callable[[str], exchange.Place]:
    """Return what finds a place for a cache in a registry, with the user's logins."""

    def place(name: str) -> exchange.Place:
        from composer.registry import settings
        from composer.registry.registry import Registries
        from composer.runtime.build.cache.registries import InRegistry

        registries = Registries(settings.read(environment))
        held.callback(registries.close)
        return InRegistry(name, registries)

    return place


def places_of(
    request: Request, registry: Callable[[str], exchange.Place], warn: Callable[[str], None]
) -> list[exchange.Place]:
    """Return where steps are looked for beside the local cache. Raises BuildFailed."""
    found = []
    for text in request.cache_from:
        place = places.source(text, registry)
        if place is None:
            warn(
                f"cache_from '{text}' is not used: the built-in runtime reads type=local and type=registry, "
                "images with an inline cache included"
            )
        else:
            found.append(place)
    return found


def targets_of(
    request: Request, registry: Callable[[str], exchange.Place], warn: Callable[[str], None]
) -> list[places.Target]:
    """Return where the steps are written to beside the local cache and the image. Raises BuildFailed."""
    found = []
    for text in request.cache_to:
        target = places.target(text, registry)
        if target is not None:
            found.append(target)
        elif "mode=max" in text.split(","):
            warn(f"cache_to '{text}': an image has the steps of its own layers, and no others")
    return found


class Builder:
    """Builds images. Several builds may go on at once, in this process and in others."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._content = Content(f"{tools.paths.root}/images")
        self._cache = Cache(f"{tools.paths.root}/build")
        self._layouts: dict[str, Image] = {}

    def build(
        self, request: Request, tell: Callable[[News], None], standard_input: BinaryIO | None = None
    ) -> Built:
        """Build an image, name it, and return it. Raises BuildFailed."""
        wanted = platforms.wanted(request.platforms)
        several.check_outputs(request, wanted)
        self._cache.prepare()
        with self._content.adding():
            pass  # makes its directories
        teller = Teller(tell, tells_all=request.tells_all)
        with contextlib.ExitStack() as held:
            lease = held.enter_context(leases.leasing(self._content.root))
            registry = _in_registries(request.environment, held)
            targets = targets_of(request, registry, teller.warn)
            work, context = self._opened(request, wanted[0], lease, registry, teller, held, standard_input)
            name = request.dockerfile_name or context.name
            with teller.step(f"[internal] load build definition from {name}").running():
                dockerfile = parse(context.dockerfile, name)
            found = [self._check(request, context, dockerfile, platform) for platform in wanted]
            warnings = list(dict.fromkeys(line for lines in found for line in lines))
            if request.only_checks:
                return Built(None, {}, warnings)
            made = several.build(work, wanted, context, dockerfile)
            for output in request.outputs:
                for one in made.values():
                    outputs.check_portable(output, one.stage.files)
            self._write_files(request, work.mounter, made, teller)
            built = self._exported(request, made, teller, warnings)
            self._write_caches(targets, work, made, teller)
            return built

    def _check(
        self, request: Request, context: Context, dockerfile: Dockerfile, platform: Platform
    ) -> list[str]:
        """Return what is allowed in the Dockerfile but seldom meant. Raises BuildFailed where it says so."""
        options = check_options(dockerfile.check)
        found = checks.check(
            dockerfile,
            target=request.target,
            build_args=request.args,
            target_platform=platform,
            build_platform=platforms.native(),
            contexts=request.contexts,
            base=self._facts_of,
            is_ignored=context.tree.ignore.excludes if context.tree.ignore else None,
            options=options,
        )
        lines = [f"{dockerfile.path}:{one.at.line}: {one.rule}: {one.detail}" for one in found]
        if lines and options.is_error and not request.only_checks:
            error = BuildFailed(
                f"{dockerfile.path} does not pass its checks: {lines[0]}",
                hint="correct it, or remove check=error",
            )
            for line in lines[1:]:
                error.add_note(f"  {line}")
            raise error
        return lines

    def _facts_of(self, name: str) -> BaseFacts | None:
        """Return what is known of an image without asking a registry."""
        image = self._tools.store.find(name)
        if image is None:
            return None
        environment = dict(entry.partition("=")[::2] for entry in image.config.get("Env") or ())
        return BaseFacts(environment, bool(image.config.get("Shell")))

    def _opened(
        self,
        request: Request,
        platform: Platform,
        lease: leases.Lease,
        registry: Callable[[str], exchange.Place],
        teller: Teller,
        held: contextlib.ExitStack,
        standard_input: BinaryIO | None,
    ) -> tuple[Work, Context]:
        tools, root = self._tools, self._cache.root
        empty = f"{root}/empty"
        for directory in (empty, f"{root}/downloads"):
            state.make_directory(directory)
        os.chmod(empty, 0o755)
        fetching = contexts.fetching(root, request.environment, held)
        opened = contexts.Contexts(request, fetching, held, self._load_layout, standard_input)
        context = opened.main()
        work = Work(
            request,
            cache=self._cache,
            mounter=Mounter(self._content, empty),
            runner=self._runner,
            lease=lease,
            bases=Bases(
                tools.store,
                self._content,
                self._cache,
                lease,
                tools.pull,
                platform,
                layouts=self._layouts,
                always=request.pull,
                only_looks=request.only_looks,
                stop=request.stop,
            ),
            teller=teller,
            contexts=opened,
            checksums=held.enter_context(StatCache(f"{root}/checksums")),
            fetching=fetching,
            imports=exchange.Imports(
                self._cache, places_of(request, registry, teller.warn), lease.add, teller.warn
            ),
        )
        return work, context

    def _runner(self) -> Runner:
        from composer.runtime.build.steps.running import Runner

        tools = self._tools
        return Runner(tools.paths, tools.store, tools.networks, tools.volumes, tools.client)

    def _write_caches(
        self,
        targets: Sequence[places.Target],
        work: Work,
        made: Mapping[Platform, several.Made],
        teller: Teller,
    ) -> None:
        layers = (layer for one in made.values() for layer in one.stage.files.layers)
        own = {layer.id for layer in layers if isinstance(layer, Snapshot)}
        for target in targets:
            steps = [one for one in work.steps() if target.is_whole or one.snapshot.id in own]
            shown = teller.step("exporting cache")
            with shown.running():
                try:
                    exchange.write(self._cache, target.place, steps, shown.line)
                except (OSError, ImageError) as error:
                    hint = getattr(error, "hint", None)
                    raise BuildFailed(
                        f"cannot write the cache '{target.place.name}': {error}", hint=hint
                    ) from error

    def _load_layout(self, text: str) -> str:
        """Load an OCI layout into the store; return the id of its image."""
        path = text.partition("@")[0]
        head, _, tag = path.rpartition(":")
        loaded = self._tools.store.load(head if head and "/" not in tag else path)
        if len(loaded) != 1:
            raise BuildFailed(
                f"cannot use '{text}' as a named context: it holds {len(loaded)} images",
                hint="keep one in it",
            )
        self._layouts[loaded[0].id] = loaded[0]
        return loaded[0].id

    def look(self, request: Request) -> str:
        """Return why a build would make another image than the one that has its name; empty where it would not.

        Nothing is built, pulled or fetched. Raises BuildFailed where the build would fail at once.
        """
        request = request._replace(only_looks=True)
        if classify(request.context)[0] is not Kind.DIRECTORY:
            return "its context is not on this machine"
        wanted = platforms.wanted(request.platforms)
        self._cache.prepare()
        with self._content.adding():
            pass  # makes its directories
        teller = Teller(lambda news: None)
        with contextlib.ExitStack() as held:
            lease = held.enter_context(leases.leasing(self._content.root))
            registry = _in_registries(request.environment, held)
            work, context = self._opened(request, wanted[0], lease, registry, teller, held, None)
            try:
                dockerfile = parse(context.dockerfile, context.name)
                made = several.build(work, wanted, context, dockerfile)
            except Unbuilt as error:
                return str(error)
            ids = [result.id_of(self._cache, one.stage, request, one.steps) for one in made.values()]
        current = self._tools.store.find(request.names[0]) if request.names else None
        if current is None:
            return "not built yet"
        return several.difference(current, ids)

    def _exported(
        self,
        request: Request,
        made: Mapping[Platform, several.Made],
        teller: Teller,
        warnings: list[str],
    ) -> Built:
        config = next(iter(made.values())).stage.config
        if request.outputs and all(one.type in outputs.FILES for one in request.outputs):
            return Built(None, config, warnings)
        is_kept = not request.outputs or any(one.is_stored for one in request.outputs)
        shown = teller.step("exporting to image")
        with shown.running(), self._content.adding():
            stored = [
                result.store(self._cache, self._content, one.stage, request, one.steps)
                for one in made.values()
            ]
            ids = [id for id, _ in stored]
            for id in ids:
                shown.line(f"writing image {id}")
            first = self._named(request.names if is_kept else (), ids, shown.line)
            self._write_archives(request, ids)
        if not is_kept:
            for id in (id for id, is_new in stored if is_new):
                with contextlib.suppress(NotFound):
                    self._tools.store.remove(id)
            return Built(None, config, warnings)
        image = self._tools.store.find(first)
        if image is None:
            raise BuildFailed(
                f"image {first} was removed by another command while it was built", hint="build it again"
            )
        return Built(image, image.config, warnings)

    def _named(self, names: Sequence[str], ids: Sequence[str], line: Callable[[str], None]) -> str:
        """Give an image its names, those of several platforms the same ones; return what it is found by."""
        store = self._tools.store
        if len(ids) == 1:
            for name in names:
                store.tag(ids[0], name)
        elif names:
            line(f"writing index {store.tag_all(ids, names)}")
        for name in names:
            line(f"naming to {name}")
        if len(ids) > 1:
            return names[0] if names else indexes.ordered(self._content, ids)[0].id
        return ids[0]

    def _write_archives(self, request: Request, ids: Sequence[str]) -> None:
        for output in request.outputs:
            if output.type in outputs.ARCHIVES and not output.is_stored:
                self._tools.store.save_as(ids, request.names, output.target)

    def _write_files(
        self, request: Request, mounter: Mounter, made: Mapping[Platform, several.Made], teller: Teller
    ) -> None:
        for output in request.outputs:
            if output.type in outputs.FILES:
                with teller.step(f"exporting to {output.type}").running():
                    outputs.write_files(output, mounter, several.trees(made))
