"""Command lines played in a row on small projects, and what two players of them printed, compared.

A session is a list of lines (project, command) over a few projects. What a line printed is compared after ids,
times and sizes were replaced; of standard error, the lines count, not their order, for both sides work in parallel.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TIMEOUT_S = 120


class Line(NamedTuple):
    project: str
    command: str


class Printed(NamedTuple):
    code: int
    out: str
    err: str


class Player(NamedTuple):
    """A command that plays lines, and the environment it has beside the machine's."""

    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = {}


def play(player: Player, projects: Mapping[str, str], lines: Iterable[Line]) -> list[Printed]:
    """Play lines, each without a terminal and with an empty input; every project is taken down at its end."""
    printed = []
    with tempfile.TemporaryDirectory(prefix="composer-session-") as directory:
        work = pathlib.Path(directory)
        for name, text in projects.items():
            (work / name).mkdir()
            (work / name / "compose.yaml").write_text(text)
        before = None
        for line in lines:
            if before not in (None, line.project):
                _start(player, work / str(before), "down -v --remove-orphans -t 0")
            before = line.project
            printed.append(_start(player, work / line.project, line.command))
        if before is not None:
            _start(player, work / before, "down -v --remove-orphans -t 0")
        return [
            Printed(one.code, one.out.replace(directory, "$W"), one.err.replace(directory, "$W"))
            for one in printed
        ]


def _start(player: Player, folder: pathlib.Path, command: str) -> Printed:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    done = subprocess.run(
        [*player.command, *shlex.split(command)], cwd=folder, env=kept | dict(player.environment),
        stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    return Printed(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


class Verdict(NamedTuple):
    code: bool
    out: bool
    err: bool


def compare(wanted: Printed, got: Printed) -> Verdict:
    return Verdict(
        wanted.code == got.code,
        out_lines(wanted.out) == out_lines(got.out),
        err_lines(wanted.err) == err_lines(got.err),
    )


_WORN = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-9a-f]{64}\b|\$ID64"), "$ID"),
    (re.compile(r"\b[0-9a-f]{12}\b|\$ID12"), "$ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(Z| ?[+-]\d\d:?\d\d( \w+)?)?|\$TIME"), "$TIME"),
    (re.compile(r"\b(About an?|Less than an?|\d+) (second|minute|hour|day|week|month|year)s?( ago)?|\$AGO"), "$AGO"),
    (re.compile(r"\b\d+(\.\d+)?s\b|\$SECS"), "$SECS"),
    (re.compile(r"\b\d+(\.\d+)?[kMG]?B\b"), "$SIZE"),
    (re.compile(r'level=warning msg="(.*)"'), r"warning: \1"),
)  # fmt: skip


def worn(text: str) -> str:
    """Replace what differs from one run to the next."""
    for pattern, replacement in _WORN:
        text = pattern.sub(replacement, text)
    return text


def out_lines(text: str) -> list[str]:
    """Return the lines of standard output; objects with sorted keys, columns with one space between them."""
    return [_object(line) or " ".join(worn(line).split()) for line in text.splitlines() if line.strip()]


def _object(line: str) -> str | None:
    if not line.startswith(("{", "[")):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if isinstance(value, dict) and isinstance(labels := value.get("Labels"), str):
        value["Labels"] = ",".join(sorted(labels.split(",")))
    return worn(json.dumps(value, sort_keys=True))


def err_lines(text: str) -> list[str]:
    """Return the lines of standard error, each once, sorted, without our prefix, our remedies and causes."""
    found = set()
    for raw in text.splitlines():
        line = " ".join(worn(raw).split())
        line = line.removeprefix("error: ").removeprefix("warning: ")
        if line and not line.startswith(("hint: ", "at ")):
            found.add(line)
    return sorted(found)


def report(lines: Sequence[Line], wanted: Sequence[Printed], got: Sequence[Printed]) -> str:
    """Return what differs, a paragraph for each line that does."""
    text = []
    for line, theirs, ours in zip(lines, wanted, got, strict=True):
        verdict = compare(theirs, ours)
        if all(verdict):
            continue
        text.append(f"{line.project} $ {line.command}")
        if not verdict.code:
            text.append(f"    exit {theirs.code}, here {ours.code}")
        for name, equal, read in (("out", verdict.out, out_lines), ("err", verdict.err, err_lines)):
            if not equal:
                a, b = read(getattr(theirs, name)), read(getattr(ours, name))
                text += [f"    {name} - {one}" for one in a if one not in b]
                text += [f"    {name} + {one}" for one in b if one not in a]
                if sorted(a) == sorted(b):
                    text.append(f"    {name}: another order: {b}")
    return "\n".join(text)
