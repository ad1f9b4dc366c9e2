"""Words of a Dockerfile: quotes and escapes removed, variables replaced.

`expand` returns one word, `expand_words` splits at blanks outside of quotes, `expand_content` is for the contents of
a heredoc (quotes are kept), `expand_shown` for what is shown of a command (quotes and unset variables are kept). Forms:
``$v ${v} ${v:-x} ${v-x} ${v:+x} ${v+x} ${v:?m} ${v?m} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/x} ${v//p/x}``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile import patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 64
"""Substitutions within each other: a person's file has three."""

MAX_LENGTH = 16 << 20
"""Characters of a result: variables that are made of each other double quickly."""

BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as Go has it, for a class of a regular expression."""

_BLANK = pattern(f"[{BLANKS}]")
_BLANK_OR_NOT = pattern(f"[{BLANKS}]+|[^{BLANKS}]+")
_NAME = pattern(r"\d+|[@*#?\-$!0]|\w+")
_SINGLE = pattern("[^']*")
_AFTER_HEREDOC = pattern(r"[\t\r ]*")


class WordInvalid(ValueError):
    """A word cannot be expanded. ``offset`` is the place of the fault in the text; ``hint`` is the remedy."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


class Expansion(NamedTuple):
    """A word after expansion. ``used`` are the variables in it that are set, ``unset`` those that are not."""

    text: str
    used: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()


class Words(NamedTuple):
    """Several words after expansion; otherwise like `Expansion`."""

    words: tuple[str, ...]
    used: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> Expansion:
    """Return one word without quotes and with its variables replaced. Raises WordInvalid."""
    lexer = _Lexer(text, values, escape)
    return Expansion(lexer.whole(), frozenset(lexer.used), frozenset(lexer.unset))


def expand_words(text: str, values: Mapping[str, str], escape: str = "\\") -> Words:
    """Return the same split at blanks that no quotes hold, after replacing. Raises WordInvalid."""
    lexer = _Lexer(text, values, escape)
    lexer.whole()
    return Words(tuple(lexer.words), frozenset(lexer.used), frozenset(lexer.unset))


def expand_content(text: str, values: Mapping[str, str]) -> Expansion:
    """Return the contents of a heredoc of COPY or ADD, whose quotes are its own. Raises WordInvalid.

    The escape character of the Dockerfile does not count in there: it is always the backslash.
    """
    lexer = _Lexer(text, values, "\\", quotes="plain")
    return Expansion(lexer.whole(), frozenset(lexer.used), frozenset(lexer.unset))


def expand_shown(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """Return a command as progress shows it: variables that are set are replaced, all else stays. Never raises."""
    try:
        return _Lexer(text, values, escape, quotes="keep", keep_unset=True).whole()
    except WordInvalid:
        return text


def raw_words(text: str, *, keep_quotes: bool = True, keep_escapes: bool = True) -> tuple[str, ...]:
    """Return the words of a text as written, variables included. Raises WordInvalid for quotes that do not end."""
    lexer = _Lexer(
        text, {}, "\\", quotes="keep" if keep_quotes else "remove", keep_escapes=keep_escapes, keep_unset=True
    )
    lexer.whole()
    return tuple(lexer.words)


class _Lexer:
    """Reads one text from left to right. ``quotes`` are removed, kept (and understood) or plain characters."""

    def __init__(
        self,
        text: str,
        values: Mapping[str, str],
        escape: str,
        *,
        quotes: str = "remove",
        keep_escapes: bool = False,
        keep_unset: bool = False,
    ) -> None:
        self.used: set[str] = set()
        self.unset: set[str] = set()
        self.words: list[str] = []
        self._text, self._values, self._escape = text, values, escape
        self._quotes, self._keep_escapes, self._keep_unset = quotes, keep_escapes, keep_unset
        self._position = self._depth = self._length = 0
        special = f"$<{re.escape(escape)}" + ("" if quotes == "plain" else "'\"")
        self._plain = {stop: re.compile(f"[^{special}{stop}]+") for stop in ("", "}", "/")}
        self._in_double = re.compile(f'[^$"{re.escape(escape)}]+')

    def whole(self) -> str:
        """Return the whole text expanded; `words` has it in words then."""
        pieces = _Pieces(self)
        self._until("", self._keep_escapes, pieces)
        self.words = pieces.split()
        return pieces.text()

    def count(self, piece: str) -> None:
        """Bound what is written, in all depths together."""
        self._length += len(piece)
        if self._length > MAX_LENGTH + len(self._text):
            raise WordInvalid(f"expanded text is longer than {MAX_LENGTH >> 20} MiB", self._position)

    def _nested(self, stop: str, *, keep_escapes: bool) -> str:
        pieces = _Pieces(self)
        self._until(stop, keep_escapes, pieces)
        return pieces.text()

    def _until(self, stop: str, keep_escapes: bool, pieces: _Pieces) -> None:
        """Read up to a character outside of quotes, which is read too; an empty ``stop`` is the end of the text."""
        before, self._keep_escapes = self._keep_escapes, keep_escapes
        text = self._text
        while self._position < len(text):
            if plain := self._plain[stop].match(text, self._position):
                self._position = plain.end()
                pieces.add(plain[0])
                continue
            character = text[self._position]
            if character == stop:
                self._position += 1
                break
            if character == "$":
                pieces.add(self._dollar())
            elif character == "<":
                pieces.add_raw(self._heredoc())
            elif character == self._escape:
                pieces.add_raw(self._escaped())
            elif character == "'":
                pieces.add_raw(self._single())
            else:
                pieces.add_raw(self._double())
        else:
            if stop:
                raise WordInvalid(f"substitution has no '{stop}'", len(text))
        self._keep_escapes = before

    def _escaped(self) -> str:
        pair = self._text[self._position : self._position + 2]
        self._position += len(pair)
        return pair if self._keep_escapes else pair[1:]

    def _heredoc(self) -> str:
        """Read ``<<`` with the blanks behind it, which belong to the word that follows."""
        start = self._position
        self._position += 1
        if self._text.startswith("<", self._position):
            blanks = _AFTER_HEREDOC.match(self._text, self._position + 1)
            self._position = blanks.end() if blanks else self._position + 1
        return self._text[start : self._position]

    def _single(self) -> str:
        start = self._position
        end = self._text.find("'", start + 1)
        if end < 0:
            raise WordInvalid("single quote has no end", start, "add the closing ' or escape this one")
        self._position = end + 1
        return self._text[start : end + 1] if self._quotes == "keep" else self._text[start + 1 : end]

    def _double(self) -> str:
        start, text = self._position, self._text
        quote = '"' if self._quotes == "keep" else ""
        self._position += 1
        result = [quote]
        while self._position < len(text):
            if plain := self._in_double.match(text, self._position):
                self._position = plain.end()
                result.append(plain[0])
                continue
            character = text[self._position]
            if character == "$":
                result.append(self._dollar())
                self.count(result[-1])
                continue
            self._position += 1
            if character == '"':
                result.append(quote)
                return "".join(result)
            result.append(self._escaped_in_double())
        raise WordInvalid("double quote has no end", start, 'add the closing " or escape this one')

    def _escaped_in_double(self) -> str:
        """Read what follows an escape character: it keeps its meaning but before a quote, a dollar and itself."""
        kept = self._escape if self._keep_escapes else ""
        following = self._text[self._position : self._position + 1]
        if following and following in f'"${self._escape}':
            self._position += 1
            return kept + following
        return kept + self._escape if following else kept

    def _dollar(self) -> str:
        start = self._position
        self._position += 1
        if not self._text.startswith("{", self._position):
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            return value if value is not None else f"${name}" if self._keep_unset else ""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WordInvalid(f"substitutions are nested more than {MAX_DEPTH} deep", start)
        self._position += 1
        result = self._braces(start)
        self._depth -= 1
        return result

    def _braces(self, start: int) -> str:
        """Read a substitution behind its opening brace."""
        if self._position >= len(self._text):
            raise WordInvalid("substitution has no '}'", start)
        name = self._name() if self._text[self._position] not in "{}:" else ""
        modifier = self._text[self._position : self._position + 1]
        self._position += 1
        colon = ":" if modifier == ":" and name else ""
        if colon:
            modifier = self._text[self._position : self._position + 1]
            self._position += 1
        if not modifier:
            raise WordInvalid("substitution has no '}'", start)
        if modifier == "}" and name and not colon:
            value = self._value(name)
            return value if value is not None else f"${{{name}}}" if self._keep_unset else ""
        if modifier == "/" and name and not colon:
            return self._replaced(name, start)
        if not name or modifier not in ("+-?" if colon else "+-?#%"):
            shown = self._text[start : self._position]
            raise WordInvalid(
                f"substitution '{shown[:80]}' is unknown",
                start,
                "use ${name}, or one of the modifiers :- - :+ + :? ? # ## % %% / //",
            )
        word = self._nested("}", keep_escapes=modifier in "#%")
        value = self._value(name)
        if value is None and self._keep_unset:
            return f"${{{name}{colon}{modifier}{word}}}"
        return self._modified(name, value, colon, modifier, word, start)

    def _modified(self, name: str, value: str | None, colon: str, modifier: str, word: str, at: int) -> str:
        is_there = value is not None and not (colon and not value)
        if modifier == "-":
            return value if value is not None and is_there else word
        if modifier == "+":
            return word if is_there else ""
        if modifier == "?":
            if value is None or not is_there:
                state = "unset" if value is None else "empty"
                message = f"variable '{name}' is {state}" + (f": {word}" if word else "")
                raise WordInvalid(message, at, f"set it, for example with --build-arg {name}=VALUE")
            return value
        longest = word.startswith(modifier)
        cut = patterns.without_suffix if modifier == "%" else patterns.without_prefix
        try:
            return cut(word[1:] if longest else word, value or "", longest=longest)
        except ValueError as error:
            raise WordInvalid(str(error), at) from None

    def _replaced(self, name: str, start: int) -> str:
        every = self._text.startswith("/", self._position)
        self._position += every
        pattern = self._nested("/", keep_escapes=True)
        text = self._nested("}", keep_escapes=True)
        value = self._value(name)
        if value is None and self._keep_unset:
            return f"${{{name}/{pattern}/{text}}}"
        try:
            return patterns.replaced(pattern, value or "", text, every=every, limit=MAX_LENGTH)
        except ValueError as error:
            raise WordInvalid(str(error), start) from None

    def _name(self) -> str:
        match = _NAME.match(self._text, self._position)
        if not match:
            return ""
        self._position = match.end()
        return match[0]

    def _value(self, name: str) -> str | None:
        value = self._values.get(name)
        (self.unset if value is None else self.used).add(name)
        return value


class _Pieces:
    """What was read: the text, and which of it may be split into words."""

    def __init__(self, lexer: _Lexer) -> None:
        self._lexer = lexer
        self._pieces: list[tuple[str, bool]] = []

    def add(self, piece: str) -> None:
        """Add a piece whose blanks divide words."""
        self._lexer.count(piece)
        self._pieces.append((piece, True))

    def add_raw(self, piece: str) -> None:
        """Add a piece of one word."""
        self._lexer.count(piece)
        self._pieces.append((piece, False))

    def text(self) -> str:
        return "".join(piece for piece, _ in self._pieces)

    def split(self) -> list[str]:
        """Return the words; those that are empty, such as ``""``, are none."""
        words: list[str] = []
        word: list[str] = []
        for piece, divides in self._pieces:
            for part in _BLANK_OR_NOT.findall(piece) if divides else (piece,):
                if divides and _BLANK.match(part):
                    words.append("".join(word))
                    word = []
                else:
                    word.append(part)
        words.append("".join(word))
        return [each for each in words if each]
