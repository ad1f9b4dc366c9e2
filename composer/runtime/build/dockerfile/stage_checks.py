"""The checks that need values: each stage is gone through with its variables, as a build would."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.registry import platforms
from composer.runtime.build.dockerfile import forms, words
from composer.runtime.build.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Place,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from composer.runtime.build.dockerfile.stages import ImageOrigin, Scratch, StageOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.registry.platforms import Platform
    from composer.runtime.build.dockerfile.instructions import Dockerfile, Instruction
    from composer.runtime.build.dockerfile.rules import Findings
    from composer.runtime.build.dockerfile.stages import Build, BuildStage

_SECRET = pattern(
    r"(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_NO_SECRET = pattern(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_NOT_IN_THE_ENVIRONMENT = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
_REMOTE = pattern(r"[a-z+]+://|git@", re.IGNORECASE)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_VALUES = 16 << 20
"""Characters of all values of a stage: nobody has that many, and each is kept."""


class BaseFacts(NamedTuple):
    """What is known of a base image before a build."""

    environment: Mapping[str, str]
    has_shell: bool = False
    platform: Platform | None = None


class _State:
    """What is known of a stage at an instruction. ``is_complete``: no variable comes from somewhere unknown."""

    def __init__(self, values: dict[str, str], *, is_complete: bool, has_shell: bool) -> None:
        self.values, self.is_complete, self.has_shell = values, is_complete, has_shell
        self.declared: set[str] = set()
        self.has_workdir = False
        self._size = 0

    def copied(self) -> _State:
        other = _State(dict(self.values), is_complete=self.is_complete, has_shell=self.has_shell)
        other.declared, other.has_workdir = set(self.declared), self.has_workdir
        other._size = self._size
        return other

    def set(self, name: str, value: str) -> None:
        self._size += len(value)
        self.values[name] = value if self._size <= _MAX_VALUES else ""


class _Written(NamedTuple):
    """How an instruction is written, for what is said about it. The place of a trigger is the FROM that brings it."""

    at: Place
    keyword: str
    comments: Sequence[str]
    arguments: str


class StageChecks:
    """Goes through the stages of one file."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        build: Build,
        build_args: Mapping[str, str],
        target_platform: Platform,
        base: Callable[[str], BaseFacts | None],
        is_ignored: Callable[[str], bool] | None,
        findings: Findings,
    ) -> None:
        self._build, self._build_args, self._platform = build, build_args, target_platform
        self._base, self._is_ignored, self._findings = base, is_ignored, findings
        self._escape = dockerfile.escape
        self._statements = {statement.at.line: statement for statement in dockerfile.statements}
        self._needed = frozenset(build.order)
        self._states: dict[int, _State] = {}

    def run(self, numbers: Iterable[int]) -> None:
        numbers = list(numbers)
        children: dict[int, int] = {}
        for number in numbers:
            origin = self._build.stages[number].base
            if isinstance(origin, StageOrigin):
                children[origin.stage] = children.get(origin.stage, 0) + 1
        for number in numbers:
            stage = self._build.stages[number]
            state = self._begin(stage, children)
            self._stage(stage, state)
            if number in children:
                self._states[number] = state

    def _begin(self, stage: BuildStage, children: dict[int, int]) -> _State:
        """Return the state that a stage begins with. The last stage that is built from another has that one's own."""
        origin = stage.base
        if isinstance(origin, StageOrigin):
            children[origin.stage] -= 1
            if children[origin.stage]:
                return self._states[origin.stage].copied()
            return self._states.pop(origin.stage)
        if isinstance(origin, Scratch):
            return _State({"PATH": _PATH}, is_complete=True, has_shell=False)
        facts = self._base(origin.name) if isinstance(origin, ImageOrigin) else None
        if facts is None:
            return _State({"PATH": _PATH}, is_complete=False, has_shell=False)
        self._check_base(stage, facts)
        values = {"PATH": _PATH, **facts.environment}
        return _State(values, is_complete=True, has_shell=facts.has_shell)

    def _check_base(self, stage: BuildStage, facts: BaseFacts) -> None:
        expected = platforms.parse_platform(stage.platform) if stage.platform else self._platform
        actual = facts.platform
        if actual is not None and (actual[:2] != expected[:2]) and isinstance(stage.base, ImageOrigin):
            detail = (
                f'Base image {stage.base.name} was pulled with platform "{actual}", '
                f'expected "{expected}" for current build'
            )
            self._findings.add("InvalidBaseImagePlatform", stage.stage.base.at, detail)

    def _stage(self, stage: BuildStage, state: _State) -> None:
        last: dict[str, _Written] = {}
        # as Docker does: of what the target does not need only the instructions themselves
        for trigger in stage.triggers if stage.number in self._needed else ():
            written = _Written(stage.stage.base.at, type(trigger).__name__.upper(), (), trigger.text)
            self._instruction(trigger, written, state, last)
        for instruction in stage.stage.instructions:
            statement = self._statements[instruction.at.line]
            written = _Written(instruction.at, statement.keyword, statement.comments, statement.arguments)
            self._instruction(instruction, written, state, last)

    def _add(self, rule: str, written: _Written, detail: str) -> None:
        self._findings.add(rule, written.at, detail, written.comments)

    def _expand(self, text: str, written: _Written, state: _State, *, is_content: bool = False) -> str:
        """Return a text expanded; what has a fault is left as it is, for the build says so."""
        try:
            found = (
                words.expand_content(text, state.values)
                if is_content
                else words.expand(text, state.values, self._escape)
            )
        except words.WordInvalid:
            return text
        unset = found.unset - state.declared if state.is_complete else ()
        for name in sorted(unset):
            if name not in _NOT_IN_THE_ENVIRONMENT:
                near = self._findings.suggestion(name, state.values, "$")
                self._add("UndefinedVar", written, f"Usage of undefined variable '${name}'{near}")
        return found.text

    def _instruction(
        self, instruction: Instruction, written: _Written, state: _State, last: dict[str, _Written]
    ) -> None:
        if isinstance(instruction, Cmd | Entrypoint | Healthcheck):
            self._check_once(type(instruction).__name__, written, last)
        if isinstance(instruction, Cmd | Entrypoint):
            if not instruction.command.is_exec and not state.has_shell:
                name = written.keyword
                detail = f"JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
                self._add("JSONArgsRecommended", written, detail)
        elif isinstance(instruction, Shell):
            state.has_shell = True
        elif isinstance(instruction, Arg):
            self._argument(instruction, written, state)
        elif isinstance(instruction, Env | Label):
            self._pairs(instruction, written, state)
        elif isinstance(instruction, Copy | Add):
            self._files(instruction, written, state)
        elif isinstance(instruction, Workdir):
            self._workdir(instruction, written, state)
        elif isinstance(instruction, Expose):
            self._ports(instruction, written, state)
        else:
            for text in _words_of(instruction):
                self._expand(text, written, state)

    def _check_once(self, name: str, written: _Written, last: dict[str, _Written]) -> None:
        """Report the one before: it is that which does not count."""
        if before := last.get(name):
            detail = (
                f"Multiple {written.keyword} instructions should not be used in the same stage because only the "
                "last one will be used"
            )
            self._findings.add("MultipleInstructionsDisallowed", before.at, detail, written.comments)
        last[name] = written

    def _check_secret(self, keyword: str, name: str, written: _Written) -> None:
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            detail = f'Do not use ARG or ENV instructions for sensitive data ({keyword} "{name}")'
            self._add("SecretsUsedInArgOrEnv", written, detail)

    def _argument(self, argument: Arg, written: _Written, state: _State) -> None:
        for name, default in argument.pairs:
            self._check_secret("ARG", name, written)
            value = self._build_args.get(name)
            if value is None and default is not None:
                value = self._expand(default, written, state)
            elif value is None:
                value = self._build.arguments.get(name)
            if value is not None and name not in _NOT_IN_THE_ENVIRONMENT:
                state.set(name, value)
            state.declared.add(name)

    def _pairs(self, instruction: Env | Label, written: _Written, state: _State) -> None:
        _, is_legacy = forms.key_values(written.arguments, self._escape)
        expanded = [
            (self._expand(name, written, state), self._expand(value, written, state))
            for name, value in instruction.pairs
        ]
        for name, value in expanded:
            if is_legacy:
                keyword = written.keyword
                detail = (
                    f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
                )
                self._add("LegacyKeyValueFormat", written, detail)
            if isinstance(instruction, Env):
                self._check_secret("ENV", name, written)
                state.set(name, value)

    def _files(self, instruction: Copy | Add, written: _Written, state: _State) -> None:
        checksum = instruction.checksum if isinstance(instruction, Add) else ""
        for text in (instruction.chown, instruction.chmod, checksum):
            self._expand(text, written, state)
        sources = [self._expand(source, written, state) for source in instruction.sources]
        self._expand(instruction.target, written, state)
        for heredoc in instruction.heredocs:
            if heredoc.expands:
                self._expand(heredoc.content, written, state, is_content=True)
        if self._is_ignored is None or (isinstance(instruction, Copy) and instruction.origin):
            return
        for source in sources:
            path = posixpath.normpath(source)
            # the context itself is never excluded: only what is in it is
            if path not in (".", "/") and not _REMOTE.match(source) and self._is_ignored(path):
                verb = "Copy" if isinstance(instruction, Copy) else "Add"
                detail = f'Attempting to {verb} file "{path}" that is excluded by .dockerignore'
                self._add("CopyIgnoredFile", written, detail)

    def _workdir(self, instruction: Workdir, written: _Written, state: _State) -> None:
        path = self._expand(instruction.path, written, state)
        if not state.has_workdir and not path.startswith("/"):
            detail = f'Relative workdir "{path}" can have unexpected results if the base image changes'
            self._add("WorkdirRelativePath", written, detail)
        state.has_workdir = True

    def _ports(self, instruction: Expose, written: _Written, state: _State) -> None:
        for text in instruction.ports:
            try:
                found = words.expand_words(text, state.values, self._escape).words
            except words.WordInvalid:
                continue
            for port in found:
                before, _, container = port.rpartition(":")
                protocol = container.partition("/")[2]
                if protocol != protocol.lower():
                    detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
                    self._add("ExposeProtoCasing", written, detail)
                if before.strip(":"):
                    detail = (
                        "EXPOSE instruction should not define an IP address or host-port mapping, "
                        f"found '{port}'"
                    )
                    self._add("ExposeInvalidFormat", written, detail)


def _words_of(instruction: Instruction) -> Iterator[str]:
    """Yield the words that are expanded, of what has no check of its own."""
    if isinstance(instruction, Run):
        for mount in instruction.mounts:
            yield from (mount.type, *mount.options.values())
    elif isinstance(instruction, User):
        yield instruction.user
    elif isinstance(instruction, Stopsignal):
        yield instruction.signal
    elif isinstance(instruction, Volume):
        yield from instruction.paths
