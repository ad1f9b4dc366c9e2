"""Collects the faults of one Dockerfile, so that all are reported at once, each with its line and a caret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import DockerfileInvalid, Fault, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_FAULTS = 100
"""A file that is no Dockerfile is wrong in every line; nobody reads more."""

_MAX_QUOTED = 80
_MAX_WIDTH = 120
_MAX_COLUMN = 90
_BEFORE_CARET = 60


class Faults:
    """The faults of the file at ``path``; ``lines`` are its lines."""

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self._path, self._lines = path, lines
        self._found: list[Fault] = []

    def add(self, line: int, column: int, message: str, hint: str | None = None) -> None:
        """Report a fault at a line and a column, which count from 1."""
        if len(self._found) >= MAX_FAULTS:
            return
        mark = Mark(printable(self._path), line, column)
        fault = Fault(mark, message, hint, self._excerpt(line, column))
        if fault not in self._found:
            self._found.append(fault)

    def raise_all(self) -> None:
        """Raise DockerfileInvalid when there are any."""
        if self._found:
            raise DockerfileInvalid(tuple(sorted(self._found, key=lambda fault: fault.at[1:3])))

    def _excerpt(self, line: int, column: int) -> str:
        if not 0 < line <= len(self._lines):
            return ""
        text, before = self._lines[line - 1], column - 1
        if before > _MAX_COLUMN:
            text, before = "…" + text[before - _BEFORE_CARET : before + _MAX_WIDTH], _BEFORE_CARET + 1
        text = printable(text[:_MAX_WIDTH]).rstrip()
        gutter = f"{line:>5} | "
        return f"{gutter}{text}\n{' ' * (len(gutter) - 2)}| {' ' * before}^"


def printable(text: str) -> str:
    """Return a text of one line in which each character takes one place and does nothing to a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def quoted(text: str) -> str:
    """Return a part of the file for a message."""
    text = printable(text)
    return f"'{text[:_MAX_QUOTED]}…'" if len(text) > _MAX_QUOTED else f"'{text}'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a wrong one is most like, or None when none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word[:_MAX_QUOTED], sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint with the nearest known word, or with all of them when none is near."""
    names = sorted(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"use one of {', '.join(names)}" if names else None
