"""What a Dockerfile says that is known before anything is built: arguments, bases, and which stages a target needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from composer import references
from composer.errors import BuildFailed, DockerfileInvalid, ImageError
from composer.patterns import pattern
from composer.registry import platforms
from composer.runtime.build.dockerfile import words
from composer.runtime.build.dockerfile.faults import Faults, did_you_mean, nearest, quoted
from composer.runtime.build.dockerfile.instructions import Copy, Onbuild, Run, Stage
from composer.runtime.build.dockerfile.predefined import predefined
from composer.runtime.build.dockerfile.reading import parse_trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from composer.registry.platforms import Platform
    from composer.runtime.build.dockerfile.instructions import Arg, Dockerfile, Instruction, Place

SCRATCH = "scratch"
_UNCHANGED = (SCRATCH, "context")
"""Names that no named context replaces."""

_NUMBER = pattern(r"[+-]?[0-9]{1,9}", re.ASCII)


class StageOrigin(NamedTuple):
    """Another stage of the same file, by its number from 0."""

    stage: int


class ContextOrigin(NamedTuple):
    """A named context (``--build-context NAME=…``), by its name as given."""

    name: str


class ImageOrigin(NamedTuple):
    """An image; ``name`` is as written, with its variables replaced."""

    name: str


class Scratch(NamedTuple):
    """Nothing: an empty file system."""


Origin = StageOrigin | ContextOrigin | ImageOrigin | Scratch


class BuildStage(NamedTuple):
    """A stage and what it is made from. ``title`` is how progress calls it: its name, or ``stage-N``.

    ``number`` counts from 0. ``triggers`` are the instructions that it begins with: of ONBUILD in the stage that it
    is built from (an image may have more). ``needs`` are all stages that it uses itself. A stage that a named context
    replaces has no instructions.
    """

    number: int
    title: str
    stage: Stage
    base: Origin
    platform: str = ""
    triggers: tuple[Instruction, ...] = ()
    needs: frozenset[int] = frozenset()


class Build(NamedTuple):
    """All stages, and which of them the target needs: ``order`` has their numbers, the target's own included.

    ``arguments`` are the global ones with their values: the predefined ones, and those before the first FROM.
    """

    arguments: Mapping[str, str]
    stages: tuple[BuildStage, ...]
    target: int
    order: tuple[int, ...]
    names: Mapping[str, int]
    contexts: Mapping[str, str]

    def origin(self, text: str, *, has_numbers: bool = True) -> Origin:
        """Return what a ``--from`` means; ``RUN --mount=from=`` knows no numbers. Raises ValueError with the reason."""
        return _origin(text, self.names, self.contexts, len(self.stages) if has_numbers else None)


class _Use(NamedTuple):
    """A use of a stage: which one, and where it is written."""

    stage: int
    at: Place
    text: str


def global_arguments(
    dockerfile: Dockerfile, build_args: Mapping[str, str], predefined: Mapping[str, str]
) -> dict[str, str]:
    """Return the arguments that FROM can use. Raises DockerfileInvalid for a default that cannot be expanded."""
    faults = Faults(dockerfile.path, dockerfile.lines)
    found = _global_arguments(dockerfile, build_args, predefined, faults)
    faults.raise_all()
    return found


def resolve(
    dockerfile: Dockerfile,
    *,
    target: str = "",
    build_args: Mapping[str, str],
    target_platform: Platform,
    build_platform: Platform,
    contexts: Iterable[str] = (),
) -> Build:
    """Return what is to be built. ``target`` is a stage's name or number, empty for the last one.

    ``contexts`` are the names of the named contexts. Raises DockerfileInvalid with all faults, and BuildFailed for a
    target that is not there.
    """
    faults = Faults(dockerfile.path, dockerfile.lines)
    wanted = target_stage(dockerfile, target)
    given = predefined(build_platform, target_platform, target or dockerfile.stages[wanted].base.name)
    given.update((name, build_args[name]) for name in given if name in build_args)
    arguments = _global_arguments(dockerfile, build_args, given, faults)
    faults.raise_all()  # what is made of them would be wrong too
    resolver = _Resolver(dockerfile, arguments, {_context_name(name): name for name in contexts}, faults)
    stages, uses = resolver.all_stages()
    order = _reachable(stages, wanted)
    _check_order(stages, uses, order, faults)
    faults.raise_all()
    return Build(arguments, tuple(stages), wanted, order, resolver.names, resolver.contexts)


def target_stage(dockerfile: Dockerfile, target: str) -> int:
    """Return the number of a stage by its name, in any case, or its number; of the last one by an empty name.

    Of several with one name it is the last. Raises BuildFailed.
    """
    stages = dockerfile.stages
    if not target:
        return len(stages) - 1
    for index in range(len(stages) - 1, -1, -1):
        if stages[index].base.name == target.lower():
            return index
    if _NUMBER.fullmatch(target) and 0 <= int(target) < len(stages):
        return int(target)
    names = sorted({stage.base.name for stage in stages if stage.base.name})
    remedy = did_you_mean(target.lower(), names) or f"use {_numbers(len(stages))}"
    raise BuildFailed(f"target stage {quoted(target)} is not in {dockerfile.path}", hint=remedy)


def _numbers(count: int) -> str:
    return f"a number from 0 to {count - 1}" if count > 1 else "0, the only stage"


def _global_arguments(
    dockerfile: Dockerfile, build_args: Mapping[str, str], predefined: Mapping[str, str], faults: Faults
) -> dict[str, str]:
    values = dict(predefined)
    size = 0
    for argument in dockerfile.arguments:
        for name, default in argument.pairs:
            value = build_args.get(name)
            if value is None and default is not None:
                value = _expanded(default, values, dockerfile, argument, faults)
            if value is None:
                continue
            size += len(value)
            if size > words.MAX_LENGTH:
                faults.add(
                    *argument.at[:2], f"arguments are longer than {words.MAX_LENGTH >> 20} MiB together"
                )
                return values
            values[name] = value
    return values


def _expanded(
    text: str, values: Mapping[str, str], dockerfile: Dockerfile, argument: Arg, faults: Faults
) -> str | None:
    try:
        return words.expand(text, values, dockerfile.escape).text
    except words.WordInvalid as error:
        faults.add(*_place(dockerfile.lines, argument.at, text, error.offset), str(error), error.hint)
        return None


class _Resolver:
    """Resolves all stages of a file; `names` are those of stages, the last one of each name."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        arguments: Mapping[str, str],
        contexts: Mapping[str, str],
        faults: Faults,
    ) -> None:
        self.names = {
            stage.base.name: index for index, stage in enumerate(dockerfile.stages) if stage.base.name
        }
        self.contexts = contexts
        self._dockerfile, self._arguments, self._faults = dockerfile, arguments, faults

    def all_stages(self) -> tuple[list[BuildStage], list[list[_Use]]]:
        """Return the stages, and the uses of stages in each."""
        found: list[BuildStage] = []
        uses: list[list[_Use]] = []
        earlier: dict[str, int] = {}
        for index, stage in enumerate(self._dockerfile.stages):
            built, used = self._stage(index, stage, earlier)
            found.append(built)
            uses.append(used)
            if stage.base.name:
                earlier[stage.base.name] = index
        return found, uses

    def _stage(self, index: int, stage: Stage, earlier: Mapping[str, int]) -> tuple[BuildStage, list[_Use]]:
        base = stage.base
        title = base.name or f"stage-{index}"
        replaced_by = self.contexts.get(base.name) if base.name not in _UNCHANGED else None
        platform = self._platform(stage)
        if replaced_by is not None:
            origin: Origin = ContextOrigin(replaced_by)
            return BuildStage(index, title, Stage(base, ()), origin, platform), []
        origin = self._base(stage, earlier)
        triggers: tuple[Instruction, ...] = ()
        used = []
        if isinstance(origin, StageOrigin):
            used.append(_Use(origin.stage, base.at, base.image))
            triggers = tuple(self._triggers(stage, self._dockerfile.stages[origin.stage]))
        for trigger in triggers:
            used += self._uses(trigger, base.at)
        for instruction in stage.instructions:
            used += self._uses(instruction, instruction.at)
        needs = frozenset(use.stage for use in used)
        return BuildStage(index, title, stage, origin, platform, triggers, needs), used

    def _word(self, stage: Stage, text: str) -> str:
        """Return a word of FROM with its variables replaced; empty, and reported, where that cannot be done."""
        at = stage.base.at
        try:
            found = words.expand(text, self._arguments, self._dockerfile.escape)
        except words.WordInvalid as error:
            self._faults.add(*self._at(at, text, error.offset), str(error), error.hint)
            return ""
        if not found.text:
            unset = sorted(found.unset)
            near = nearest(unset[0], self._arguments) if unset else None
            hint = f"declare ARG {unset[0]} with a default before the first FROM" if unset else None
            hint = f"did you mean '{near}'?" if near else hint
            self._faults.add(*self._at(at, text), f"{quoted(text)} in FROM is empty after expansion", hint)
        return found.text

    def _base(self, stage: Stage, earlier: Mapping[str, int]) -> Origin:
        name = self._word(stage, stage.base.image)
        if not name:
            return Scratch()
        try:
            return _origin(name, earlier, self.contexts, None)
        except ValueError as error:
            self._faults.add(*self._at(stage.base.at, stage.base.image), str(error))
            return Scratch()

    def _platform(self, stage: Stage) -> str:
        if not stage.base.platform:
            return ""
        text = self._word(stage, stage.base.platform)
        try:
            if text:
                platforms.parse_platform(text)
        except ValueError as error:
            message = f"invalid platform {quoted(text)}"
            self._faults.add(*self._at(stage.base.at, stage.base.platform), message, str(error))
        return text

    def _triggers(self, stage: Stage, base: Stage) -> Iterator[Instruction]:
        for instruction in base.instructions:
            if isinstance(instruction, Onbuild):
                try:
                    yield parse_trigger(instruction.trigger)
                except DockerfileInvalid as error:
                    reason = error.faults[0].message
                    self._faults.add(*stage.base.at[:2], f"ONBUILD of {quoted(stage.base.image)}: {reason}")

    def _uses(self, instruction: Instruction, at: Place) -> Iterator[_Use]:
        """Yield the stages that an instruction uses; what names neither a stage nor an image is reported."""
        if isinstance(instruction, Copy) and instruction.origin:
            names = [instruction.origin]
        elif isinstance(instruction, Run):
            names = [name for mount in instruction.mounts if (name := mount.options.get("from"))]
        else:
            return
        count = len(self._dockerfile.stages) if isinstance(instruction, Copy) else None
        for name in names:
            try:
                origin = _origin(name, self.names, self.contexts, count)
            except ValueError as error:
                self._faults.add(*self._at(at, f"from={name}"), str(error))
                continue
            if isinstance(origin, StageOrigin):
                yield _Use(origin.stage, at, name)

    def _at(self, at: Place, text: str, offset: int = 0) -> tuple[int, int]:
        return _place(self._dockerfile.lines, at, text, offset)


def _origin(text: str, names: Mapping[str, int], contexts: Mapping[str, str], numbers: int | None) -> Origin:
    """Return what a name means. ``numbers`` is how many stages there are, None where numbers are no stages."""
    if numbers is not None and _NUMBER.fullmatch(text):
        if not 0 <= int(text) < numbers:
            raise ValueError(f"stage {text} is not there: use {_numbers(numbers)}")
        return StageOrigin(int(text))
    if (index := names.get(text.lower())) is not None:
        return StageOrigin(index)
    if text == SCRATCH:
        return Scratch()
    try:
        references.parse(text)
    except ImageError as error:
        near = nearest(text.lower(), names)
        raise ValueError(error.message + (f" (did you mean '{near}'?)" if near else "")) from None
    context = contexts.get(_context_name(text))
    return ImageOrigin(text) if context is None else ContextOrigin(context)


def _context_name(text: str) -> str:
    """Return the name that contexts and images are compared by: ``alpine`` is also docker.io/library/alpine:latest."""
    try:
        return references.parse(text).familiar().removesuffix(":latest")
    except ImageError:
        return text


def _reachable(stages: Sequence[BuildStage], target: int) -> tuple[int, ...]:
    found, waiting = {target}, [target]
    while waiting:
        for index in stages[waiting.pop()].needs:
            if index not in found:
                found.add(index)
                waiting.append(index)
    return tuple(sorted(found))


def _check_order(
    stages: Sequence[BuildStage], uses: Sequence[Sequence[_Use]], order: Iterable[int], faults: Faults
) -> None:
    """Report stages that use themselves or a later one. Where nobody needs them only a circle is a fault."""
    wanted = set(order)
    circular = _circular(stages)
    for stage, used in zip(stages, uses, strict=True):
        for use in used:
            if use.stage < stage.number or not (stage.number in wanted or stage.number in circular):
                continue
            message = f"stage {quoted(use.text)} comes later than stage '{stage.title}' that uses it"
            if use.stage == stage.number:
                message = f"stage '{stage.title}' uses itself"
            elif use.stage in circular and stage.number in circular:
                message = f"stages '{stage.title}' and {quoted(use.text)} need each other"
            faults.add(*use.at[:2], message, "move what is used into a stage before this one")


def _circular(stages: Sequence[BuildStage]) -> frozenset[int]:
    """Return the stages of a circle, none where there is no circle."""
    if all(need < stage.number for stage in stages for need in stage.needs):
        return frozenset()
    from graphlib import CycleError, TopologicalSorter

    try:
        TopologicalSorter({stage.number: stage.needs for stage in stages}).prepare()
    except CycleError as error:
        return frozenset(error.args[1])
    return frozenset()


def _place(lines: Sequence[str], at: Place, text: str, offset: int = 0) -> tuple[int, int]:
    """Return where a text stands in an instruction; where it is not found as it is, the instruction's own place."""
    for number in range(at.line, max(at.line, at.last_line) + 1):
        column = lines[number - 1].find(text) if number <= len(lines) else -1
        if column >= 0:
            return number, column + offset + 1
    return at.line, at.column
