"""Env files: ``.env``, ``--env-file`` and services' ``env_file``.

The grammar is that of Compose, not of a shell: ``KEY=value``, ``KEY: value``, bare ``KEY`` (taken from the
surroundings), single quotes literal, double quotes with escapes, ``${…}`` outside single quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ConfigError, Mark
from composer.patterns import pattern
from composer.schema.interpolate import MAX_TEMPLATES, TemplateError, substitute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lookup = Callable[[str], str | None]

MAX_CHARS = 32 << 20
"""How much the values of one file may become by interpolation."""

_ESCAPES = {"a": "\a", "b": "\b", "c": "\\c", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


_OCTAL = pattern(r"0([0-9]{0,3})")


class EnvValue(str):
    """A value of an env file that remembers its line."""

    __slots__ = ("line",)
    line: int


def parse_env(
    text: str,
    file: str,
    lookup: Lookup,
    warn: Callable[[str, Mark], None] | None = None,
    earlier: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the variables of an env file, in order. Raises ConfigError at the line that is wrong.

    ``${…}`` asks ``lookup``, then the file's own keys above it, then ``earlier`` files.
    """
    return _Parser(
        text.removeprefix("\ufeff").replace("\r\n", "\n"), file, lookup, warn, earlier or {}
    ).parse()


def parse_raw(text: str, file: str, lookup: Lookup) -> dict[str, str]:
    """Return the variables of a ``format: raw`` file: everything after ``=`` is the value, as it stands."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        key = key.lstrip(" \t")
        if not key or " " in key or "\t" in key:
            raise ConfigError(
                f"invalid variable name '{key}'",
                at=Mark(file, number, 1),
                hint="use KEY=value, without spaces around '='",
            )
        if equals:
            found[key] = _placed(value, number)
        else:
            inherited = lookup(key)
            if inherited is not None:
                found[key] = _placed(inherited, number)
    return found


def _placed(value: str, line: int) -> str:
    placed = EnvValue(value)
    placed.line = line
    return placed


class _Parser:
    def __init__(
        self,
        text: str,
        file: str,
        lookup: Lookup,
        warn: Callable[[str, Mark], None] | None,
        earlier: Mapping[str, str],
    ) -> None:
        self._text = text
        self._file = file
        self._lookup = lookup
        self._warn = warn
        self._earlier = earlier
        self._position = 0
        self._counted = (0, 1)
        self._size = self._read = 0
        self._found: dict[str, str] = {}

    def parse(self) -> dict[str, str]:
        while self._skip_blank():
            start = self._line()
            key, inherited = self._key()
            if inherited:
                value = self._lookup(key)
                if value is not None:
                    self._found[key] = _placed(value, start)
                continue
            self._found[key] = _placed(self._value(), start)
        return self._found

    def _line(self) -> int:
        """Return the line of the position; counts on from where it counted last."""
        position, line = self._counted
        if self._position < position:
            position, line = 0, 1
        line += self._text.count("\n", position, self._position)
        self._counted = (self._position, line)
        return line

    def _fail(self, message: str, *, line: int | None = None, hint: str | None = None) -> ConfigError:
        if line is not None:
            return ConfigError(message, at=Mark(self._file, line, 1), hint=hint)
        column = self._position - (self._text.rfind("\n", 0, self._position) + 1) + 1
        return ConfigError(message, at=Mark(self._file, self._line(), column), hint=hint)

    def _skip_blank(self) -> bool:
        """Move to the next statement; False at the end."""
        text, end = self._text, len(self._text)
        while self._position < end:
            if text[self._position].isspace():
                self._position += 1
            elif text[self._position] == "#":
                newline = text.find("\n", self._position)
                if newline < 0:
                    return False
                self._position = newline
            else:
                return True
        return False

    def _key(self) -> tuple[str, bool]:
        """Return the name, and whether it stands alone. Afterwards the position is at the value."""
        text = self._text
        if text.startswith("export", self._position) and text[self._position + 6 : self._position + 7] in (
            " ",
            "\t",
        ):
            self._position += 6
            while text[self._position : self._position + 1] in (" ", "\t"):
                self._position += 1
        start = self._position
        for index in range(start, len(text)):
            char = text[index]
            if char in "=:":
                key = text[start:index].rstrip()
                self._position = index + 1
                self._check_key(key)
                while text[self._position : self._position + 1] in (" ", "\t"):
                    self._position += 1
                return key, False
            if char == "\n":
                key = text[start:index].strip()
                self._position = index + 1
                self._check_key(key)
                return key, True
            if not (char.isalnum() or char in "_.-[] \t"):
                self._position = index
                line = text[start : text.find("\n", start) if "\n" in text[start:] else len(text)]
                raise self._fail(
                    f"unexpected character '{char}' in variable name '{line}'",
                    hint="use only letters, digits, '_', '.' and '-', without quotes",
                )
        # the last line, without a newline: to Compose it is the value of a variable without a name
        if start == len(text):
            raise self._fail("'export' without a variable", hint="use export KEY=value")
        self._position = start
        return "", False

    def _check_key(self, key: str) -> None:
        if " " in key:
            raise self._fail("a variable name cannot contain a space", hint="use KEY=value")

    def _value(self) -> str:
        quote = self._text[self._position : self._position + 1]
        if quote in ("'", '"'):
            return self._quoted(quote)
        newline = self._text.find("\n", self._position)
        end = newline if newline >= 0 else len(self._text)
        value = self._text[self._position : end]
        line = self._line()
        self._position = end
        comment = _comment(value)
        return self._interpolate(value[:comment].rstrip(), line)

    def _quoted(self, quote: str) -> str:
        start_line = self._line()
        position = start = self._position + 1
        while True:
            position = self._text.find(quote, position)
            if position < 0:
                first = self._text[start - 1 :].split("\n", 1)[0]
                raise self._fail(
                    f"unterminated quoted value {first}", line=start_line, hint=f"close it with {quote}"
                )
            before = position
            while before > start and self._text[before - 1] == "\\":
                before -= 1
            if (position - before) % 2 == 0:
                break
            position += 1
        value = self._text[start:position]
        self._position = position + 1  # what follows on the line is the next statement
        if quote == "'":
            return value.replace("\\'", "'")
        return self._interpolate(_unescape(value), start_line)

    def _interpolate(self, value: str, line: int) -> str:
        if "$" not in value:
            return value

        def look(name: str) -> str | None:
            outer = self._lookup(name)
            if outer is not None:
                return outer
            return self._found.get(name, self._earlier.get(name))

        def missing(name: str) -> None:
            if self._warn is not None:
                self._warn(name, Mark(self._file, line, 1))

        self._read += len(value)
        if self._read > MAX_TEMPLATES:
            raise self._fail(
                f"the file's templates are too large (limit: {MAX_TEMPLATES >> 20} MiB)", line=line
            )
        try:
            text = substitute(value, look, missing)
            self._size += len(text)
            if self._size > MAX_CHARS:
                raise TemplateError(f"the file expands to too much text (limit: {MAX_CHARS >> 20} MiB)")
            return text
        except TemplateError as error:
            raise self._fail(str(error), line=line, hint=error.hint) from None


def _comment(value: str) -> int:
    position = value.find(" #")
    return position if position >= 0 else len(value)


def _unescape(value: str) -> str:
    """Replace the escapes of a double-quoted value; ``\\$`` becomes ``$$``, which interpolation leaves as ``$``."""
    if "\\" not in value:
        return value
    out: list[str] = []
    position = 0
    while position < len(value):
        char = value[position]
        follow = value[position + 1 : position + 2]
        if char != "\\" or not follow:
            out.append(char)
            position += 1
            continue
        if octal := _OCTAL.match(value, position + 1):
            # \0101 is A; what is no byte loses its 0 only, as in Compose
            digits = octal[1]
            is_byte = len(digits) == 3 and digits < "4" and not set(digits) & {"8", "9"}
            out.append(chr(int(digits, 8)) if is_byte else f"\\{digits}")
            position = octal.end()
            continue
        if follow in _ESCAPES:
            out.append(_ESCAPES[follow])
        elif follow == "$":
            out.append("$$")
        elif follow in ('"', "\\"):
            out.append(follow)
        else:
            out.append(char + follow)
        position += 2
    return "".join(out)
