"""A whole build: the stages that the target needs, each in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import BuildFailed, Cancelled
from composer.parallel import each
from composer.runtime.build import platforms
from composer.runtime.build.cache import filesystems
from composer.runtime.build.dockerfile import instructions as said
from composer.runtime.build.dockerfile import stages
from composer.runtime.build.dockerfile.reading import parse_trigger
from composer.runtime.build.dockerfile.words import expand_shown
from composer.runtime.build.steps import commands, copies, sources
from composer.runtime.build.steps.stage import PATH, Stage, configure, failed
from composer.runtime.build.steps.work import Stopped, Work
from composer.runtime.images import indexes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.registry.platforms import Platform
    from composer.runtime.build.cache.filesystems import Filesystem
    from composer.runtime.build.context.contexts import Context
    from composer.runtime.build.dockerfile.instructions import Dockerfile, Instruction
    from composer.runtime.build.dockerfile.stages import BuildStage
    from composer.runtime.build.telling import Showing

_MOST_THREADS = 8
_STEPS: Mapping[type, Callable[[Work, Stage, Any, Showing], None]] = {
    said.Run: commands.run,
    said.Workdir: commands.workdir,
    said.Copy: copies.copy,
    said.Add: copies.add,
}
"""The instructions that change files; each is shown as a step."""


def build(work: Work, context: Context, dockerfile: Dockerfile) -> Stage:
    """Build the target and what it needs; return it. Raises BuildFailed."""
    plan(work, context, dockerfile)
    return build_planned(work, dockerfile)


def plan(work: Work, context: Context, dockerfile: Dockerfile) -> None:
    """Say what is to be built. Raises BuildFailed where this machine cannot do it."""
    work.context = context
    work.plan = stages.resolve(
        dockerfile,
        target=work.request.target,
        build_args=work.request.args,
        target_platform=work.bases.platform,
        build_platform=platforms.native(),
        contexts=work.request.contexts,
    )
    for number, platform in _platforms(work).items():
        stage = work.plan.stages[number]
        for instruction in (*stage.triggers, *stage.stage.instructions):
            if isinstance(instruction, said.Run):
                _check_runs(dockerfile, instruction, platform)


def target_platform(work: Work) -> Platform:
    """Return the platform that the image will have."""
    return _platforms(work)[work.plan.target]


def _platforms(work: Work) -> dict[int, Platform]:
    """Return the platforms of the stages that are needed."""
    found: dict[int, Platform] = {}
    for number in work.plan.order:
        stage = work.plan.stages[number]
        if isinstance(stage.base, stages.StageOrigin):
            found[number] = found[stage.base.stage]
        else:
            found[number] = _platform(work, stage)
    return found


def _platform(work: Work, planned: BuildStage) -> Platform:
    return platforms.parse(planned.platform) if planned.platform else work.bases.platform


def _check_runs(dockerfile: Dockerfile, instruction: Instruction, platform: Platform) -> None:
    try:
        platforms.check(platform)
    except BuildFailed as error:
        raise failed(dockerfile, instruction.at, str(error), hint=error.hint) from error


def build_planned(work: Work, dockerfile: Dockerfile) -> Stage:
    """Build what is planned. Raises BuildFailed."""
    work.expect(work.plan.order)
    planned = [work.plan.stages[number] for number in work.plan.order]
    work.teller.planned(sum(1 + len(one.triggers) + len(one.stage.instructions) for one in planned))
    building = _Building(work, dockerfile)
    try:
        # the earlier ones first, so that one that waits for another waits for who has begun
        each(work.plan.order, building.one, _MOST_THREADS, name="stage")
    except Stopped:
        work.raise_reason()
        raise
    finally:
        work.stopped.set()
    return work.stage(work.plan.target)


class _Building:
    def __init__(self, work: Work, dockerfile: Dockerfile) -> None:
        self._work, self._dockerfile = work, dockerfile

    def one(self, number: int) -> None:
        """Build one stage, for whoever waits for it."""
        result = self._work.result(number)
        try:
            result.put(self._stage(self._work.plan.stages[number]))
        except BaseException as error:
            self._work.stopped.set()
            result.fail(error)
            raise

    def _stage(self, planned: BuildStage) -> Stage:
        first = self._first(planned)
        stage = self._begin(planned, first)
        first.result(stage.files.key)
        names = _Names(self._title(planned), planned)
        for instruction in [*self._triggers(stage, planned), *planned.stage.instructions]:
            self._check_stop()
            shown = self._shown(stage, names, instruction)
            step = _STEPS.get(type(instruction))
            if step is None or shown is None:
                configure(stage, instruction)
            else:
                _check_layers(stage, instruction)
                if isinstance(instruction, said.Run):
                    # also of ONBUILD in an image, which nobody knew before it was there
                    _check_runs(self._dockerfile, instruction, _platform_of(stage))
                step(self._work, stage, instruction, shown)
            if shown is not None:
                shown.result(stage.files.key)
        return stage

    def _check_stop(self) -> None:
        stop = self._work.request.stop
        if stop is not None and stop.is_set():
            raise Cancelled("the build was stopped")
        if self._work.stopped.is_set():
            raise Stopped("the build was stopped: another stage failed")

    def _shown(self, stage: Stage, names: _Names, instruction: Instruction) -> Showing | None:
        """Return the step that an instruction is shown as; None for one that changes no files, and is not shown."""
        if self._work.request.tells_all:
            return self._work.teller.step(f"{_word(instruction)} {instruction.text}")
        if type(instruction) not in _STEPS:
            return None
        return self._work.step(names.of(stage, instruction), _platform_of(stage))

    def _first(self, planned: BuildStage) -> Showing:
        """Return the step that a stage's base is shown as."""
        if self._work.request.tells_all:
            return self._work.teller.step(f"FROM {planned.stage.base.text}")
        origin = planned.base
        reference = (
            "" if isinstance(origin, stages.StageOrigin | stages.Scratch) else self._work.image_of(origin)
        )
        total = _Names(self._title(planned), planned).total
        name = f"{_prefix(self._title(planned), 1, total)} FROM {reference}"
        return self._work.step(name, _platform(self._work, planned))

    def _title(self, planned: BuildStage) -> str:
        """Return what steps are called by: nothing where there is one stage, without a name."""
        return planned.title if planned.stage.base.name or len(self._work.plan.stages) > 1 else ""

    def _begin(self, planned: BuildStage, shown: Showing) -> Stage:
        origin = planned.base
        if isinstance(origin, stages.StageOrigin):
            base = self._work.stage(origin.stage)
            image = {**base.whole, "config": base.config, "history": base.history}
            stage = self._new(planned, image, base.files)
            stage.inherit(base)
            return stage
        platform = _platform(self._work, planned)
        if isinstance(origin, stages.Scratch):
            image = {
                **platforms.as_configuration(platform),
                "config": {"Env": [f"PATH={PATH}"], "WorkingDir": "/"},
            }
            return self._new(planned, image, filesystems.EMPTY)
        reference = self._work.image_of(origin)
        if reference is None:
            assert isinstance(origin, stages.ContextOrigin)
            image = platforms.as_configuration(platform)
            return self._new(planned, image, sources.of_context(self._work, origin.name))
        try:
            image, files = self._work.bases.image(reference, platform, shown)
        except BuildFailed as error:
            raise failed(self._dockerfile, planned.stage.base.at, str(error), hint=error.hint) from error
        return self._new(planned, image, files)

    def _new(self, planned: BuildStage, image: Mapping[str, Any], files: Filesystem) -> Stage:
        return Stage(
            planned.stage.base.name or str(planned.number),
            self._dockerfile,
            image=image,
            files=files,
            given=self._work.request.args,
            globals=self._work.plan.arguments,
        )

    def _triggers(self, stage: Stage, planned: BuildStage) -> Sequence[Instruction]:
        """Return the ONBUILD instructions of the base, which are carried out first and not inherited further."""
        found = stage.config.pop("OnBuild", None) or ()
        if isinstance(planned.base, stages.StageOrigin):
            return planned.triggers
        return [parse_trigger(text, f"ONBUILD of {planned.stage.base.image}") for text in found]


def _platform_of(stage: Stage) -> Platform:
    return platforms.parse(indexes.platform_of(stage.whole))


def _check_layers(stage: Stage, instruction: Instruction) -> None:
    if len(stage.files.layers) >= filesystems.MOST_LAYERS:
        raise stage.failed(
            instruction.at,
            f"the stage has {filesystems.MOST_LAYERS} layers already, and the kernel lays no more over each other",
            hint="join RUN and COPY instructions, or COPY the files from this stage into a new one",
        )


def _word(instruction: Instruction) -> str:
    return type(instruction).__name__.upper()


class _Names:
    """What the steps of a stage are called: ``[web 2/4] RUN make``."""

    def __init__(self, title: str, planned: BuildStage) -> None:
        self._title = title
        everything = (*planned.triggers, *planned.stage.instructions)
        self.total = 1 + sum(type(one) in _STEPS for one in everything)
        self._count = 1

    def of(self, stage: Stage, instruction: Instruction) -> str:
        self._count += 1
        text = f"{_word(instruction)} {instruction.text}"
        text = expand_shown(text, stage.variables(), stage.dockerfile.escape)
        return f"{_prefix(self._title, self._count, max(self.total, self._count))} {text}"


def _prefix(title: str, number: int, total: int) -> str:
    count = f"{number:>{len(str(total))}}/{total}"
    return f"[{title} {count}]" if title else f"[{count}]"
