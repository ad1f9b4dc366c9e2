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


def refuse_terminal(context: Context, remedy: str) -> None:
    """Raise ProjectError where an archive would go to a terminal; ``remedy`` is the hint."""
    if context.stdout.isatty():
        raise ProjectError("refusing to write a tar archive to a terminal", hint=remedy)


def write_pieces(context: Context, path: str | None, pieces: Iterator[bytes]) -> None:
    """Write pieces to a file, which is there whole or not at all; to standard output for None. Closes them.

    Raises CopyFailed.
    """
    from composer.archives import whole_file
    from composer.errors import CopyFailed

    try:
        if path is None:
            for piece in pieces:
                context.stdout.buffer.write(piece)
            context.stdout.buffer.flush()
            return
        target = os.path.normpath(os.path.join(context.working_dir, path))
        try:
            with whole_file(target) as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as error:
            raise CopyFailed(f"cannot write '{target}': {(error.strerror or str(error)).lower()}") from error
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


@contextmanager
def written_to(context: Context, path: str, remedy: str) -> Iterator[str]:
    """Yield the absolute path that an archive is to be written to; for ``-`` print it at the end.

    ``remedy`` is the hint where standard output is a terminal. Raises ProjectError.
    """
    if path != STANDARD:
        yield os.path.normpath(os.path.join(context.working_dir, path))
        return
    refuse_terminal(context, remedy)
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="composer-output-") as directory:
        archive = f"{directory}/archive"
        yield archive
        with open(archive, "rb") as file:
            shutil.copyfileobj(file, context.stdout.buffer, _PIECE_BYTES)
        context.stdout.buffer.flush()
