"""Patterns of paths: Go's ``filepath.Match``, and the lists of patterns of .dockerignore, ``--exclude``, ``--parents``.

A list is read in order and the last pattern that matches a path, or a directory above it, decides; ``!`` takes back.
``**`` stands for any number of directories. The rules are those of https://pkg.go.dev/path/filepath#Match and of
https://docs.docker.com/build/concepts/context/#syntax; paths are relative and separated by ``/``.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.spaces import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SPECIAL = frozenset("*?[\\")


class BadPattern(ValueError):
    """A pattern is malformed: a bracket that is not closed, a backslash at the end."""


def glob(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a name matches a pattern without ``**``. Raises BadPattern."""
    return re.compile(_expression(pattern, spans=False), re.DOTALL).fullmatch


def has_wildcards(text: str) -> bool:
    """Tell whether a path has a wildcard that no backslash escapes."""
    return re.search(r"(?<!\\)(?:\\\\)*[*?\[]", text) is not None


def _expression(pattern: str, *, spans: bool) -> str:
    """Translate a pattern; with ``spans`` two asterisks match across ``/``.

    What lies between two wildcards is matched where it fits first, and that choice is never reconsidered (``(?>``): a
    later place leaves less for the rest. So no pattern takes more than quadratic time, whatever the path is.
    """
    pieces: list[list[str]] = [[""]]  # of the pattern between ** and, within one, between *
    joints: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*" and spans and pattern.startswith("*", position):
            joint, position = _joint(pattern, position + 1)
            joints.append(joint)
            pieces.append([""])
        elif character == "*":
            pieces[-1].append("")
        else:
            text, position = _one(pattern, character, position)
            pieces[-1][-1] += text
    translated = [_between_asterisks(piece) for piece in pieces]
    for number, joint in enumerate(joints, 1):
        if joint == _WHOLE and joints[number : number + 1] == [_WHOLE]:
            translated[number] = f"(?>(?:[^/]*/)*?{translated[number]})"
        else:
            translated[number] = ("(?:.*/)?" if joint == _WHOLE else joint) + translated[number]
    return "".join(translated)


_WHOLE = "**/"
"""Two asterisks that are a component of their own, with more behind them."""


def _joint(pattern: str, position: int) -> tuple[str, int]:
    """Translate two asterisks, which take the slash after them along."""
    before, has_slash = pattern[position - 3 : position - 2], pattern.startswith("/", position)
    position += has_slash
    rest = pattern[position:]
    if not rest:
        return ".*", position
    if has_slash and before in ("", "/"):
        return _WHOLE, position
    if position == 2 and not _SPECIAL & set(rest):
        return ".*", position  # Docker matches **.log by its end alone
    return "(?:.*/)?", position


def _between_asterisks(parts: list[str]) -> str:
    first, *rest = parts
    inner = [f"(?>[^/]*?{part})" for part in rest[:-1] if part]
    return "".join([first, *inner, *(f"[^/]*{part}" for part in rest[-1:])])


def _one(pattern: str, character: str, position: int) -> tuple[str, int]:
    """Translate what stands for one character."""
    if character == "?":
        return "[^/]", position
    if character == "[":
        return _class(pattern, position)
    if character == "\\":
        character, position = _escaped(pattern, position)
    return re.escape(character), position


def _class(pattern: str, position: int) -> tuple[str, int]:
    """Translate a class of characters from behind its bracket. Ranges are of code points."""
    negated = pattern.startswith("^", position)
    position += negated
    members: list[str] = []
    while not (members and pattern.startswith("]", position)):
        low, position = _member(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _member(pattern, position + 1)
        # a range that goes down has no members
        members.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    inside = "".join(members)
    if not inside:
        return ("[^/]" if negated else "(?!)"), position + 1
    return (f"(?!/)[^{inside}]" if negated else f"(?!/)[{inside}]"), position + 1


def _member(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        raise BadPattern("syntax error in pattern")
    if pattern[position] == "\\":
        return _escaped(pattern, position + 1)
    return pattern[position], position + 1


def _escaped(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern):
        raise BadPattern("syntax error in pattern")
    return pattern[position], position + 1


class _Pattern(NamedTuple):
    text: str
    takes_back: bool
    matches: Callable[[str], object]


State = tuple[bool, ...]
"""Which patterns of a list have matched a directory or one above it; of use to its entries."""


class Patterns:
    """A list of patterns. A pattern with ``!`` takes back what those before it have matched."""

    __slots__ = ("_patterns", "_together")

    def __init__(self, texts: Iterable[str]) -> None:
        self._patterns = tuple(_parsed(texts))
        # Without an exception the order is of no meaning, and one expression does for all.
        self._together: Callable[[str], object] | None = None
        if self._patterns and not any(pattern.takes_back for pattern in self._patterns):
            whole = "|".join(_expression(pattern.text, spans=True) for pattern in self._patterns)
            self._together = re.compile(whole, re.DOTALL).fullmatch

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def step(self, path: str, above: State) -> tuple[bool, State]:
        """Tell whether an entry matches, from the state of its directory: ``()`` at the top. Return its state too."""
        if self._together is not None:
            is_matched = above == (True,) or self._together(path) is not None
            return is_matched, (is_matched,)
        is_matched = False
        state = []
        for number, pattern in enumerate(self._patterns):
            found = bool(above) and above[number]
            if not found and pattern.takes_back == is_matched:
                found = bool(pattern.matches(path))
            state.append(found)
            if found:
                is_matched = not pattern.takes_back
        return is_matched, tuple(state)

    def descend(self, path: str) -> tuple[bool, State]:
        """Tell whether a path matches, looking at each directory above it; return its state too."""
        is_matched = False
        state: State = ()
        end = 0
        while end >= 0:
            end = path.find("/", end + 1)
            is_matched, state = self.step(path if end < 0 else path[:end], state)
        return is_matched, state

    def may_match_below(self, directory: str) -> bool:
        """Tell whether something below a directory may match a pattern that is no exception."""
        return any(
            not pattern.takes_back and _may_match_below(pattern.text, directory) for pattern in self._patterns
        )

    def may_take_back_below(self, directory: str) -> bool:
        """Tell whether something below a directory may match an exception."""
        return any(
            pattern.takes_back and _may_match_below(pattern.text, directory) for pattern in self._patterns
        )


def _parsed(texts: Iterable[str]) -> Iterator[_Pattern]:
    for text in texts:
        stripped = strip(text)
        if not stripped:
            continue
        cleaned = posixpath.normpath(stripped)
        if cleaned.startswith("//"):
            cleaned = cleaned[1:]  # which POSIX lets stand, and Go does not
        takes_back = cleaned.startswith("!")
        cleaned = cleaned[1:] if takes_back else cleaned
        if not cleaned:
            raise BadPattern('illegal exclusion pattern: "!"')
        _expression(cleaned, spans=False)  # refuses what Go's Match refuses
        matches = re.compile(_expression(cleaned, spans=True), re.DOTALL).fullmatch
        yield _Pattern(cleaned, takes_back, matches)


def _may_match_below(pattern: str, directory: str) -> bool:
    components, names = pattern.split("/"), directory.split("/")
    for component, name in zip(components, names, strict=False):
        if "**" in component or "[" in component:
            return True  # it spans directories, or may hold a slash
        if not glob(component)(name):
            return False
    return len(components) > len(names)
