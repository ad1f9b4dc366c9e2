"""The border where texts of others reach a terminal: the name of an image or of a file may be a command to it.

`Safe` is a stream: whatever is written to it has its control characters shown (``\\x1b``), so that no caller can
forget to. Our own colours and cursor movements pass by a mark that nobody else can know, see `paint`. Only what a
container itself prints is passed on as it is, by ``raw``, as Docker passes it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO, TextIO

# C0 and DEL, C1 (0x9b is an escape sequence's begin by itself), what turns the direction of text around (a name that
# reads as another), and halves of surrogate pairs: bytes that are no UTF-8, which no stream can encode.
# They are compiled where something has to be shown: most commands write nothing such, and it takes 2 ms.
_OF_A_TEXT = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_OF_A_LINE = "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_NAMES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}

ESCAPE = f"\ufdd0{os.urandom(8).hex()}\ufdd0"
"""Stands for the escape character in what we write ourselves."""


def text(value: str) -> str:
    """Show the control characters of a text of any number of lines."""
    if value.replace("\n", "").isprintable():
        return value
    return re.sub(_OF_A_TEXT, _shown, value)


def line(value: str) -> str:
    """Show the control characters of what has to stay on one line, ends of lines included."""
    if value.isprintable():
        return value
    return re.sub(_OF_A_LINE, _shown, value)


def _shown(match: re.Match[str]) -> str:
    character = match[0]
    # the second form is one of JSON's too: a document stays what it is
    return _NAMES.get(character) or (
        f"\\x{ord(character):02x}" if character < "\x7f" else f"\\u{ord(character):04x}"
    )


def paint(code: str, value: str) -> str:
    """Return a text in a colour, for a `Safe` stream."""
    return f"{ESCAPE}[{code}m{value}{ESCAPE}[0m"


class Safe:
    """A text stream in front of another, ``raw``."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    @property
    def buffer(self) -> BinaryIO:
        return self.raw.buffer

    def write(self, value: str) -> int:
        return self.raw.write(text(value).replace(ESCAPE, "\x1b"))

    def document(self, value: str) -> None:
        """Write what other programs read: as it is where no terminal shows it."""
        if self.raw.isatty():
            self.write(value)
        else:
            self.raw.write(value)

    def control(self, sequence: str) -> None:
        """Write a sequence of ours as it is: no text of others in it."""
        self.raw.write(sequence)

    def flush(self) -> None:
        self.raw.flush()

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()


def safe(stream: TextIO | Safe) -> Safe:
    """Return a stream as a safe one."""
    return stream if isinstance(stream, Safe) else Safe(stream)
