"""The members of an archive by name: in a tar, plain or compressed, or in a directory.

A plain tar is read where it is, and a layer of gigabytes is passed over by seeking; a compressed one is
decompressed into a nameless file beside the store first. Nothing is unpacked.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import tempfile
from typing import TYPE_CHECKING, BinaryIO

from composer.errors import ImageError
from composer.runtime.base import opening
from composer.runtime.images import compression
from composer.runtime.images.archive import Bounds
from composer.runtime.images.pipeline import file_chunks
from composer.runtime.images.tar import FileSource, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_SMALL_BYTES = 8 << 20
_MAX_MEMBERS = 100_000
_MAX_LINKS = 16


class Member:
    """One file of an archive; reads are from its own descriptor, so that several can be open."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self.size = size

    def __enter__(self) -> Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(self._offset)
        return file_chunks(self._file, self.size)


class Archive:
    """Names to bytes. A compressed archive is decompressed into a file beside the store first."""

    def __init__(self, path: str, scratch: str) -> None:
        self._path = path
        self._scratch = scratch
        self._unpacked: BinaryIO | None = None
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}

    def __enter__(self) -> Archive:
        self._is_directory = stat.S_ISDIR(os.stat(self._path).st_mode)
        if not self._is_directory:
            self._index()
        return self

    def __exit__(self, *_: object) -> None:
        if self._unpacked is not None:
            self._unpacked.close()

    def _index(self) -> None:
        with open(self._path, "rb") as file:
            if compression.kind_of(file.read(8)):
                file.seek(0)
                self._decompress(file)
        with self._reopen() as file:
            reader = Reader(FileSource(file))
            for entry in reader:
                if len(self._members) + len(self._links) >= _MAX_MEMBERS:
                    raise ImageError(f"it has too many members (limit: {_MAX_MEMBERS})")
                name = posixpath.normpath(entry.name)
                if entry.kind == "0":
                    self._members[name] = (reader.offset, entry.size)
                elif entry.kind == "2":
                    self._links[name] = posixpath.normpath(
                        posixpath.join(posixpath.dirname(name), entry.link)
                    )
                elif entry.kind == "1":
                    self._links[name] = posixpath.normpath(entry.link)

    def _decompress(self, file: BinaryIO) -> None:
        self._unpacked = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - closed on exit
        total, bounds = 0, Bounds()
        for piece in compression.decompress(file_chunks(file)):
            total += len(piece)
            disk = os.fstatvfs(self._unpacked.fileno())
            if total > bounds.size_bytes or disk.f_bavail * disk.f_frsize < bounds.free_bytes:
                raise ImageError(
                    "no space left on device",
                    hint="free up disk space, or set COMPOSER_ROOT to a directory on another disk",
                )
            self._unpacked.write(piece)
        self._unpacked.flush()

    def _reopen(self) -> BinaryIO:
        if self._unpacked is None:
            return open(self._path, "rb", buffering=0)
        return open(f"/proc/self/fd/{self._unpacked.fileno()}", "rb")

    def _resolve(self, name: str) -> str:
        name = posixpath.normpath(name)
        for _ in range(_MAX_LINKS):
            if name not in self._links:
                return name
            name = self._links[name]
        raise ImageError(f"symbolic link loop at '{name}'")

    def has(self, name: str) -> bool:
        if self._is_directory:
            return os.path.isfile(f"{self._path}/{name}")
        return self._resolve(name) in self._members

    def open(self, name: str) -> Member:
        """Open a member. Raises ImageError when there is none."""
        if self._is_directory:
            return self._open_file(name)
        found = self._members.get(self._resolve(name))
        if found is None:
            raise ImageError(f"'{name}' not found in the archive")
        return Member(self._reopen(), *found)

    def _open_file(self, name: str) -> Member:
        root = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = opening.followed(root, name)
        except FileNotFoundError:
            raise ImageError(f"'{name}' not found in the archive") from None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise ImageError(f"'{name}' is not a regular file") from None
        finally:
            os.close(root)
        return Member(os.fdopen(fd, "rb"), 0, os.fstat(fd).st_size)

    def read(self, name: str) -> bytes:
        """Return a small member whole."""
        with self.open(name) as member:
            if member.size > _MAX_SMALL_BYTES:
                raise ImageError(f"'{name}' is too large ({member.size} bytes)")
            return b"".join(member.chunks())
