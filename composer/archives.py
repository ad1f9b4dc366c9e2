"""Trees of files as tar streams, and back: both ends of `cp`, and what `export` and `commit` write.

Shared by the command, which reads and writes the user's files, and by backends, which read and write a container's.
Neither trusts names: a tree is walked by descriptors that follow no link, and an archive is unpacked below directories
that the caller opens, entry by entry, so that whoever changes the tree meanwhile gains nothing (CVE-2018-15664).
Knows nothing of containers. Format: pax (POSIX.1-2017); equal trees give equal bytes.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self, cast

from composer.errors import CopyFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Describe = Callable[["Found"], list[tarfile.TarInfo]]
    OpenDirectory = Callable[[tuple[str, ...]], int]

_PIECE_BYTES = 1 << 18
_HOLE = bytes(4096)
"""A block of the usual file systems."""
_MOST_SPARSE_BYTES = 64 << 30
"""The largest file of which a few bytes of an archive may say that it is nearly all holes."""
_MAX_DEPTH = 400  # one descriptor for each level; no tree that people make is as deep
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_KEPT_XATTRS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
"""Attributes that change what files may do, or who may use them; and those of users, `_OF_USERS`."""
_OF_USERS = "user."
_XATTR = "SCHILY.xattr."
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


class Found(NamedTuple):
    """One thing in a tree: entry ``base`` of the open directory ``parent``, called ``name`` in the archive."""

    parent: int
    base: str
    name: str
    state: os.stat_result


# ------------------------------------------------------------------ a tree becomes an archive


def pack(parent: int, base: str, name: str, describe: Describe | None = None) -> Iterator[bytes]:
    """Yield an archive of entry ``base`` of the directory ``parent``, called ``name``; ``""`` leaves its own entry out.

    Sorted, links as links, no link followed; sockets are left out. ``describe`` says which headers stand for a thing.
    """
    packing = _Packing(describe or describe_plainly)
    try:
        state = os.lstat(base, dir_fd=parent)
    except OSError as error:
        raise _unreadable(name or base, error) from error
    yield from packing.run(Found(parent, base, name, state))
    yield bytes(2 * tarfile.BLOCKSIZE)


def describe_plainly(found: Found) -> list[tarfile.TarInfo]:
    """Return the header of a thing as it is; none for a socket."""
    state = found.state
    kind = _KINDS.get(stat.S_IFMT(state.st_mode))
    if kind is None:
        return []
    info = tarfile.TarInfo(found.name)
    info.type = kind
    info.mode = stat.S_IMODE(state.st_mode)
    info.uid, info.gid = state.st_uid, state.st_gid
    info.mtime = int(state.st_mtime)  # whole seconds, as Docker writes them
    if kind == tarfile.REGTYPE:
        info.size = state.st_size
    elif kind == tarfile.SYMTYPE:
        info.linkname = os.readlink(found.base, dir_fd=found.parent)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(state.st_rdev), os.minor(state.st_rdev)
    return [info]


class _Packing:
    """One tree on its way into an archive: a stack of open directories, the innermost last."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._links: dict[tuple[int, int], str] = {}
        self._stack: list[tuple[int, str, Iterator[str]]] = []

    def run(self, top: Found) -> Iterator[bytes]:
        try:
            yield from self._one(top)
            while self._stack:
                directory, prefix, names = self._stack[-1]
                base = next(names, None)
                if base is None:
                    os.close(directory)
                    self._stack.pop()
                    continue
                try:
                    state = os.lstat(base, dir_fd=directory)
                except FileNotFoundError:
                    continue  # it went while we were on our way
                name = f"{prefix}/{base}" if prefix else base
                yield from self._one(Found(directory, base, name, state))
        finally:
            for directory, _, _ in self._stack:
                os.close(directory)
            self._stack.clear()

    def _one(self, found: Found) -> Iterator[bytes]:
        if stat.S_ISREG(found.state.st_mode):
            yield from self._file(found)
            return
        entered = self._enter(found) if stat.S_ISDIR(found.state.st_mode) else -1
        if not found.name:
            return
        try:
            infos = self._describe(found)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL):
                raise _unreadable(found.name, error) from error
            return  # it went, or is no link any more
        for info in infos:
            if entered >= 0 and info.isdir():
                _add_xattrs(info, entered)
            yield _header(info)

    def _enter(self, found: Found) -> int:
        """Open a directory, whose entries come next; return its descriptor, -1 where it is none any more."""
        if len(self._stack) >= _MAX_DEPTH:
            raise CopyFailed(
                f"cannot read '{found.name[:80]}…': it is nested more than {_MAX_DEPTH} directories deep"
            )
        try:
            fd = os.open(found.base, _DIRECTORY, dir_fd=found.parent)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return -1  # it is another thing by now: what is written of it is an empty directory
            raise _unreadable(found.name, error) from error
        self._stack.append((fd, found.name, iter(sorted(os.listdir(fd)))))
        return fd

    def _file(self, found: Found) -> Iterator[bytes]:
        try:
            fd = open_regular(found.parent, found.base)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(found.name, error) from error
        try:
            state = os.fstat(fd)
            for info in self._describe(found._replace(state=state)):
                identity = (state.st_dev, state.st_ino)
                if state.st_nlink > 1 and self._links.setdefault(identity, info.name) != info.name:
                    info.type, info.linkname, info.size = tarfile.LNKTYPE, self._links[identity], 0
                else:
                    _add_xattrs(info, fd)
                yield _header(info)
                if info.isreg():
                    yield from _contents(fd, info)
        finally:
            os.close(fd)


def open_regular(parent: int, base: str, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, and nothing else: opening a device or a pipe may do things, or wait."""
    if not hasattr(os, "O_PATH"):
        fd = os.open(base, flags | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=parent)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "it is no longer a regular file", base)
    place = os.open(base, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is no longer a regular file", base)
        return os.open(f"/proc/self/fd/{place}", flags)
    finally:
        os.close(place)


def _contents(fd: int, info: tarfile.TarInfo) -> Iterator[bytes]:
    """Yield as many bytes as the header has promised, and what fills the last block."""
    left = info.size
    while left:
        piece = os.read(fd, min(left, _PIECE_BYTES))
        if not piece:
            raise CopyFailed(f"cannot read '{info.name}': it was truncated while it was read")
        left -= len(piece)
        yield piece
    if info.size % tarfile.BLOCKSIZE:
        yield bytes(-info.size % tarfile.BLOCKSIZE)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _add_xattrs(info: tarfile.TarInfo, fd: int) -> None:
    if not hasattr(os, "getxattr"):
        return
    try:
        names = [key for key in os.listxattr(fd) if key in _KEPT_XATTRS or key.startswith(_OF_USERS)]
    except OSError:
        return  # the file system has no such thing
    for key in names:
        try:
            value = os.getxattr(fd, key)
        except OSError:
            continue  # it has gone
        info.pax_headers = {**info.pax_headers, _XATTR + key: value.decode("utf-8", "surrogateescape")}


def _unreadable(name: str, error: OSError) -> CopyFailed:
    return CopyFailed(f"cannot read '{name}': {(error.strerror or str(error)).lower()}")


# ------------------------------------------------------------------ an archive becomes a tree


class Ownership(NamedTuple):
    """What unpacked files get: the archive's numbers (``keep``), fixed ones, or those of whoever unpacks.

    Without either, what would give rights that the owner in the archive did not mean is taken away: set-id bits,
    and devices for others than their owner.
    """

    keep: bool = False
    fixed: tuple[int, int] | None = None

    def of(self, info: tarfile.TarInfo) -> tuple[int, int] | None:
        return self.fixed or ((info.uid, info.gid) if self.keep else None)

    def mode(self, info: tarfile.TarInfo) -> int:
        if self.keep or self.fixed:
            return info.mode & 0o7777
        return info.mode & (0o600 if info.isdev() and not info.isfifo() else 0o1777)


def unpack(
    archive: Iterable[bytes],
    open_directory: OpenDirectory,
    ownership: Ownership,
    *,
    rename: str | None = None,
) -> None:
    """Unpack below the directories that ``open_directory`` opens by their parts, ``()`` being the top.

    ``rename`` replaces the first part of every name. A directory is never replaced by something else, nor the
    reverse (Docker's noOverwriteDirNonDir). Raises CopyFailed.
    """
    unpacking = _Unpacking(open_directory, ownership)
    try:
        pieces = Pieces(archive)
        with tarfile.open(fileobj=cast("BinaryIO", pieces), mode="r:", tarinfo=StrictInfo) as reader:
            for info in reader:
                parts = _parts(info.name, rename)
                link = _parts(info.linkname, rename) if info.islnk() else ()
                try:
                    unpacking.add(parts, info, _data(info, reader, pieces), link)
                except OSError as error:
                    reason = (error.strerror or str(error)).lower()
                    raise CopyFailed(f"cannot write '{'/'.join(parts) or '.'}': {reason}") from error
                reader.members = []  # type: ignore[attr-defined]  # it keeps all that it has read
        unpacking.finish()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise CopyFailed(f"not a tar archive, or a damaged one: {error}") from error


def _data(info: tarfile.TarInfo, reader: tarfile.TarFile, pieces: Pieces) -> Iterator[bytes]:
    """Yield the contents of a file in pieces. The size of each but the last is a multiple of the block size.

    Those of a file without holes are read directly: `tarfile` would copy them several times. Raises ReadError.
    """
    if info.issparse():
        contents = reader.extractfile(info)
        while contents is not None and (piece := contents.read(_PIECE_BYTES)):
            yield piece
        return
    left = info.size
    while left:
        piece = pieces.read(min(left, _PIECE_BYTES))
        if not piece:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(piece)
        yield piece


class StrictInfo(tarfile.TarInfo):
    """A header that is damaged is an error, and not the end of the archive as for `tarfile`."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from None


class WholeInfo(StrictInfo):
    """The same, and an archive has to have its end: two blocks of zeros."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if not buf:
            raise tarfile.ReadError("unexpected end of data")
        return super().frombuf(buf, encoding, errors)


def _parts(name: str, rename: str | None) -> tuple[str, ...]:
    """Split a name. Raises CopyFailed for one that leads out."""
    parts = [part for part in name.split("/") if part and part != "."]
    if len(parts) > _MAX_DEPTH:
        raise CopyFailed(
            f"cannot unpack '{name[:80]}…': it is nested more than {_MAX_DEPTH} directories deep"
        )
    if ".." in parts:
        raise CopyFailed(f"cannot unpack '{name}': its path points outside of the archive")
    if rename is None:
        return tuple(parts)
    is_below_dot = name.startswith(("./", "/")) or name in (".", "")
    return (rename, *(parts if is_below_dot else parts[1:]))


class _Unpacking:
    def __init__(self, open_directory: OpenDirectory, ownership: Ownership) -> None:
        self._open = open_directory
        self._ownership = ownership
        self._times: dict[tuple[str, ...], int] = {}

    def add(
        self,
        parts: tuple[str, ...],
        info: tarfile.TarInfo,
        data: Iterable[bytes],
        link: tuple[str, ...],
    ) -> None:
        if not parts:
            return  # the top is the caller's, and stays as it is
        parent = self._parent(parts[:-1])
        try:
            self._make_room(parent, parts[-1], info)
            if info.isdir():
                self._directory(parent, parts, info)
            elif info.isreg():
                self._file(parent, parts[-1], info, data)
            elif info.islnk():
                self._hard_link(parent, parts[-1], link)
            else:
                self._node(parent, parts[-1], info)
        finally:
            os.close(parent)

    def finish(self) -> None:
        """Set the times of directories, which change while something is put into them."""
        for parts, mtime in self._times.items():
            try:
                fd = self._open(parts)
            except OSError:
                continue  # it went meanwhile
            try:
                os.utime(fd, (mtime, mtime))
            finally:
                os.close(fd)

    def _parent(self, parts: tuple[str, ...]) -> int:
        try:
            return self._open(parts)
        except FileNotFoundError:
            if not parts:
                raise
        above = self._parent(parts[:-1])
        try:
            os.mkdir(parts[-1], 0o755, dir_fd=above)
        except FileExistsError:
            pass  # a link to nowhere, which the next look-up refuses, or made in the same moment
        finally:
            os.close(above)
        return self._open(parts)

    def _make_room(self, parent: int, name: str, info: tarfile.TarInfo) -> None:
        try:
            is_directory = stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode)
        except FileNotFoundError:
            return
        if is_directory and not info.isdir():
            raise CopyFailed(f"cannot overwrite directory '{name}' with non-directory")
        if not is_directory and info.isdir():
            raise CopyFailed(f"cannot overwrite non-directory '{name}' with directory")
        if not is_directory:
            try:
                os.unlink(name, dir_fd=parent)
            except FileNotFoundError:
                pass  # somebody else was faster
            except OSError as error:
                if error.errno != errno.EBUSY or not info.isreg():
                    raise
                # a file that is mounted there, such as /etc/hosts: it is written in its place

    def _directory(self, parent: int, parts: tuple[str, ...], info: tarfile.TarInfo) -> None:
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        except FileExistsError:
            pass  # it gets the attributes all the same
        fd = os.open(parts[-1], _DIRECTORY, dir_fd=parent)
        try:
            self._set_attributes(fd, info)
        finally:
            os.close(fd)
        self._times[parts] = int(info.mtime)

    def _file(self, parent: int, name: str, info: tarfile.TarInfo, data: Iterable[bytes]) -> None:
        if info.issparse() and info.size > _MOST_SPARSE_BYTES:
            raise CopyFailed(
                f"'{info.name}' is too large: {info.size >> 30} GiB, most of it holes",
                hint="write the archive without --sparse",
            )
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        except FileExistsError:
            fd = _open_mounted(parent, name)
        try:
            piece = b""
            for piece in data:
                _write_sparsely(fd, piece)
            if piece[-1:] in (b"", b"\0"):
                os.ftruncate(fd, info.size)  # a hole at the end
            self._set_attributes(fd, info)
            os.utime(fd, (info.mtime, info.mtime))
        finally:
            os.close(fd)

    def _hard_link(self, parent: int, name: str, link: tuple[str, ...]) -> None:
        if not link:
            raise CopyFailed(f"cannot unpack '{name}': its link target does not exist")
        source = self._open(link[:-1])
        try:
            os.link(link[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _node(self, parent: int, name: str, info: tarfile.TarInfo) -> None:
        if info.issym():
            os.symlink(info.linkname, name, dir_fd=parent)
        elif info.isdev():
            kind = stat.S_IFIFO if info.isfifo() else stat.S_IFCHR if info.ischr() else stat.S_IFBLK
            number = 0 if info.isfifo() else os.makedev(info.devmajor, info.devminor)
            # the exact mode at once: a chmod afterwards follows whatever is put in its place
            umask = os.umask(0)
            try:
                os.mknod(name, kind | self._ownership.mode(info), number, dir_fd=parent)
            finally:
                os.umask(umask)
        else:
            raise CopyFailed(f"cannot unpack '{name}': unknown entry type")
        owner = self._ownership.of(info)
        if owner is not None:
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
        os.utime(name, (info.mtime, info.mtime), dir_fd=parent, follow_symlinks=False)

    def _set_attributes(self, fd: int, info: tarfile.TarInfo) -> None:
        owner = self._ownership.of(info)
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, self._ownership.mode(info))
        if owner is not None and hasattr(os, "setxattr"):
            for header, value in info.pax_headers.items():
                key = header.removeprefix(_XATTR)
                if header.startswith(_XATTR) and (key in _KEPT_XATTRS or key.startswith(_OF_USERS)):
                    _set_xattr(fd, key, value.encode("utf-8", "surrogateescape"))


def _set_xattr(fd: int, key: str, value: bytes) -> None:
    try:
        os.setxattr(fd, key, value)
    except OSError as error:
        if error.errno != errno.ENOTSUP or not key.startswith(_OF_USERS):
            raise  # of these nothing depends on, and some file systems have none


def _write_sparsely(fd: int, piece: bytes) -> None:
    """Write at the place of a descriptor; blocks of zeros become holes: archives have no word for those of a file."""
    view = memoryview(piece)
    if _HOLE not in piece:
        _write_all(fd, view)
        return
    for start in range(0, len(piece), len(_HOLE)):
        block = view[start : start + len(_HOLE)]
        if block == _HOLE:
            os.lseek(fd, len(_HOLE), os.SEEK_CUR)
        else:
            _write_all(fd, block)


def _write_all(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def _open_mounted(parent: int, name: str) -> int:
    try:
        fd = open_regular(parent, name, os.O_WRONLY)
    except FileNotFoundError:
        raise CopyFailed(f"cannot overwrite '{name}': it is in use") from None
    os.ftruncate(fd, 0)
    return fd


class Pieces:
    """An iterable of bytes as a file that is read from its front to its end, such as tarfile wants."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece, self._used = b"", 0
        self._position = 0

    def read(self, size: int) -> bytes:
        return b"".join(self.take(size))

    def take(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes, whole pieces as they are; fewer than ``size`` at the end."""
        while size > 0:
            have = len(self._piece) - self._used
            if not have:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._piece, self._used = piece, 0
                continue
            taken = min(size, have)
            start, self._used = self._used, self._used + taken
            self._position += taken
            size -= taken
            yield self._piece if taken == len(self._piece) else self._piece[start : start + taken]

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Go on. Raises ValueError for a place that has been passed."""
        if whence != os.SEEK_SET or position < self._position:
            raise ValueError("only what follows can be read")
        for _ in self.take(position - self._position):
            pass
        return self._position


def directory_below(top: int, parts: tuple[str, ...]) -> int:
    """Open a directory below another, following no link: for trees that are nobody else's business."""
    fd = os.dup(top)
    for part in parts:
        try:
            below = os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


# ------------------------------------------------------------------ an archive becomes a file


@contextmanager
def whole_file(path: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name when the block ends well. Raises OSError.

    A device or a pipe is written to: giving another file its name would take ``/dev/null`` from the machine. A link
    stays, and what it leads to is replaced.
    """
    target = os.path.realpath(path)
    try:
        is_regular = stat.S_ISREG(os.stat(target).st_mode)
    except FileNotFoundError:
        is_regular = True
    if not is_regular:
        with open(target, "wb") as file:
            yield file
        return
    temporary = f"{target}.{os.getpid()}.part"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
