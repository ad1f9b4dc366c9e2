"""What the steps of one build have in common: its request, its cache, its contexts, and the stages that are ready."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from composer.errors import BuildFailed, ComposerError
from composer.runtime.build.cache import times
from composer.runtime.build.cache.exchange import Used
from composer.runtime.build.dockerfile import stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from composer.registry.platforms import Platform
    from composer.runtime.build.bases import Bases
    from composer.runtime.build.cache.cache import Cache, Snapshot
    from composer.runtime.build.cache.exchange import Imports
    from composer.runtime.build.cache.filesystems import Filesystem, Mounter
    from composer.runtime.build.context.adding import Fetching
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.contexts import Contexts
    from composer.runtime.build.requests import Request
    from composer.runtime.build.steps.running import Runner
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.telling import Showing, Teller
    from composer.runtime.images.leases import Lease


class Work:
    """One build in progress, as its steps see it. Safe for threads once `plan` is set."""

    plan: stages.Build
    context: Context

    def __init__(
        self,
        request: Request,
        *,
        cache: Cache,
        mounter: Mounter,
        runner: Callable[[], Runner],
        lease: Lease,
        bases: Bases,
        teller: Teller,
        contexts: Contexts,
        checksums: StatCache,
        fetching: Fetching,
        imports: Imports,
    ) -> None:
        self.request = request
        self.contexts, self.checksums, self.fetching = contexts, checksums, fetching
        self.imports = imports
        self._used: dict[str, Used] = {}
        self.cache, self.mounter, self.runner, self.lease = cache, mounter, runner, lease
        self.bases, self.teller = bases, teller
        self.stopped = threading.Event()
        """Set when a stage failed: others end before their next step."""
        self._results: dict[int, Result] = {}
        self._not_cached = {name.lower() for name in request.no_cache_stages}
        self.made: set[str] = set()
        """The keys of steps that were carried out: nothing makes the same build do it again."""
        self.shows_platform = False

    def of(self, bases: Bases) -> Work:
        """Return the same build for one of several platforms, which is shown with its steps."""
        found = Work(
            self.request,
            cache=self.cache,
            mounter=self.mounter,
            runner=self.runner,
            lease=self.lease,
            bases=bases,
            teller=self.teller,
            contexts=self.contexts,
            checksums=self.checksums,
            fetching=self.fetching,
            imports=self.imports,
        )
        found.made, found.shows_platform = self.made, True
        return found

    def step(self, name: str, platform: Platform) -> Showing:
        """Return a step of a stage, to be shown."""
        return self.teller.step(name, str(platform) if self.shows_platform else "")

    def used(self, key: str, snapshot: Snapshot, what: str, base: str, seconds: float) -> None:
        """Note a step of this build, for whoever exports its cache."""
        self._used[key] = Used(key, snapshot, what, base, seconds)

    def add_steps(self, other: Work) -> None:
        """Note the steps of another platform, too."""
        self._used.update(other._used)

    def steps(self) -> list[Used]:
        """Return the steps of this build, in the order in which they were ready."""
        return list(self._used.values())

    def own(self, key: str) -> str:
        """Return a name for a step that no other build has; that for other platforms has the same."""
        return f"{key}.{os.getpid()}.{id(self.made):x}"

    def ignores_cache(self, stage: str) -> bool:
        return self.request.no_cache or stage.lower() in self._not_cached

    def changed(self, files: Filesystem, write: Callable[[int], None]) -> Snapshot:
        """Let ``write`` change files, whose root it is given; return what it changed as a layer over them."""
        with self.cache.making() as directory:
            layer = f"{directory}/files"
            with self.mounter.writing(files, layer, f"{directory}/work") as root:
                write(root)
            return self.take(layer)

    @contextlib.contextmanager
    def opened_directory(self, path: str) -> Iterator[int]:
        """Yield a directory of ours, open, to be written to."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def take(self, directory: str) -> Snapshot:
        """Make a layer that was written a snapshot."""
        epoch_ns = self.epoch_ns()
        if epoch_ns is not None:
            times.clamp(directory, epoch_ns)
        return self.cache.take(directory, self.lease.add)

    def epoch_ns(self) -> int | None:
        """Return the latest time that a file may have; None where there is no such."""
        epoch = self.request.source_date_epoch
        return None if epoch is None else epoch * 1_000_000_000

    def epoch_key(self) -> list[int]:
        return [] if self.request.source_date_epoch is None else [self.request.source_date_epoch]

    # -------------------------------------------------------------- contexts

    def context_of(self, name: str) -> Context:
        """Return the build context, or a named one. Each is opened once."""
        return self.contexts.named(name) if name else self.context

    # -------------------------------------------------------------- images

    def image_of(self, origin: stages.Origin) -> str | None:
        """Return the reference of the image that an origin is; None for a context that is files."""
        if isinstance(origin, stages.ImageOrigin):
            return origin.name
        assert isinstance(origin, stages.ContextOrigin)
        return self.contexts.image(origin.name)

    def image_files(self, reference: str) -> Filesystem:
        """Return the files of an image that something is copied from."""
        shown = self.teller.step(f"FROM {reference}")
        return self.bases.image(reference, self.bases.platform, shown)[1]

    # -------------------------------------------------------------- stages

    def expect(self, numbers: Iterable[int]) -> None:
        """Say which stages there will be."""
        self._results = {number: Result() for number in numbers}

    def result(self, number: int) -> Result:
        return self._results[number]

    def stage(self, number: int) -> Stage:
        """Return a stage when it is ready. Raises Stopped where it failed."""
        return self._results[number].get()

    def raise_reason(self) -> None:
        """Raise what the first stage that did not fail because of another failed of."""
        for result in self._results.values():
            result.raise_reason()


class Stopped(ComposerError):
    """Another stage failed; what it says is the reason."""


class Result:
    """A stage to come."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._stage: Stage | None = None
        self._error: BaseException | None = None

    def put(self, stage: Stage) -> None:
        self._stage = stage
        self._ready.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._ready.set()

    def raise_reason(self) -> None:
        """Raise what a stage failed of, where it was not another's failure."""
        if self._error is not None and not isinstance(self._error, Stopped):
            raise self._error

    def get(self) -> Stage:
        self._ready.wait()
        if self._error is not None:
            if isinstance(self._error, BuildFailed):
                raise Stopped("the build was stopped: a stage that this one needs failed") from self._error
            raise self._error
        assert self._stage is not None
        return self._stage
