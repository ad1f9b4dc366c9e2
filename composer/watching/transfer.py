"""Files into one container: what is gone here is removed there, then one archive brings the rest.

Modes are kept, and owner is the user that the container runs as, as Docker Compose has it. A file that is written
while it is read is sent as it was found: the change that follows sends it again.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from composer.engine.running.copying import rooted
from composer.engine.wanted import ExecSpec
from composer.errors import BackendError, CopyFailed, NotFound
from composer.watching.rules import below
from composer.watching.sources import leads_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.engine.backend import Backend, Session
    from composer.watching.work import Entry

_WHOLE_BYTES = 4 << 20
"""Files up to here are read before their size is written."""
_PIECE_BYTES = 1 << 20
_COMMAND_BYTES = 64 << 10
"""The length of one command; the kernel takes 128 KiB in one argument, and 2 MiB in all."""


class _Item(NamedTuple):
    """Something to be copied to ``path`` of the container."""

    path: str
    source: str
    state: os.stat_result
    link: str = ""

    @property
    def is_copied(self) -> bool:
        """Tell whether an archive holds it: no device, pipe or socket."""
        return bool(self.link) or stat.S_ISREG(self.state.st_mode) or stat.S_ISDIR(self.state.st_mode)


class Transferred(NamedTuple):
    """What came of it: the paths that are up to date now, and what a person should know of others."""

    paths: frozenset[str]
    warnings: tuple[str, ...] = ()


def transfer(
    backend: Backend,
    id: str,
    entries: Mapping[str, Entry],
    *,
    running: bool = True,
    hidden: Sequence[str] = (),
    mounts: Sequence[str] = (),
) -> Transferred:
    """Bring a container's files up to date. Raises BackendError or CopyFailed; it may be done in part then.

    Removing needs a container that runs, and its ``rm``: what is to be removed from one that does not run waits. So
    does what goes below the paths ``hidden``, which the backend does not reach: that needs the container's ``tar``.
    What is mounted at the paths ``mounts`` is not removed with a directory: files that came from elsewhere are in it.
    """
    removed, files, items = list[str](), list[str](), list[_Item]()
    warnings: list[str] = []
    for path in sorted(entries):
        entry = entries[path]
        found = _look(path, entry)
        if found is None or entry.replaces:
            if path == "/" or any(below(place, path) is not None for place in mounts):
                warnings.append(f"'{path}' is not removed: something is mounted there, or below it")
            else:
                (files if entry.is_target else removed).append(path)
        if found is not None and found.is_copied and (running or not entry.replaces):
            items.append(found)
    if running:
        _remove(backend, id, _topmost(removed), "-rf")
        # a file was watched: if there is a directory in the container, that was never ours
        _remove(backend, id, files, "-f")
    inner, outer = list[_Item](), list[_Item]()
    for item in items:
        is_hidden = any(below(item.path, place) is not None for place in hidden)
        (inner if is_hidden else outer).append(item)
    if outer:
        _write(backend, id, outer, warnings)
    if inner and running:
        _write_inside(backend, id, inner, warnings)
    waiting = frozenset() if running else frozenset((*removed, *files, *(item.path for item in inner)))
    return Transferred(frozenset(entries) - waiting, tuple(warnings))


def _look(path: str, entry: Entry) -> _Item | None:
    """Look at what is to be copied; None where nothing is there."""
    try:
        state = os.lstat(entry.source)
        if not stat.S_ISLNK(state.st_mode):
            return _Item(path, entry.source, state)
        if leads_out(entry.source, entry.root) and os.path.exists(entry.source):
            return _Item(path, entry.source, os.stat(entry.source))
        return _Item(path, entry.source, state, os.readlink(entry.source))
    except OSError:
        return None


# ------------------------------------------------------------------ removing


def _topmost(paths: Sequence[str]) -> list[str]:
    """Return sorted paths without those that go with another."""
    kept: list[str] = []
    seen: set[str] = set()
    for path in paths:
        above = posixpath.dirname(path)
        while above not in seen and above != "/":
            above = posixpath.dirname(above)
        if above not in seen:
            kept.append(path)
            seen.add(path)
    return kept


def _remove(backend: Backend, id: str, paths: Sequence[str], how: str) -> None:
    group: list[str] = []
    size = 0
    for path in paths:
        if group and size + len(os.fsencode(path)) > _COMMAND_BYTES:
            _run_rm(backend, id, group, how)
            group, size = [], 0
        group.append(path)
        size += len(os.fsencode(path)) + 1
    if group:
        _run_rm(backend, id, group, how)


def _run_rm(backend: Backend, id: str, paths: Sequence[str], how: str) -> None:
    """Remove paths as the user root: what was copied may be in directories that only root may write to."""
    spec = ExecSpec(("rm", how, "--", *paths), user="0", working_dir="/", interactive=False)
    _conclude(backend.exec(id, spec), f"cannot remove '{paths[0]}': rm")


def _conclude(session: Session, command: str) -> None:
    """Wait until a command has ended. Raises CopyFailed with its last line where it failed."""
    try:
        output = b""
        while (chunk := session.read()) is not None:
            output = (output + chunk[1])[-1024:]
        code = session.wait()
    finally:
        session.close()
    if code:
        lines = output.decode(errors="replace").strip().splitlines()
        raise CopyFailed(f"{command} exited with code {code}{f': {lines[-1]}' if lines else ''}")


# ------------------------------------------------------------------ copying


def _write(backend: Backend, id: str, items: Sequence[_Item], warnings: list[str]) -> None:
    base = _base(backend, id, posixpath.commonpath([posixpath.dirname(item.path) for item in items]))
    try:
        backend.write_path(id, base, _gathered(_archive(items, base, warnings)), to_user=True)
    except NotFound as error:
        raise CopyFailed(f"cannot copy to '{base}': {error}") from error


def _write_inside(backend: Backend, id: str, items: Sequence[_Item], warnings: list[str]) -> None:
    """Unpack in the container, as its user: where no request of the backend reaches."""
    session = backend.exec(id, ExecSpec(("tar", "-x", "-p", "-f", "-", "-C", "/")))
    try:
        for piece in _gathered(_archive(items, "/", warnings)):
            session.write(piece)
        session.close_stdin()
    except BrokenPipeError:
        pass  # it has ended: its exit code and its words say why
    _conclude(session, f"cannot copy to '{items[0].path}': tar")


def _base(backend: Backend, id: str, directory: str) -> str:
    """Return a directory of the container, or the one above it that is there."""
    while directory != "/":
        try:
            backend.stat_path(id, f"{rooted(directory)}/")
            return directory
        except NotFound:
            directory = posixpath.dirname(directory)
        except BackendError:
            return "/"  # an engine that cannot tell; the archive says what is wrong
    return directory


def _archive(items: Sequence[_Item], base: str, warnings: list[str]) -> Iterator[bytes]:
    """Yield a tar with names relative to ``base``; what cannot be read is left out, and told in ``warnings``."""
    for item in items:
        name = below(item.path, base) or posixpath.basename(item.path)
        info = tarfile.TarInfo(name)
        info.mode = stat.S_IMODE(item.state.st_mode)
        info.mtime = int(item.state.st_mtime)
        if item.link:
            info.type, info.linkname = tarfile.SYMTYPE, item.link
            yield _header(info)
        elif stat.S_ISDIR(item.state.st_mode):
            info.type = tarfile.DIRTYPE
            yield _header(info)
        else:
            try:
                yield from _file(info, item.source)
            except _Unread as unread:
                warnings.append(f"cannot read '{item.source}': {unread}")
    yield bytes(2 * tarfile.BLOCKSIZE)


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same in fewer pieces: each is a message to an engine."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        if len(kept) >= _PIECE_BYTES:
            yield bytes(kept)
            kept.clear()
    yield bytes(kept)


class _Unread(Exception):
    """A file that cannot be opened, and why."""


def _file(info: tarfile.TarInfo, source: str) -> Iterator[bytes]:
    try:
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        return  # its removal is the next change
    except OSError as error:
        raise _Unread((error.strerror or str(error)).lower()) from error
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return  # it is something else by now, which is the next change
        if state.st_size <= _WHOLE_BYTES:
            try:
                data = file.read(_WHOLE_BYTES)
            except OSError as error:
                raise _Unread((error.strerror or str(error)).lower()) from error
            info.size = len(data)
            yield _header(info) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
            return
        info.size = state.st_size
        yield _header(info)
        yield from _pieces(file, info.size)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield as many bytes as were promised, zeros for those that somebody cut off meanwhile."""
    left = size
    while left:
        try:
            piece = file.read(min(left, _PIECE_BYTES)) or bytes(min(left, _PIECE_BYTES))
        except OSError as error:
            raise CopyFailed(
                f"cannot read '{file.name}': {(error.strerror or str(error)).lower()}"
            ) from error
        left -= len(piece)
        yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
