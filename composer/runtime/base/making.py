"""Directories and files that come into being whole, or not at all; and sweeping what a kill left half made."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from composer.patterns import pattern
from composer.runtime.base import files, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.base.state import Paths

_TEMPORARY = pattern(r"\.[0-9a-f]+\.([0-9]+)\.tmp")


@contextlib.contextmanager
def making(path: str) -> Iterator[str]:
    """Yield an empty directory that becomes ``path``, whole, at the end of the block.

    Raises FileExistsError when another made it meanwhile. After an error, or a kill, nothing has this name.
    """
    temporary = trees.temporary(path)
    os.mkdir(temporary, 0o700)
    held = _hold(temporary)
    try:
        yield temporary
        os.rename(temporary, path)
    except BaseException as error:
        trees.remove_tree(temporary)
        if isinstance(error, OSError) and error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, "it already exists", path) from None
        raise
    finally:
        os.close(held)


@contextlib.contextmanager
def temporary_directory(parent: str, *, mode: int = 0o700) -> Iterator[str]:
    """Yield an empty directory, to be moved to its place; what still has this name at the end of the block is removed.

    After a kill it is swept, as everything that is half made.
    """
    temporary = trees.temporary(f"{parent}/any")
    os.mkdir(temporary, mode)
    held = _hold(temporary)
    try:
        yield temporary
    finally:
        trees.remove_tree(temporary)
        os.close(held)


@contextlib.contextmanager
def temporary_file(parent: str) -> Iterator[tuple[str, int]]:
    """Yield the name of a new file, and the file open for writing, as `temporary_directory` does."""
    temporary = trees.temporary(f"{parent}/any")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield temporary, fd
    finally:
        os.close(fd)
        files.remove_file(temporary)


def _hold(directory: str) -> int:
    """Mark a directory as in somebody's hands, in whatever pid namespace; let go of by closing what comes back."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def _is_held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True  # another command is removing it, or it is nothing that we made
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sweep(paths: Paths) -> None:
    """Remove what processes that were killed left half made or half removed."""
    parts = (
        "images/layers",
        "images/blobs",
        "images/host",
        "build/snapshots",
        "build/downloads",
        "snapshots",
    )
    others = (f"{paths.root}/{part}" for part in parts)
    for directory in (paths.containers(), paths.networks(), paths.volumes(), *others):
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            continue
        for name in names:
            # no object's name begins with a dot
            maker = _TEMPORARY.fullmatch(name)
            if (
                maker is None
                or files.start_time(int(maker[1])) is not None
                or _is_held(f"{directory}/{name}")
            ):
                continue
            try:
                trees.remove_tree(f"{directory}/{name}")
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                # Somebody has mounted something in there: said when it was to be removed, and no concern of others.
