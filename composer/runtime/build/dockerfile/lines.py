"""A file cut into logical lines: continued lines joined, comments and blank lines left out, heredocs read.

A logical line still knows the place of each of its characters in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile import directives, forms, heredocs
from composer.runtime.build.dockerfile.words import BLANKS
from composer.runtime.build.spaces import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from composer.runtime.build.dockerfile.heredocs import HeredocWord

_LEADING_BLANKS = pattern(f"[{BLANKS}]*")


class RawHeredoc(NamedTuple):
    """A heredoc with its content as it stands in the file."""

    word: HeredocWord
    content: str


class LogicalLine(NamedTuple):
    """An instruction's text on one line. ``starts`` are the offsets at which its physical lines begin.

    ``places`` are their lines and columns. ``comments`` are those right above; ``last`` is the last line with heredocs.
    """

    text: str
    starts: Sequence[int]
    places: Sequence[tuple[int, int]]
    last: int
    comments: tuple[str, ...] = ()
    heredocs: tuple[RawHeredoc, ...] = ()
    empty_continuation: int = 0
    """The line on which an instruction ends that has blank lines inside; 0 where it has none."""

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and the column of a character."""
        index = max(0, bisect_right(self.starts, offset) - 1)
        line, column = self.places[index]
        return line, column + offset - self.starts[index]


class LineReader:
    """Reads logical lines. ``report`` gets the line, the column, a message and a hint of each fault.

    ``values`` of directives are complete once the first logical line was read.
    """

    def __init__(self, lines: Sequence[str], report: Callable[[int, int, str, str | None], None]) -> None:
        self.values: dict[str, str] = {}
        self.lines = lines
        self.escape = "\\"
        self._report = report
        self._next = 0
        self._comments: list[str] = []
        self._reads_directives = True

    def __iter__(self) -> Iterator[LogicalLine]:
        while self._next < len(self.lines):
            number = self._next + 1
            line, column = self._stripped(self.lines[self._next])
            self._next += 1
            if self._is_directive(line, number):
                continue
            if line.startswith("#"):
                self._remember(line)
            elif line:
                yield self._logical(line, number, column)
                self._comments = []

    def directive_line(self, name: str) -> int:
        """Return the line of a directive; they are the first ones of a file."""
        return list(self.values).index(name) + 1

    def _stripped(self, line: str) -> tuple[str, int]:
        line = line.rstrip("\r\n")
        blanks = _LEADING_BLANKS.match(line)
        start = blanks.end() if blanks else 0
        return line[start:], start + 1

    def _remember(self, line: str) -> None:
        comment = strip(line[1:])
        if comment:
            self._comments.append(comment)
        else:
            self._comments = []

    def _is_directive(self, line: str, number: int) -> bool:
        """Take a directive. Behind the first line that is none, all of them are comments."""
        found = directives.directive(line) if self._reads_directives else None
        if found is None:
            self._reads_directives = False
            return False
        name, value = found
        if name in self.values:
            self._report(number, 1, f"directive '{name}' is used twice", "remove one of them")
            return True
        self.values[name] = value
        if name == "escape":
            if value in ("\\", "`"):
                self.escape = value
            else:
                self._report(number, 1, f"unknown escape character '{value[:20]}'", "use \\ or `")
        return True

    def _continued(self, line: str) -> tuple[str, bool]:
        """Return a line without its escape character at the end, and whether there was one; a doubled one is none."""
        text = line.rstrip(" \t")
        if text.endswith(self.escape) and text[-2:-1] != self.escape:
            return text[:-1], True
        return line, False

    def _logical(self, line: str, number: int, column: int) -> LogicalLine:
        text, is_continued = self._continued(line)
        pieces, starts, places = [text], [0], [(number, column)]
        length, has_blank = len(text), False
        while is_continued and self._next < len(self.lines):
            line = self.lines[self._next].rstrip("\r\n")
            self._next += 1
            stripped, _ = self._stripped(line)
            if not stripped or stripped.startswith("#"):
                has_blank |= not stripped
                continue
            text, is_continued = self._continued(line)
            pieces.append(text)
            starts.append(length)
            places.append((self._next, 1))
            length += len(text)
        whole = "".join(pieces)
        ended = self._next
        return LogicalLine(
            whole,
            starts,
            places,
            heredocs=tuple(self._heredocs(whole, number)),
            last=self._next,
            comments=tuple(self._comments),
            empty_continuation=ended if has_blank else 0,
        )

    def _heredocs(self, text: str, number: int) -> Iterator[RawHeredoc]:
        if "<<" not in text or not forms.takes_heredocs(text, self.escape):
            return
        for word in heredocs.heredoc_words(text):
            content = self._content(word)
            if content is None:
                self._report(
                    number,
                    1,
                    f"heredoc '{word.name[:80]}' has no end",
                    f"end it with a line that is {word.name[:80]} alone",
                )
                self._next = len(self.lines)
                return
            yield RawHeredoc(word, content)

    def _content(self, word: HeredocWord) -> str | None:
        """Return what stands up to the line that ends a heredoc; None where no line does."""
        start = self._next
        for index in range(start, len(self.lines)):
            line = self.lines[index].rstrip("\r\n")
            if (line.lstrip("\t") if word.chomps else line) == word.name:
                self._next = index + 1
                return "".join(f"{line}\n" for line in self.lines[start:index])
        return None
