"""One instruction on its way from text to a type: its parts, its flags, and the faults that are found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.dockerfile import forms
from composer.runtime.build.dockerfile.directives import parse_bool
from composer.runtime.build.dockerfile.faults import did_you_mean, quoted
from composer.runtime.build.dockerfile.instructions import Command, Place
from composer.runtime.build.spaces import strip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.runtime.build.dockerfile.faults import Faults
    from composer.runtime.build.dockerfile.forms import Split, Token
    from composer.runtime.build.dockerfile.lines import LogicalLine, RawHeredoc

BOOL, TEXT, TEXTS = "bool", "text", "texts"
"""Kinds of flags: ``TEXTS`` may be given several times."""


_MAX_BETWEEN = 80
"""Characters that may come before a text in what its place is looked for: a flag's name, blanks in a JSON array."""


class Stop(Exception):
    """The instruction has a fault, which is reported, and no value."""


class Flags(NamedTuple):
    """The flags of an instruction, each with the place of its value."""

    given: Mapping[str, Sequence[Token]]

    def text(self, name: str) -> str:
        return self.given[name][-1].text if name in self.given else ""

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(token.text for token in self.given.get(name, ()))

    def boolean(self, name: str) -> bool | None:
        """Return what was said, None where nothing was."""
        return parse_bool(self.given[name][-1].text.lower()) if name in self.given else None


class Writing:
    """An instruction as written. Offsets are those in the logical line."""

    def __init__(self, line: LogicalLine, parts: Split, escape: str, faults: Faults) -> None:
        self.line, self.parts, self.escape = line, parts, escape
        self.name = parts.keyword.text.upper()
        self.arguments = parts.arguments
        self._faults = faults

    @property
    def at(self) -> Place:
        line, column = self.line.place(self.parts.keyword.offset)
        return Place(line, column, self.line.last)

    @property
    def text(self) -> str:
        return strip(self.line.text[self.parts.keyword.offset + len(self.parts.keyword.text) :])

    @property
    def heredocs(self) -> tuple[RawHeredoc, ...]:
        return self.line.heredocs

    def fault(self, offset: int, message: str, hint: str | None = None) -> None:
        """Report a fault, and go on to find others."""
        self._faults.add(*self.line.place(offset), message, hint)

    def stop(self, message: str, hint: str | None = None, offset: int | None = None) -> Stop:
        """Report a fault that leaves the instruction without a value; at its keyword, unless an offset is given."""
        self.fault(self.parts.keyword.offset if offset is None else offset, message, hint)
        return Stop()

    def inner(self, parts: Split) -> Writing:
        """Return the instruction within this one: the trigger of ONBUILD."""
        return Writing(self.line, parts, self.escape, self._faults)

    def flags(self, known: Mapping[str, str] = {}) -> Flags:
        """Return the flags of an instruction that knows these, by kind. Wrong ones are reported and left out."""
        given: dict[str, list[forms.Token]] = {}
        for flag in self.parts.flags:
            name, equals, value = flag.text[2:].partition("=")
            if name not in known:
                names = [f"--{each}" for each in known]
                remedy = did_you_mean(f"--{name}", names) if names else f"{self.name} has no flags"
                self.fault(flag.offset, f"unknown flag {quoted(f'--{name}')}", remedy)
            elif problem := _flag_problem(f"--{name}", known[name], value, bool(equals), name in given):
                self.fault(flag.offset, *problem)
            else:
                token = forms.Token(value if equals or known[name] != BOOL else "true", flag.offset)
                given.setdefault(name, []).append(token)
        return Flags(given)

    def inside(self, token: Token, part: str) -> int:
        """Return the offset of a part of a token; the token's own where quotes have changed the part."""
        end = token.offset + 2 * len(token.text) + _MAX_BETWEEN
        found = self.line.text.find(part, token.offset, end) if part else -1
        return token.offset if found < 0 else found

    def command(self) -> Command:
        """Return the arguments in exec form, or else as one word for the shell."""
        words = self.exec_form(self.arguments)
        return Command((self.arguments.text,)) if words is None else Command(words, is_exec=True)

    def exec_form(self, token: Token) -> tuple[str, ...] | None:
        """Return a JSON array of strings, or None where the text is none; other elements are a fault."""
        try:
            return forms.exec_form(token.text)
        except forms.NotStrings as error:
            raise self.stop(str(error), "put each element into double quotes", token.offset) from None

    def list_of_words(self) -> list[Token]:
        """Return the arguments: a JSON array, or words between blanks."""
        found = self.exec_form(self.arguments)
        if found is None:
            return forms.blank_separated(self.arguments.text, self.arguments.offset)
        words, position = [], self.arguments.offset
        for word in found:
            at = self.line.text.find(word, position, position + 2 * len(word) + _MAX_BETWEEN)
            position = position if at < 0 else at
            words.append(forms.Token(word, position))
            position += len(word)
        return words


def _flag_problem(
    name: str, kind: str, value: str, has_value: bool, is_given: bool
) -> tuple[str, str | None] | None:
    if is_given and kind != TEXTS:
        return f"flag {name} is given twice", "remove one of them"
    if kind != BOOL:
        return None if has_value else (f"flag {name} has no value", f"write {name}=VALUE")
    if has_value and value.lower() not in ("true", "false"):
        return f"invalid boolean {quoted(value)} for flag {name}", f"write {name} or {name}=false"
    return None
