"""Regular expressions of clients, matched in a time that grows with the text and the expression only.

Python's own engine tries one way after the other, which for ``(a+)+$`` takes years, and holds all threads meanwhile.
This one follows all ways at once. Its expressions are those of Docker Engine (RE2's): no references to groups, no
looking ahead.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import NamedTuple

Fits = Callable[[str], bool]
_MOST_STEPS = 2000
_MOST_REPEATS = 1000
_DEEPEST = 100
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_KINDS: dict[str, frozenset[str]] = {
    "d": frozenset(string.digits),
    "w": _WORD,
    "s": frozenset("\t\n\f\r "),
}
_NAMED: dict[str, frozenset[str]] = {
    "alnum": frozenset(string.ascii_letters + string.digits),
    "alpha": frozenset(string.ascii_letters),
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset(" \t"),
    "cntrl": frozenset(map(chr, [*range(32), 127])),
    "digit": frozenset(string.digits),
    "graph": frozenset(string.ascii_letters + string.digits + string.punctuation),
    "lower": frozenset(string.ascii_lowercase),
    "print": frozenset(string.ascii_letters + string.digits + string.punctuation + " "),
    "punct": frozenset(string.punctuation),
    "space": frozenset(string.whitespace),
    "upper": frozenset(string.ascii_uppercase),
    "word": _WORD,
    "xdigit": frozenset(string.hexdigits),
}


class Invalid(ValueError):
    """A text that is no expression, or one that is too large."""


class _Step(NamedTuple):
    """One step of a program: a character that fits, a place that fits, or a choice of ways; none is the end."""

    fits: Fits | None = None
    place: str = ""
    ways: tuple[int, ...] = ()


class _Flags(NamedTuple):
    folds: bool = False
    lines: bool = False
    dots: bool = False


class Expression:
    """An expression that is searched for in texts. Raises Invalid."""

    def __init__(self, text: str) -> None:
        self._steps = _Reader(text).program()
        self._has_places = any(step.place for step in self._steps)
        self._known: dict[tuple[frozenset[int], str, str], frozenset[int]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def is_in(self, text: str) -> bool:
        """Tell whether some part of a text fits."""
        end = len(self._steps) - 1
        at: frozenset[int] = self._reach({0}, "", text[:1])
        for index, letter in enumerate(text):
            if end in at:
                return True
            following = text[index + 1 : index + 2]
            key = (at, letter, following if self._has_places else "")
            found = self._known.get(key)
            if found is None:
                into = {step + 1 for step in at if (fits := self._steps[step].fits) and fits(letter)}
                found = self._reach(into | {0}, letter, following)
                if len(self._known) < _MOST_KNOWN:
                    self._known[key] = found
            at = found
        return end in at

    def _reach(self, begun: set[int], before: str, after: str) -> frozenset[int]:
        """Return all steps that can be come to without a character from those that are given."""
        found, left = set(begun), list(begun)
        while left:
            step = self._steps[at := left.pop()]
            ways = step.ways
            if step.place:
                ways = (at + 1,) if _is_place(step.place, before, after) else ()
            for way in ways:
                if way not in found:
                    found.add(way)
                    left.append(way)
        return frozenset(found)


_MOST_KNOWN = 5000


def _is_place(place: str, before: str, after: str) -> bool:
    if place == "A":
        return not before
    if place == "z":
        return not after
    if place == "^":
        return before in ("", "\n")
    if place == "$":
        return after in ("", "\n")
    return ((before in _WORD) != (after in _WORD)) == (place == "b")


# ------------------------------------------------------------------ reading


class _Reader:
    """Reads an expression into the steps of a program: pieces of it are lists whose ways are relative."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._depth = 0

    def program(self) -> list[_Step]:
        steps = self._choice(_Flags())
        if self._at < len(self._text):
            raise Invalid("unexpected )")
        absolute = [step._replace(ways=tuple(at + way for way in step.ways)) for at, step in enumerate(steps)]
        return [*absolute, _Step()]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        found = self._peek()
        if not found:
            raise Invalid("unexpected end")
        self._at += 1
        return found

    def _choice(self, flags: _Flags) -> list[_Step]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Invalid("nested too deeply")
        found, flags = self._row(flags)
        while self._take("|"):
            other, flags = self._row(flags)
            # both ways in, and from the end of the first one over the second
            found = [_way(1, len(found) + 2), *found, _way(len(other) + 1), *other]
            _check(found)
        self._depth -= 1
        return found

    def _row(self, flags: _Flags) -> tuple[list[_Step], _Flags]:
        found: list[_Step] = []
        while self._peek() not in ("", "|", ")"):
            if self._text.startswith("(?", self._at):
                piece, flags = self._special_group(flags)
            else:
                piece = self._piece(flags)
            found += self._repeated(piece)
            _check(found)
        return found, flags

    def _piece(self, flags: _Flags) -> list[_Step]:
        letter = self._next()
        if letter == "(":
            return self._group(flags)
        if letter == "[":
            return [_Step(_folded(self._set(), flags))]
        if letter == ".":
            return [_Step((lambda _: True) if flags.dots else (lambda one: one != "\n"))]
        if letter == "^":
            return [_Step(place="^" if flags.lines else "A")]
        if letter == "$":
            return [_Step(place="$" if flags.lines else "z")]
        if letter in "*+?":
            raise Invalid(f"nothing to repeat before {letter}")
        if letter == "\\":
            return self._escaped(flags)
        return [_Step(_folded(frozenset((letter,)).__contains__, flags))]

    def _group(self, flags: _Flags) -> list[_Step]:
        found = self._choice(flags)
        if not self._take(")"):
            raise Invalid("missing )")
        return found

    def _special_group(self, flags: _Flags) -> tuple[list[_Step], _Flags]:
        """Read ``(?:…)``, ``(?P<name>…)``, ``(?i)``, ``(?i:…)``. Returns the flags that hold from here on."""
        self._at += 2
        if self._take("P<") or (self._peek() == "<" and self._text[self._at + 1 :][:1] not in "=!"):
            name, bracket, _ = self._text[self._at :].removeprefix("<").partition(">")
            if not bracket or not name.isidentifier():
                raise Invalid("invalid name of a group")
            self._at = self._text.index(">", self._at) + 1
            return self._group(flags), flags
        inner, value = flags, True
        while (letter := self._next()) not in ":)":
            if letter == "-" and value:
                value = False
            elif letter in _FLAGS:
                inner = inner._replace(**{_FLAGS[letter]: value})
            elif letter != "U":
                raise Invalid(f"unsupported group (?{letter}")
        return (self._group(inner), flags) if letter == ":" else ([], inner)

    def _escaped(self, flags: _Flags) -> list[_Step]:
        letter = self._next()
        if letter in "AzbB":
            return [_Step(place=letter)]
        if letter == "Q":
            quoted, _, _ = self._text[self._at :].partition("\\E")
            self._at += len(quoted)
            self._take("\\E")
            return [_Step(_folded(frozenset((one,)).__contains__, flags)) for one in quoted]
        return [_Step(_folded(self._class_or_letter(letter), flags))]

    def _class_or_letter(self, letter: str) -> Fits:
        kind = _KINDS.get(letter.lower())
        if kind is not None:
            return kind.__contains__ if letter.islower() else lambda one: one not in kind
        return frozenset((self._escaped_letter(letter),)).__contains__

    def _escaped_letter(self, letter: str) -> str:
        if letter in _LETTERS:
            return _LETTERS[letter]
        if letter == "x":
            digits = self._hexadecimal()
            if len(digits) > 6 or not digits or int(digits, 16) > 0x10FFFF:
                raise Invalid("invalid character")
            return chr(int(digits, 16))
        if letter.isalnum() and letter.isascii():
            raise Invalid(f"unsupported escape \\{letter}")
        return letter

    def _hexadecimal(self) -> str:
        if self._take("{"):
            digits, _, _ = self._text[self._at :].partition("}")
            self._at += len(digits) + 1
        else:
            digits = self._next() + self._next()
        return digits if all(one in string.hexdigits for one in digits) else ""

    # -------------------------------------------------------------- sets

    def _set(self) -> Fits:
        is_other = self._take("^")
        letters: set[str] = set()
        others: list[Fits] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            if self._take("[:"):
                others.append(self._named())
                continue
            letter = self._next()
            if letter == "\\":
                letter = self._next()
                if letter.lower() in _KINDS:
                    others.append(self._class_or_letter(letter))
                    continue
                letter = self._escaped_letter(letter)
            others += self._range(letter)
            letters.add(letter)
        self._next()
        plain = frozenset(letters)

        def fits(one: str) -> bool:
            return (one in plain or any(other(one) for other in others)) != is_other

        return fits

    def _range(self, first: str) -> list[Fits]:
        if self._peek() != "-" or self._text[self._at + 1 :][:1] in ("", "]"):
            return []
        self._at += 1
        last = self._next()
        if last == "\\":
            last = self._escaped_letter(self._next())
        if last < first:
            raise Invalid("invalid range of characters")
        return [lambda one: first <= one <= last]

    def _named(self) -> Fits:
        name, end, _ = self._text[self._at :].partition(":]")
        found = _NAMED.get(name.removeprefix("^"))
        if not end or found is None:
            raise Invalid("invalid class of characters")
        self._at += len(name) + 2
        return (lambda one: one not in found) if name.startswith("^") else found.__contains__

    # -------------------------------------------------------------- repeated

    def _repeated(self, piece: list[_Step]) -> list[_Step]:
        found = self._counts()
        if found is None:
            return piece
        self._take("?")  # as few as possible: the same, where only whether it fits is asked
        least, most = found
        if len(piece) * least > _MOST_STEPS:
            raise Invalid("the expression is too large")
        copies = piece * least
        if most is None:
            copies += [_way(1, len(piece) + 2), *piece, _way(-len(piece) - 1)]
        else:
            for left in range(most - least, 0, -1):
                copies += [_way(1, left * (len(piece) + 1)), *piece]
                _check(copies)
        if self._counts() is not None:
            raise Invalid("invalid nested repetition")
        return copies

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, counts in _SIGNS.items():
            if self._take(sign):
                return counts
        if self._peek() != "{":
            return None
        inside, end, _ = self._text[self._at + 1 :].partition("}")
        least, comma, most = inside.partition(",")
        if not end or not (least.isascii() and least.isdecimal()) or not (most == "" or most.isdecimal()):
            return None  # a brace like any other character
        if max(len(least), len(most)) > 4 or int(least) > _MOST_REPEATS or int(most or 0) > _MOST_REPEATS:
            raise Invalid("too many repetitions")
        self._at += len(inside) + 2
        if comma and not most:
            return int(least), None
        if most and int(most) < int(least):
            raise Invalid("invalid repetition")
        return int(least), int(most or least)


_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_FLAGS = {"i": "folds", "m": "lines", "s": "dots"}


def _way(*ways: int) -> _Step:
    return _Step(ways=ways)


def _check(steps: list[_Step]) -> None:
    if len(steps) > _MOST_STEPS:
        raise Invalid("the expression is too large")


def _folded(fits: Fits, flags: _Flags) -> Fits:
    if not flags.folds:
        return fits
    return lambda one: fits(one) or fits(one.lower()) or fits(one.upper())
