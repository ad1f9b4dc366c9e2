"""``.dockerignore``: which files of a context the build does not see."""

from __future__ import annotations

import errno
import os
import posixpath
import re

from composer.errors import BuildFailed
from composer.runtime.base import opening
from composer.runtime.build.context.patterns import BadPattern, Patterns, State

_NAME = ".dockerignore"
_MAX_BYTES = 1 << 20
_MAX_PATTERNS = 10_000
_NOTHING: State = ()


class Ignore:
    """The files that a context leaves out. Paths are relative to the context, without ``/`` at their ends."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Patterns | None = None) -> None:
        self._patterns = patterns or Patterns(())

    @classmethod
    def parse(cls, text: str, name: str = _NAME) -> Ignore:
        """Read the patterns of a file, one a line. Raises BuildFailed for a malformed one; ``name`` is for messages."""
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
        return cls(Patterns(texts))

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
    pattern = line.strip()
    takes_back = pattern.startswith("!")
    if takes_back:
        pattern = pattern[1:].strip()
    if pattern:
        pattern = re.sub("^/+(?=.)", "", posixpath.normpath(pattern))
    return f"!{pattern}" if takes_back else pattern


def read(context: int, dockerfile: str = "", *, beside: int | None = None) -> Ignore:
    """Read the ignore file of a context, an open directory.

    The one that is named after the Dockerfile comes first: ``dockerfile`` is relative to the directory ``beside``,
    which is the context if not said otherwise, and empty where the Dockerfile is in no directory. Raises BuildFailed.
    """
    if dockerfile:
        own = f"{dockerfile}{_NAME}"
        text = _text(context if beside is None else beside, own)
        if text is not None:
            return Ignore.parse(text, own)
    text = _text(context, _NAME)
    return Ignore() if text is None else Ignore.parse(text, _NAME)


def _text(directory: int, path: str) -> str | None:
    try:
        fd = opening.followed(directory, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise BuildFailed(f"cannot read '{path}': {_reason(error)}") from error
    with open(fd, "rb") as file:
        try:
            data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise BuildFailed(f"cannot read '{path}': {_reason(error)}") from error
    if len(data) > _MAX_BYTES:
        raise BuildFailed(f"'{path}' is too large (limit: {_MAX_BYTES >> 20} MiB)")
    return os.fsdecode(data).replace("\r\n", "\n")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).removeprefix("open: ").lower()
