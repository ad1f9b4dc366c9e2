"""A whole build: the stages that the target needs, each in a thread, and the image that comes of them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

from composer.errors import BuildFailed, ComposerError
from composer.runtime.build import filesystems, platforms, sources, steps, times
from composer.runtime.build.dockerfile import instructions as said
from composer.runtime.build.dockerfile import stages
from composer.runtime.build.dockerfile.reading import parse_trigger
from composer.runtime.build.dockerfile.words import expand_shown
from composer.runtime.build.stage import PATH, Stage, configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.runtime.build.bases import Bases
    from composer.runtime.build.cache import Cache, Snapshot
    from composer.runtime.build.context.adding import Fetching
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.contexts import Contexts
    from composer.runtime.build.dockerfile.instructions import Dockerfile, Instruction
    from composer.runtime.build.dockerfile.stages import BuildStage
    from composer.runtime.build.filesystems import Filesystem, Mounter
    from composer.runtime.build.requests import Request
    from composer.runtime.build.running import Runner
    from composer.runtime.build.telling import Showing, Teller
    from composer.runtime.images.leases import Lease

_MOST_THREADS = 8
_STEPS: Mapping[type, Callable[[Build, Stage, Any, Showing], None]] = {
    said.Run: steps.run,
    said.Copy: steps.copy,
    said.Add: steps.add,
    said.Workdir: steps.workdir,
}
"""The instructions that change files; each is shown as a step."""


class Build:
    """One build in progress, and what its steps need."""

    def __init__(
        self,
        request: Request,
        *,
        cache: Cache,
        mounter: Mounter,
        runner: Runner,
        lease: Lease,
        bases: Bases,
        teller: Teller,
        contexts: Contexts,
        checksums: StatCache,
        fetching: Fetching,
    ) -> None:
        self.request = request
        self.contexts, self.checksums, self.fetching = contexts, checksums, fetching
        self.cache, self.mounter, self.runner, self.lease = cache, mounter, runner, lease
        self.bases, self.teller = bases, teller
        self._results: dict[int, _Result] = {}
        self._stop = threading.Event()
        self._not_cached = {name.lower() for name in request.no_cache_stages}

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
        return self.cache.take(directory)

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

    # -------------------------------------------------------------- stages

    def run(self, context: Context, dockerfile: Dockerfile) -> Stage:
        """Build the target and what it needs; return it. Raises BuildFailed."""
        self.context, self.dockerfile = context, dockerfile
        self.plan = stages.resolve(
            dockerfile,
            target=self.request.target,
            build_args=self.request.args,
            target_platform=self.bases.platform,
            build_platform=platforms.native(),
            contexts=self.request.contexts,
        )
        for index in self.plan.order:
            self._results[index] = _Result()
        self._build_all()
        return self._results[self.plan.target].get()

    def _build_all(self) -> None:
        """Build the stages, the earlier ones first, so that one that waits for another waits for who has begun."""
        from composer.parallel import each

        try:
            each(self.plan.order, self._build_one, _MOST_THREADS, name="stage")
        except Stopped:
            for result in self._results.values():
                result.raise_reason()
            raise
        finally:
            self._stop.set()

    def _build_one(self, index: int) -> None:
        result = self._results[index]
        try:
            result.put(self._stage(index))
        except BaseException as error:
            self._stop.set()
            result.fail(error)
            raise

    def stage(self, index: int) -> Stage:
        """Return a stage that this build has, when it is ready."""
        return self._results[index].get()

    def _stage(self, index: int) -> Stage:
        planned = self.plan.stages[index]
        stage = self._begin(planned)
        names = _Names(self._title(planned), planned)
        for instruction in [*self._triggers(stage, planned), *planned.stage.instructions]:
            if self._stop.is_set():
                raise Stopped("the build was stopped: another stage failed")
            step = _STEPS.get(type(instruction))
            if step is None:
                configure(stage, instruction)
            else:
                step(self, stage, instruction, self.teller.step(names.of(stage, instruction)))
        return stage

    def _title(self, planned: BuildStage) -> str:
        """Return what steps are called by: nothing where there is one stage, without a name."""
        return planned.title if planned.stage.base.name or len(self.plan.stages) > 1 else ""

    def _begin(self, planned: BuildStage) -> Stage:
        origin = planned.base
        if isinstance(origin, stages.StageOrigin):
            base = self.stage(origin.stage)
            image = {**base.whole, "config": base.config, "history": base.history}
            stage = self._new(planned, image, base.files)
            stage.inherit(base)
            return stage
        if isinstance(origin, stages.Scratch):
            image = {**self.bases.empty_image(), "config": {"Env": [f"PATH={PATH}"], "WorkingDir": "/"}}
            return self._new(planned, image, filesystems.EMPTY)
        reference = self.image_of(origin)
        if reference is None:
            assert isinstance(origin, stages.ContextOrigin)
            return self._new(planned, self.bases.empty_image(), sources.of_context(self, origin.name))
        total = _Names(self._title(planned), planned).total
        shown = self.teller.step(f"{_prefix(self._title(planned), 1, total)} FROM {reference}")
        platform = platforms.parse(planned.platform) if planned.platform else self.bases.platform
        image, files = self.bases.image(reference, platform, shown)
        return self._new(planned, image, files)

    def _new(self, planned: BuildStage, image: Mapping[str, Any], files: Filesystem) -> Stage:
        return Stage(
            planned.stage.base.name or str(planned.number),
            self.dockerfile,
            image=image,
            files=files,
            given=self.request.args,
            globals=self.plan.arguments,
        )

    def _triggers(self, stage: Stage, planned: BuildStage) -> Sequence[Instruction]:
        """Return the ONBUILD instructions of the base, which are carried out first and not inherited further."""
        found = stage.config.pop("OnBuild", None) or ()
        if isinstance(planned.base, stages.StageOrigin):
            return planned.triggers
        return [parse_trigger(text, f"ONBUILD of {planned.stage.base.image}") for text in found]

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


class Stopped(ComposerError):
    """Another stage failed; what it says is the reason."""


class _Result:
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


class _Names:
    """What the steps of a stage are called: ``[web 2/4] RUN make``."""

    def __init__(self, title: str, planned: BuildStage) -> None:
        self._title = title
        everything = (*planned.triggers, *planned.stage.instructions)
        self.total = 1 + sum(type(one) in _STEPS for one in everything)
        self._count = 1

    def of(self, stage: Stage, instruction: Instruction) -> str:
        self._count += 1
        text = f"{type(instruction).__name__.upper()} {instruction.text}"
        text = expand_shown(text, stage.variables(), stage.dockerfile.escape)
        return f"{_prefix(self._title, self._count, max(self.total, self._count))} {text}"


def _prefix(title: str, number: int, total: int) -> str:
    count = f"{number:>{len(str(total))}}/{total}"
    return f"[{title} {count}]" if title else f"[{count}]"
