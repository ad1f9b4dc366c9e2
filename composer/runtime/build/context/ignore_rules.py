"""``.dockerignore`` as text: which files of a context the build does not see.

Shared with whoever watches a context for changes: it opens nothing, and needs no system call of the runtime's.
"""

from __future__ import annotations

import posixpath
import re

from composer.errors import BuildFailed
from composer.runtime.build.context.patterns import BadPattern, Patterns, State
from composer.runtime.build.spaces import strip

NAME = ".dockerignore"
_MAX_PATTERNS = 10_000
_NOTHING: State = ()


def read_patterns(text: str, name: str = NAME) -> list[str]:
    """Return the patterns of a file, one a line. Raises BuildFailed for a malformed one; ``name`` is for messages."""
    texts = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.startswith("#"):
            continue
        pattern = _normal(line)
        try:
            Patterns([pattern])
        except BadPattern as error:
            raise BuildFailed(
                f"{name}:{number}: invalid pattern '{line.strip()}': {error}",
                hint="write a backslash before a bracket that is part of a name",
            ) from None
        texts.append(pattern)
        if len(texts) > _MAX_PATTERNS:
            raise BuildFailed(
                f"{name}:{number}: too many patterns (limit: {_MAX_PATTERNS})",
                hint="exclude whole directories, or use wildcards",
            )
    return texts


class Ignore:
    """The files that a context leaves out. Paths are relative to the context, without ``/`` at their ends."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Patterns | None = None) -> None:
        self._patterns = patterns or Patterns(())

    @classmethod
    def parse(cls, text: str, name: str = NAME) -> Ignore:
        """Read the patterns of a file, as `read_patterns` does."""
        return cls(Patterns(read_patterns(text, name)))

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def excludes(self, path: str) -> bool:
        """Tell whether a path is left out: it matches, or a directory above it, and no later exception does."""
        return bool(self._patterns) and self._patterns.descend(path)[0]

    def step(self, path: str, above: State) -> tuple[bool, State]:
        """Tell the same from the state of the directory above: ``()`` at the top. Return the state of the path too."""
        return self._patterns.step(path, above) if self._patterns else (False, _NOTHING)

    def descend(self, path: str) -> State:
        """Return the state of a directory, for its entries."""
        return self._patterns.descend(path)[1] if path and self._patterns else _NOTHING

    def prunes(self, directory: str) -> bool:
        """Tell whether a directory is left out with all below it: a walk need not enter it."""
        return self.excludes(directory) and not self.may_keep_below(directory)

    def may_keep_below(self, directory: str) -> bool:
        """Tell whether an exception may match something below a directory that is left out."""
        return self._patterns.may_take_back_below(directory)


def _normal(line: str) -> str:
    """Return a pattern relative to the context: without the blanks around it, dots in it and the slash before it."""
    pattern = strip(line)
    takes_back = pattern.startswith("!")
    if takes_back:
        pattern = strip(pattern[1:])
    if pattern:
        pattern = re.sub("^/+(?=.)", "", posixpath.normpath(pattern))
    return f"!{pattern}" if takes_back else pattern
