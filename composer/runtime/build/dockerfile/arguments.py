"""The arguments of each instruction: one small function per instruction, in a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from composer.patterns import pattern
from composer.runtime.build.dockerfile import forms
from composer.runtime.build.dockerfile.faults import did_you_mean, quoted
from composer.runtime.build.dockerfile.files import read_add, read_copy
from composer.runtime.build.dockerfile.instructions import (
    Arg,
    Cmd,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from composer.runtime.build.dockerfile.running import read_run
from composer.runtime.build.dockerfile.statements import TEXT
from composer.runtime.build.spaces import lstrip, strip
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.build.dockerfile.instructions import Command, Instruction
    from composer.runtime.build.dockerfile.statements import Flags, Writing

_STAGE_NAME = pattern(r"[a-z][a-z0-9-_.]*")
_RETRIES = pattern(r"\+?[0-9]+", re.ASCII)
_MAX_RETRIES = (1 << 31) - 1
_MAX_DURATION_NS = (1 << 63) - 1
_LEAST_DURATION_NS = 1_000_000
_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def read_from(writing: Writing) -> From:
    flags = writing.flags({"platform": TEXT})
    words = forms.blank_separated(writing.arguments.text, writing.arguments.offset)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.upper() != "AS"):
        raise writing.stop(
            "FROM needs one image, or an image and a name", "write FROM IMAGE or FROM IMAGE AS NAME"
        )
    name = words[2].text.lower() if len(words) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        writing.fault(
            words[2].offset,
            f"invalid stage name {quoted(words[2].text)}",
            "begin with a letter, go on with letters, digits, dashes, underscores and dots",
        )
    return From(writing.at, writing.text, words[0].text, flags.text("platform"), name)


def _read_arg(writing: Writing) -> Arg:
    writing.flags()
    words = forms.quoted_words(writing.arguments.text, writing.escape, writing.arguments.offset)
    if not words:
        raise writing.stop("ARG has no name", "write ARG NAME or ARG NAME=DEFAULT")
    pairs = []
    for name, value in map(forms.name_value, words):
        if not name.text:
            writing.fault(name.offset, "ARG has an empty name", "write ARG NAME=DEFAULT")
        pairs.append((name.text, None if value is None else value.text))
    return Arg(writing.at, writing.text, tuple(pairs))


def _read_env(writing: Writing) -> Env:
    return Env(writing.at, writing.text, _pairs(writing))


def _read_label(writing: Writing) -> Label:
    return Label(writing.at, writing.text, _pairs(writing))


def _pairs(writing: Writing) -> tuple[tuple[str, str], ...]:
    writing.flags()
    form = f"write {writing.name} NAME=VALUE"
    found, _ = forms.key_values(writing.arguments.text, writing.escape, writing.arguments.offset)
    if not found:
        raise writing.stop(f"{writing.name} has no name", form)
    pairs = []
    for name, value in found:
        if value is None:
            writing.fault(name.offset, f"{writing.name} has no value for {quoted(name.text)}", form)
        elif not name.text:
            writing.fault(name.offset, f"{writing.name} has an empty name", form)
        else:
            pairs.append((name.text, value.text))
    return tuple(pairs)


def _one_argument(writing: Writing) -> str:
    writing.flags()
    if not writing.arguments.text:
        raise writing.stop(f"{writing.name} has no argument")
    return writing.arguments.text


def _read_maintainer(writing: Writing) -> Maintainer:
    return Maintainer(writing.at, writing.text, _one_argument(writing))


def _read_stopsignal(writing: Writing) -> Stopsignal:
    return Stopsignal(writing.at, writing.text, _one_argument(writing))


def _read_user(writing: Writing) -> User:
    return User(writing.at, writing.text, _one_argument(writing))


def _read_workdir(writing: Writing) -> Workdir:
    return Workdir(writing.at, writing.text, _one_argument(writing))


def _read_cmd(writing: Writing) -> Cmd:
    writing.flags()
    return Cmd(writing.at, writing.text, writing.command())


def _read_entrypoint(writing: Writing) -> Entrypoint:
    writing.flags()
    return Entrypoint(writing.at, writing.text, writing.command())


def _read_shell(writing: Writing) -> Shell:
    writing.flags()
    words = writing.exec_form(writing.arguments)
    if not words:
        raise writing.stop(
            "SHELL needs a JSON array of strings", 'write SHELL ["/bin/bash", "-c"]', writing.arguments.offset
        )
    return Shell(writing.at, writing.text, words)


def _read_expose(writing: Writing) -> Expose:
    writing.flags()
    words = forms.blank_separated(writing.arguments.text)
    if not words:
        raise writing.stop("EXPOSE has no port", "write EXPOSE 80 or EXPOSE 53/udp")
    return Expose(writing.at, writing.text, tuple(sorted(word.text for word in words)))


def _read_volume(writing: Writing) -> Volume:
    writing.flags()
    words = writing.list_of_words()
    if not words:
        raise writing.stop("VOLUME has no path", "write VOLUME /PATH")
    for word in words:
        if not strip(word.text):
            writing.fault(word.offset, "VOLUME has an empty path", "write VOLUME /PATH")
    return Volume(writing.at, writing.text, tuple(strip(word.text) for word in words))


# ---------------------------------------------------------------------------- HEALTHCHECK


def _read_healthcheck(writing: Writing) -> Healthcheck:
    flags = writing.flags({**dict.fromkeys(_DURATIONS, TEXT), "retries": TEXT})
    parts = forms.split_instruction(writing.arguments.text, writing.escape, writing.arguments.offset)
    kind = parts.keyword.text.upper()
    if kind not in ("CMD", "NONE"):
        message = (
            f"unknown type {quoted(parts.keyword.text)} of HEALTHCHECK" if kind else "HEALTHCHECK has no type"
        )
        raise writing.stop(
            message,
            "write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE",
            parts.keyword.offset if kind else None,
        )
    rest = writing.arguments.text[len(kind) :]
    writing.arguments = forms.Token(
        lstrip(rest), writing.arguments.offset + len(writing.arguments.text) - len(lstrip(rest))
    )
    command = _probe(writing, kind)
    interval, timeout, start_period, start_interval = (
        _duration_ns(writing, flags, name) for name in _DURATIONS
    )
    return Healthcheck(
        writing.at,
        writing.text,
        command,
        interval,
        timeout,
        start_period,
        start_interval,
        _retries(writing, flags),
    )


def _probe(writing: Writing, kind: str) -> Command | None:
    if kind == "NONE":
        if writing.arguments.text:
            writing.fault(writing.arguments.offset, "HEALTHCHECK NONE takes no arguments", "remove them")
        return None
    command = writing.command()
    if not writing.arguments.text or not command.words:
        raise writing.stop("HEALTHCHECK CMD has no command", "write HEALTHCHECK CMD COMMAND")
    return command


def _duration_ns(writing: Writing, flags: Flags, name: str) -> int:
    text = flags.text(name)
    if not text:
        return 0
    offset = flags.given[name][-1].offset
    try:
        if re.search("[dw]", text):
            raise ValueError(f"invalid duration {quoted(text)}: use h, m, s, ms, us or ns")
        duration_ns = parse_duration_ns(text)
    except ValueError as error:
        writing.fault(offset, f"flag --{name}: {error}")
        return 0
    if duration_ns and not _LEAST_DURATION_NS <= duration_ns <= _MAX_DURATION_NS:
        writing.fault(offset, f"flag --{name}: duration {quoted(text)} is out of range", "use 1ms or more")
        return 0
    return duration_ns


def _retries(writing: Writing, flags: Flags) -> int:
    text = flags.text("retries")
    if not text:
        return 0
    if not _RETRIES.fullmatch(text) or len(text) > 20 or int(text) > _MAX_RETRIES:
        offset = flags.given["retries"][-1].offset
        writing.fault(offset, f"flag --retries: invalid number {quoted(text)}", f"use 0 to {_MAX_RETRIES}")
        return 0
    return int(text)


# ---------------------------------------------------------------------------- ONBUILD


def _read_onbuild(writing: Writing) -> Onbuild:
    writing.flags()
    parts = forms.split_instruction(writing.arguments.text, writing.escape, writing.arguments.offset)
    name = parts.keyword.text.upper()
    if not name:
        raise writing.stop("ONBUILD has no instruction", "write ONBUILD INSTRUCTION ARGUMENTS")
    if name in ("ONBUILD", "FROM", "MAINTAINER"):
        raise writing.stop(
            f"{name} cannot be a trigger of ONBUILD", "use another instruction", parts.keyword.offset
        )
    read(writing.inner(parts))
    heredocs = "".join(f"\n{found.content}{found.word.name}" for found in writing.heredocs)
    # as it stands, blanks at its end included: the image's configuration has it, and so a part in its id
    return Onbuild(writing.at, writing.text, writing.line.text[writing.arguments.offset :] + heredocs)


_TABLE: Mapping[str, Callable[[Writing], Instruction | From]] = {
    "ADD": read_add,
    "ARG": _read_arg,
    "CMD": _read_cmd,
    "COPY": read_copy,
    "ENTRYPOINT": _read_entrypoint,
    "ENV": _read_env,
    "EXPOSE": _read_expose,
    "FROM": read_from,
    "HEALTHCHECK": _read_healthcheck,
    "LABEL": _read_label,
    "MAINTAINER": _read_maintainer,
    "ONBUILD": _read_onbuild,
    "RUN": read_run,
    "SHELL": _read_shell,
    "STOPSIGNAL": _read_stopsignal,
    "USER": _read_user,
    "VOLUME": _read_volume,
    "WORKDIR": _read_workdir,
}


def read(writing: Writing) -> Instruction | From:
    """Return an instruction by its type. Raises Stop when it has none; its faults are reported."""
    function = _TABLE.get(writing.name)
    if function is None:
        raise writing.stop(
            f"unknown instruction {quoted(writing.parts.keyword.text)}", did_you_mean(writing.name, _TABLE)
        )
    return function(writing)
