"""Collects the errors and warnings of one load, so that all are reported at once.

A pass reports and goes on with `INVALID` (or without the node); only `Problems.raise_all` raises. The source
line and the caret are attached to each error as an exception note, so that they survive without the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ConfigError, CycleError, Mark, ProjectInvalid
from composer.schema.model import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.schema.tree import Path

MAX_ERRORS = 200
"""A hostile file can be wrong in every node; nobody reads more."""


class Problems:
    """Errors and warnings of one load. ``sources`` maps the file names in marks to their text."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.notices: list[Notice] = []
        self.sources: dict[str, str] = {}
        self.order: dict[str, int] = {}
        self.compose_files: set[str] = set()
        """Those of ``sources`` that are compose files; the others are env files."""
        self._openers: dict[str, Mark] = {}
        self._lines: dict[str, list[str]] = {}
        self._seen: set[tuple[str, Mark | None]] = set()

    def read(self, file: str, text: str) -> None:
        """Remember a source file, for excerpts and for the order of errors."""
        self.sources[file] = text
        self.order.setdefault(file, len(self.order))

    def opened(self, file: str, at: Mark | None) -> None:
        """Remember which place brought a file in; the first one counts."""
        if at is not None and at.file and at.file != file:
            self._openers.setdefault(file, at)

    def chain(self, file: str) -> tuple[Mark, ...]:
        """Return the places that led to a file, the nearest first: what included or extended it, and so on."""
        found: list[Mark] = []
        while (at := self._openers.get(file)) is not None and at not in found:
            found.append(at)
            file = at.file
        return tuple(found)

    def error(
        self,
        message: str,
        at: Mark | None = None,
        path: Path = (),
        *,
        hint: str | None = None,
        kind: type[ConfigError] = ConfigError,
        chain: tuple[Mark, ...] = (),
    ) -> None:
        """Report an error, once per place and text."""
        message = message.replace("\n", "\\n")  # of a value that it quotes: an error is one line first
        at = at if at and (at.file or at.why) else None
        if (message, at) in self._seen or len(self.errors) >= MAX_ERRORS:
            return
        self._seen.add((message, at))
        self.errors.append(kind(message, at=at, path=path, hint=hint, chain=chain))

    def warn(
        self, message: str, at: Mark | None = None, *, hint: str | None = None, rule: str = "loading"
    ) -> None:
        """Report a warning, once per text."""
        if (message, None) not in self._seen:
            self._seen.add((message, None))
            self.notices.append(Notice(message, at if at and at.file else None, hint, rule))

    def within(self, path: Path) -> bool:
        """Tell whether an error was reported at ``path`` or below it."""
        return any(error.path[: len(path)] == path for error in self.errors)

    def elsewhere(self, file: str, attributes: tuple[str, ...]) -> bool:
        """Tell whether one of these attributes of some service was found to be wrong in another file."""
        return any(
            error.path[2:3] and error.path[2] in attributes and error.at is not None and error.at.file != file
            for error in self.errors
        )

    def suggested(self, path: Path, words: tuple[str, ...]) -> bool:
        """Tell whether the remedy of an error below ``path`` names one of these words already."""
        return any(
            error.path[: len(path)] == path and any(word in error.hint for word in words)
            for error in self.errors
            if error.hint
        )

    def raise_all(self) -> None:
        """Raise ProjectInvalid when there are errors, in the order of files and lines."""
        if not self.errors:
            return
        last = len(self.order)

        def position(error: ConfigError) -> tuple[int, int, int]:
            at = error.at
            return (self.order.get(at.file, last), at.line, at.column) if at else (last + 1, 0, 0)

        errors = sorted(self.errors, key=position)
        for error in errors:
            if error.at is not None and not isinstance(error, CycleError):
                last_file = error.chain[-1].file if error.chain else error.at.file
                error.chain = (*error.chain, *self.chain(last_file))
            excerpt = self.excerpt(error.at)
            if excerpt and not getattr(error, "__notes__", None):
                error.add_note(excerpt)
        raise ProjectInvalid(tuple(errors))

    def excerpt(self, at: Mark | None) -> str:
        """Return the source line of a mark with a caret under its column; empty when there is none."""
        if at is None or not at.line or at.file not in self.sources:
            return ""
        lines = self._lines.get(at.file)
        if lines is None:
            lines = self._lines[at.file] = self.sources[at.file].splitlines()
        if at.line > len(lines):
            return ""
        line, column = lines[at.line - 1], at.column - 1
        if column > 90:
            line, column = "…" + line[column - 60 :], 61
        line = "".join(char if char.isprintable() else " " for char in line[:120])
        gutter = f"{at.line:>5} | "
        return f"{gutter}{line}\n{' ' * (len(gutter) - 2)}| {' ' * column}^"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the nearest known word, or None when none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else None
