"""Regular expressions that are compiled when they are first used.

Compiling them is the slowest part of many imports. It took a fifth of the time of an ``up`` that has nothing to do,
which uses one pattern in three.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AnyStr


_compile = re.compile  # the real one, whoever puts another in its place (`starting.import_yaml`)


class _Later:
    """A pattern that is not compiled yet. What is asked of it stays, so that each further use costs nothing."""

    def __init__(self, text: Any, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what copying and pickling ask, of an object that is not made yet
        found = getattr(_compile(*self._given), name)
        setattr(self, name, found)
        return found


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a regular expression as ``re.compile`` does, for constants of modules."""
    later: Any = _Later(text, flags)
    return later  # type: ignore[no-any-return]
