"""The arguments of RUN."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.dockerfile import heredocs, mounts, words
from composer.runtime.build.dockerfile.faults import quoted
from composer.runtime.build.dockerfile.instructions import Heredoc, Run
from composer.runtime.build.dockerfile.statements import TEXT, TEXTS
from composer.runtime.build.spaces import strip

if TYPE_CHECKING:
    from composer.runtime.build.dockerfile.instructions import Command, Mount
    from composer.runtime.build.dockerfile.statements import Flags, Writing

_CHOICES = {"network": ("default", "none", "host"), "security": ("sandbox", "insecure")}


class _Script(NamedTuple):
    """What a shell is to run. ``program`` and ``summary`` are of a command that is nothing but a heredoc."""

    text: str
    program: str = ""
    summary: str = ""


def read_run(writing: Writing) -> Run:
    flags = writing.flags({"mount": TEXTS, "network": TEXT, "security": TEXT, "device": TEXTS})
    command = writing.command()
    if not command.words:
        raise writing.stop(
            "RUN has no command", 'write RUN COMMAND or RUN ["COMMAND"]', writing.arguments.offset
        )
    script = _script(writing, command)
    return Run(
        writing.at,
        writing.text + script.summary,
        command,
        heredocs=tuple(
            Heredoc(word.name, heredocs.without_tabs(content) if word.chomps else content, word.expands)
            for word, content in writing.heredocs
        ),
        mounts=_mounts(writing, flags),
        network=_choice(writing, flags, "network"),
        security=_choice(writing, flags, "security"),
        devices=_devices(writing, flags),
        script=script.text,
        program=script.program,
    )


def _script(writing: Writing, command: Command) -> _Script:
    if command.is_exec:
        return _Script("")
    (line,) = command.words
    found = writing.heredocs
    if not found:
        return _Script(line)
    if _is_heredoc(line):
        word, content = found[0]
        text = heredocs.without_tabs(content) if word.chomps else content
        return _Script(text, word.name if text.startswith("#!") else "", f" ({_summary(content)})")
    # the shell reads them: also their tabs, which <<- makes it leave out
    return _Script(line + "".join(f"\n{content}{word.name}" for word, content in found))


def _is_heredoc(line: str) -> bool:
    try:
        return heredocs.heredoc_word(line) is not None
    except words.WordInvalid:
        return False


def _summary(content: str) -> str:
    first, newline, _ = strip(content).partition("\n")
    return first.rstrip("\r") + ("..." if newline else "")


def _mounts(writing: Writing, flags: Flags) -> tuple[Mount, ...]:
    found = []
    for token in flags.given.get("mount", ()):
        mount, faults = mounts.parse_mount(token.text)
        found.append(mount)
        for fault in faults:
            writing.fault(writing.inside(token, fault.part), fault.message, fault.hint)
    return tuple(found)


def _devices(writing: Writing, flags: Flags) -> tuple[str, ...]:
    for token in flags.given.get("device", ()):
        for fault in mounts.device_faults(token.text):
            writing.fault(writing.inside(token, fault.part), fault.message, fault.hint)
    return flags.texts("device")


def _choice(writing: Writing, flags: Flags, name: str) -> str:
    choices = _CHOICES[name]
    if name not in flags.given:
        return choices[0]
    value = flags.text(name)
    if value not in choices:
        offset = flags.given[name][-1].offset
        writing.fault(offset, f"unknown value {quoted(value)} for flag --{name}", f"use {', '.join(choices)}")
    return value
