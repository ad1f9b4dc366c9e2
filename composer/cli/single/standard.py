"""Archives that come from standard input, or go to standard output.

A backend reads and writes files: an archive of an image is read twice, and is written whole or not at all.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context

STANDARD = "-"
_PIECE_BYTES = 1 << 20


@contextmanager
def read_from(context: Context, path: str, what: str) -> Iterator[str]:
    """Yield the absolute path of an archive; of a copy of standard input for ``-``. Raises ProjectError."""
    if path != STANDARD:
        yield os.path.normpath(os.path.join(context.working_dir, path))
        return
    if context.stdin.isatty():
        raise ProjectError(
            f"cannot read {what} from a terminal", hint="name a file, or redirect standard input"
        )
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="composer-input-") as file:
        shutil.copyfileobj(context.stdin.buffer, file, _PIECE_BYTES)
        file.flush()
        yield file.name


@contextmanager
def written_to(context: Context, path: str, remedy: str) -> Iterator[str]:
    """Yield the absolute path that an archive is to be written to; for ``-`` print it at the end.

    ``remedy`` is the hint where standard output is a terminal. Raises ProjectError.
    """
    if path != STANDARD:
        yield os.path.normpath(os.path.join(context.working_dir, path))
        return
    if context.stdout.isatty():
        raise ProjectError("refusing to write a tar archive to a terminal", hint=remedy)
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="composer-output-") as directory:
        archive = f"{directory}/archive"
        yield archive
        with open(archive, "rb") as file:
            shutil.copyfileobj(file, context.stdout.buffer, _PIECE_BYTES)
        context.stdout.buffer.flush()
