"""``--chmod``: permissions in octal, or in the symbols of chmod(1), as BuildKit reads them."""

from __future__ import annotations

import re
import stat
from typing import NamedTuple

from composer.errors import BuildFailed
from composer.patterns import pattern

_ALL = 0o777
_SET_ID = stat.S_ISUID | stat.S_ISGID
_WHO = {"u": stat.S_ISUID | 0o700, "g": stat.S_ISGID | 0o070, "o": 0o007, "a": _SET_ID | _ALL}
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_CLAUSE = pattern("([ugoa]*)((?:[+=-][rwxXstugo]*)+)")
_ACTION = pattern("([+=-])([rwxXstugo]*)")


class _Change(NamedTuple):
    """One action: ``+`` or ``-``, ``X`` (execution where there is some), or a copy of a class by ``how``."""

    action: str
    bits: int
    how: str = ""


class Mode:
    """New permissions of what is copied. ``octal`` is None where they depend on the old ones."""

    def __init__(self, octal: int | None, changes: tuple[_Change, ...] = ()) -> None:
        self.octal = octal
        self._changes = changes

    def apply(self, mode: int) -> int:
        """Return the permissions (twelve bits) for something whose type and permissions are ``mode``."""
        if self.octal is not None:
            return self.octal
        old = new = stat.S_IMODE(mode)
        for action, bits, how in self._changes:
            if action == "+":
                new |= bits
            elif action == "-":
                new &= ~bits
            elif action == "X":
                new |= bits if old & 0o111 or stat.S_ISDIR(mode) else 0
            else:
                new = _copied(new, new >> _SHIFTS[action] & 7, bits, how)
        return new


def _copied(mode: int, value: int, bits: int, how: str) -> int:
    """Give the classes whose bits are in ``bits`` the permissions of another class."""
    for shift in _SHIFTS.values():
        if bits >> shift & 7:
            if how == "=":
                mode &= ~(7 << shift)
            mode = mode & ~(value << shift) if how == "-" else mode | value << shift
    return mode


def parse_mode(text: str) -> Mode:
    """Read ``755``, ``0644``, ``u=rwX,go=rX``. Raises BuildFailed."""
    if re.fullmatch("[0-7]+", text) and int(text, 8) <= 0o7777:
        return Mode(int(text, 8))
    if text[:1].isdigit():
        raise BuildFailed(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
            hint="write --chmod=755, or --chmod=u=rwX,go=rX",
        )
    changes: list[_Change] = []
    for clause in text.split(","):
        parts = _CLAUSE.fullmatch(clause)
        if parts is None:
            raise BuildFailed(
                f"invalid chmod parameter: '{text}'", hint="write --chmod=755, or --chmod=u=rwX,go=rX"
            )
        who = 0
        for letter in parts[1]:
            who |= _WHO[letter]
        for action, letters in _ACTION.findall(parts[2]):
            changes += _changes(who, action, letters)
    return Mode(None, tuple(changes))


def _changes(who: int, action: str, letters: str) -> list[_Change]:
    """Translate what follows one of ``+``, ``-`` and ``=``."""
    whole = who or _SET_ID | _ALL
    is_for_others_only = bool(who) and not who & ~0o007
    sticky = stat.S_ISVTX if "t" in letters and not is_for_others_only else 0
    found = [_Change("-", whole | sticky)] if action == "=" and not any(a in letters for a in "ugo") else []
    sign = "+" if action == "=" else action
    bits = execution = 0
    for letter in letters:
        if letter in _BITS:
            bits |= _BITS[letter]
        elif letter == "s" and not is_for_others_only:
            bits |= _SET_ID
        elif letter == "X" and action == "-":
            bits |= 0o111
        elif letter == "X":
            execution |= 0o111
        elif letter in _SHIFTS:
            found.append(_Change(letter, whole & _ALL, action))
    if bits | sticky:
        found.append(_Change(sign, bits & whole | sticky))
    if execution:
        found.append(_Change("X", execution & whole))
    return found
