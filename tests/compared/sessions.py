"""Command lines played in a row on small projects, and what two players of them printed, compared.

What a line printed is compared after ids, times and sizes were replaced. Of standard error the lines count and not
their order, for both sides work in parallel; a line of ours may go on where theirs ends, and what is indented below
it is ours.
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


def play(player: Player, projects: Mapping[str, Mapping[str, str]], lines: Iterable[Line]) -> list[Printed]:
    """Play lines, each without a terminal and with an empty input; every project is taken down at its end.

    ``projects`` has the texts of each project's files, by name.
    """
    printed = []
    with tempfile.TemporaryDirectory(prefix="composer-session-") as directory:
        work = pathlib.Path(directory)
        for name, files in projects.items():
            (work / name).mkdir()
            for file, text in files.items():
                (work / name / file).write_text(text)
        before = None
        for line in lines:
            if before not in (None, line.project):
                _clear(player, work / str(before))
            before = line.project
            printed.append(_start(player, work / line.project, line.command))
        if before is not None:
            _clear(player, work / before)
        return [
            Printed(one.code, one.out.replace(directory, "$W"), one.err.replace(directory, "$W"))
            for one in printed
        ]


def _clear(player: Player, folder: pathlib.Path) -> None:
    _start(player, folder, f"-p {folder.name} --profile * down -v --remove-orphans -t 0")


def _start(player: Player, folder: pathlib.Path, command: str) -> Printed:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    done = subprocess.run(
        [*player.command, *shlex.split(command)], cwd=folder, env=kept | dict(player.environment),
        stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    return Printed(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


# ------------------------------------------------------------------ comparing


class Differences(NamedTuple):
    """What differs: two exit codes, and lines that one side alone has (``- theirs``, ``+ ours``)."""

    code: tuple[str, ...]
    out: tuple[str, ...]
    err: tuple[str, ...]

    def all(self) -> tuple[str, ...]:
        return (*self.code, *(f"out {one}" for one in self.out), *(f"err {one}" for one in self.err))


def compare(wanted: Printed, got: Printed) -> Differences:
    return Differences(
        () if wanted.code == got.code else (f"exit {wanted.code}, here {got.code}",),
        _of_out(out_lines(wanted.out), out_lines(got.out)),
        _of_err(err_lines(wanted.err), err_lines(got.err)),
    )


def _of_out(wanted: list[str], got: list[str]) -> tuple[str, ...]:
    if wanted == got:
        return ()
    if sorted(wanted) == sorted(got):
        return ("another order",)
    return (
        *(f"- {one}" for one in wanted if one not in got),
        *(f"+ {one}" for one in got if one not in wanted),
    )


def _of_err(wanted: list[str], got: list[str]) -> tuple[str, ...]:
    missing = [one for one in wanted if not any(_says(ours, one) for ours in got)]
    besides = [ours for ours in got if not any(_says(ours, one) for one in wanted)]
    return (*(f"- {one}" for one in missing), *(f"+ {one}" for one in besides))


def _says(ours: str, theirs: str) -> bool:
    return ours == theirs or (
        ours.startswith(theirs) and ours[len(theirs) :].startswith((": ", " (", ", ", "; "))
    )


_WORN = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-9a-f]{64}\b|\$ID64"), "$ID"),
    (re.compile(r"\b[0-9a-f]{12}\b|\$ID12"), "$ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(Z| ?[+-]\d\d:?\d\d( \w+)?)?|\$TIME"), "$TIME"),
    (re.compile(r"\b(About an?|Less than an?|\d+) (second|minute|hour|day|week|month|year)s?( ago)?|\$AGO"), "$AGO"),
    (re.compile(r"\b\d+(\.\d+)?s\b|\$SECS"), "$SECS"),
    (re.compile(r"\b\d+(\.\d+)?[kMG]?B\b"), "$SIZE"),
    (re.compile(r"^(time=\S+ )?level=warning msg=(\"|')(.*)\2$"), r"\3"),
)  # fmt: skip
_OURS = re.compile(r"^(error|warning): |^\S+:\d+:\d+: ")
_COUNT = re.compile(r"\d+ errors")
_OWN_LABELS = ("composer.", "com.docker.compose.version=")


def worn(text: str) -> str:
    """Replace what differs from one run to the next."""
    for pattern, replacement in _WORN:
        text = pattern.sub(replacement, text)
    return text


def out_lines(text: str) -> list[str]:
    """Return the lines of standard output; objects with sorted keys, columns with one space between them."""
    return [_object(line) or " ".join(worn(line).split()) for line in _whole(text) if line.strip()]


def _whole(text: str) -> list[str]:
    """Return the lines of a text; a JSON document over several lines is one."""
    if text.startswith(("{\n", "[\n")):
        try:
            return [json.dumps(json.loads(text))]
        except ValueError:
            pass
    return text.splitlines()


def _object(line: str) -> str | None:
    if not line.startswith(("{", "[")):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if isinstance(value, dict) and isinstance(labels := value.get("Labels"), str):
        known = re.split(r",(?=[\w.-]+=)", labels)
        value["Labels"] = ",".join(sorted(one for one in known if not one.startswith(_OWN_LABELS)))
    return worn(json.dumps(value, sort_keys=True))


def err_lines(text: str) -> list[str]:
    """Return the lines of standard error, each once, sorted, without our prefixes, causes and remedies."""
    found = set()
    for raw in text.splitlines():
        if raw.startswith(("  ", "\t")):
            continue
        line = " ".join(worn(raw).replace('\\"', '"').split())
        while _OURS.match(line):
            line = _OURS.sub("", line)
        if line and not _COUNT.fullmatch(line):
            found.add(line)
    return sorted(found)


# ------------------------------------------------------------------ reasons


class Reason(NamedTuple):
    """Why lines may differ: patterns of the project, the command and the differing lines."""

    why: str
    lines: re.Pattern[str]
    commands: re.Pattern[str]
    projects: re.Pattern[str]
    players: re.Pattern[str]

    @classmethod
    def of(cls, entry: Mapping[str, str]) -> Reason:
        """Read one of the table: ``why`` and regular expressions, which have to match from begin to end."""
        patterns = (
            re.compile(entry.get(key, ".*"), re.DOTALL)
            for key in ("lines", "commands", "projects", "players")
        )
        return cls(entry["why"], *patterns)

    def explains(self, player: Player, line: Line, difference: str) -> bool:
        return bool(
            self.lines.fullmatch(difference)
            and self.commands.fullmatch(line.command)
            and self.projects.fullmatch(line.project)
            and self.players.fullmatch(player.title)
        )


class Result(NamedTuple):
    """How many of the lines are equal, how many differ for a reason; and what differs without one."""

    player: str
    lines: int
    codes: int
    outs: int
    errs: int
    unexplained: tuple[str, ...]
    used: frozenset[str]
    explained: tuple[str, ...]

    def summary(self) -> str:
        return (
            f"{self.player}: of {self.lines} command lines the exit code is equal for {self.codes}, standard output "
            f"for {self.outs}, the lines of standard error for {self.errs}; without a reason: {len(self.unexplained)}"
        )


def judge(
    player: Player,
    lines: Sequence[Line],
    wanted: Sequence[Printed],
    got: Sequence[Printed],
    reasons: Sequence[Reason],
) -> Result:
    found = [compare(*pair) for pair in zip(wanted, got, strict=True)]
    unexplained: list[str] = []
    explained: list[str] = []
    used = set()
    for line, differences in zip(lines, found, strict=True):
        for one in differences.all():
            reason = next((reason for reason in reasons if reason.explains(player, line, one)), None)
            said = f"{line.project} $ {line.command}: {one}"
            if reason is None:
                unexplained.append(said)
            else:
                used.add(reason.why)
                explained.append(f"{said}  [{reason.why}]")
    return Result(
        player.title,
        len(lines),
        sum(not one.code for one in found),
        sum(not one.out for one in found),
        sum(not one.err for one in found),
        tuple(unexplained),
        frozenset(used),
        tuple(explained),
    )
