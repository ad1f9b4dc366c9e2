"""Copying between containers and the machine that the command runs on, by the rules of ``docker cp``.

    source        destination is a directory     is a file       is not there
    file          into it                        replaces it     becomes it, where its parent exists
    directory     into it                        refused         becomes it, where its parent exists
    directory/.   its contents into it           refused         becomes it, where its parent exists

A name that ends in ``/`` must be, or lead to, a directory. Links at the end of a source are copied as links, at the
end of a destination they are followed. Reference: https://docs.docker.com/reference/cli/docker/container/cp/
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer import archives
from composer.errors import CopyFailed, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from composer.engine.backend import Backend

_PIECE_BYTES = 1 << 16
_MAX_LINKS = 10


class Place(NamedTuple):
    """Where something goes: into ``directory``, under the name ``rename`` where that is not its own."""

    directory: str
    rename: str | None = None


class Target(NamedTuple):
    """A destination as it is now. ``shown`` is how the user wrote it."""

    path: str
    exists: bool
    is_directory: bool
    shown: str


def place(source_is_directory: bool, target: Target) -> Place:
    """Decide where a source goes. Raises CopyFailed."""
    if target.exists and target.is_directory:
        return Place(target.path)
    if target.exists and source_is_directory:
        raise CopyFailed(
            f"cannot copy a directory to file '{target.shown}'",
            hint="specify an existing directory, or a path that does not exist yet",
        )
    if not source_is_directory and asserts_directory(target.path):
        raise CopyFailed(
            f"cannot copy to '{target.shown}': no such directory",
            hint="create it first, or remove the trailing '/'",
        )
    parent, name = posixpath.split(posixpath.normpath(target.path))
    return Place(parent, name)


def asserts_directory(path: str) -> bool:
    """Tell whether a path says by its end that it is a directory."""
    return path.endswith("/") or posixpath.basename(path) == "."


# ------------------------------------------------------------------ into a container


def copy_in(
    backend: Backend, id: str, source: str, destination: str, *, follow: bool = False, to_user: bool = False
) -> None:
    """Copy an absolute local path to a path in a container. Raises CopyFailed or BackendError."""
    real, name = _local_source(source, follow)
    is_directory = os.path.isdir(real) and not os.path.islink(real)
    found = place(is_directory, _inner_target(backend, id, destination))
    parent, base = (real, ".") if real == "/" else os.path.split(real)
    fd = _open_directory(parent)
    try:
        packed = archives.pack(fd, base, found.rename or name)
        backend.write_path(id, found.directory, packed, to_user=to_user)
    except NotFound as error:
        raise _no_parent(error, destination) from error
    finally:
        os.close(fd)


def stream_in(
    backend: Backend, id: str, stream: BinaryIO, destination: str, *, to_user: bool = False
) -> None:
    """Unpack a tar that is read from a stream into a directory of a container."""
    target = _inner_target(backend, id, destination)
    if not target.is_directory:
        raise CopyFailed(f"cannot unpack an archive at '{destination}': it must be an existing directory")
    pieces = iter(lambda: stream.read(_PIECE_BYTES), b"")
    backend.write_path(id, target.path, pieces, to_user=to_user)


def _no_parent(error: NotFound, destination: str) -> CopyFailed:
    parent = posixpath.dirname(posixpath.normpath(destination))
    return CopyFailed(
        f"cannot copy to '{destination}': {error}", hint=f"create '{parent}' in the container first"
    )


def _local_source(path: str, follow: bool) -> tuple[str, str]:
    """Return the real path of a local source, and what it is called in the archive. Raises CopyFailed."""
    name = posixpath.basename(path.rstrip("/")) or "."
    try:
        if follow or asserts_directory(path):
            real = os.path.realpath(path, strict=True)
        else:
            real = os.path.join(os.path.realpath(os.path.dirname(path), strict=True), name)
        if asserts_directory(path) and not os.path.isdir(real):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.lstat(real)
    except OSError as error:
        raise CopyFailed(f"cannot copy '{path}': {(error.strerror or str(error)).lower()}") from error
    return real, name


def _inner_target(backend: Backend, id: str, path: str) -> Target:
    """Look at a destination in a container; a link at its end is followed."""
    asked = rooted(path)
    try:
        found = backend.stat_path(id, asked)
        if stat.S_ISLNK(found.mode):
            asked = found.link_target
            found = backend.stat_path(id, asked)
    except NotFound:
        return Target(asked, False, False, path)
    if not (stat.S_ISDIR(found.mode) or stat.S_ISREG(found.mode)):
        raise CopyFailed(f"cannot copy to '{path}': it is neither a directory nor a regular file")
    return Target(asked, True, stat.S_ISDIR(found.mode), path)


def rooted(path: str) -> str:
    """Return a container's path from its root, with what its end says about it."""
    clean = posixpath.normpath(f"/{path}").replace("//", "/", 1)
    if posixpath.basename(path) == ".":
        return f"{clean.rstrip('/')}/."
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


# ------------------------------------------------------------------ out of a container


def copy_out(backend: Backend, id: str, source: str, destination: str, *, follow: bool = False) -> None:
    """Copy a path in a container to an absolute local path. Raises CopyFailed or BackendError."""
    _check_output(destination)
    found, pieces, name = _inner_source(backend, id, source, follow)
    try:
        chosen = place(stat.S_ISDIR(found), _local_target(destination))
        top = _open_directory(chosen.directory)
        try:
            rename = chosen.rename or name
            archives.unpack(pieces, _opener(top), archives.Ownership(), rename=rename)
        finally:
            os.close(top)
    finally:
        _close(pieces)


def stream_out(
    backend: Backend, id: str, source: str, write: Callable[[bytes], object], *, follow: bool = False
) -> None:
    """Write a tar of a path in a container."""
    _, pieces, _ = _inner_source(backend, id, source, follow)
    try:
        for piece in pieces:
            write(piece)
    finally:
        _close(pieces)


def _inner_source(
    backend: Backend, id: str, source: str, follow: bool
) -> tuple[int, Iterator[bytes], str | None]:
    """Return mode and archive of a source, and the name that it gets where that is not the archive's."""
    path, name = rooted(source), None
    if follow:
        found = backend.stat_path(id, path)
        if stat.S_ISLNK(found.mode):
            path, name = found.link_target, posixpath.basename(path)
    state, pieces = backend.read_path(id, path)
    return state.mode, pieces, name


def _check_output(path: str) -> None:
    """Refuse a destination whose directory is not there, before anything is copied."""
    parent = os.path.dirname(path.rstrip("/"))
    if parent and not os.path.isdir(parent):
        raise CopyFailed(f"cannot copy to '{path}': no such directory '{parent}'", hint="create it first")


def _local_target(path: str) -> Target:
    """Look at a local destination; links at its end are followed, also one that leads nowhere yet."""
    asked = path
    for _ in range(_MAX_LINKS):
        if not os.path.islink(asked.rstrip("/") or "/"):
            break
        here = asked.rstrip("/")
        asked = os.path.join(os.path.dirname(here), os.readlink(here))
    else:
        raise CopyFailed(f"cannot copy to '{path}': too many levels of symbolic links")
    if not os.path.lexists(asked):
        if not os.path.isdir(os.path.dirname(asked.rstrip("/")) or "/"):
            raise CopyFailed(f"cannot copy to '{path}': its parent directory does not exist")
        return Target(asked, False, False, path)
    return Target(asked, True, os.path.isdir(asked), path)


def _open_directory(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        raise CopyFailed(f"cannot open '{path}': {(error.strerror or str(error)).lower()}") from error


def _opener(top: int) -> Callable[[tuple[str, ...]], int]:
    return lambda parts: archives.directory_below(top, parts)


def _close(pieces: Iterable[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
