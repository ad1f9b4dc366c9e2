"""Reading the ``.dockerignore`` of a context: an open directory, in which nobody can lead us out."""

from __future__ import annotations

import errno
import os

from composer.errors import BuildFailed
from composer.runtime.base import opening
from composer.runtime.build.context.ignore_rules import NAME as _NAME
from composer.runtime.build.context.ignore_rules import Ignore as Ignore

_MAX_BYTES = 1 << 20


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
