"""A file that fills a file system of a container: only one of its own, a tmpfs or a volume with a size."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.base import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE_BYTES = 1 << 20
_VOLUME = pattern(r"/volumes/[^/]+/_data$")
"""Where engines mount what a volume has of its own."""


class Refused(Exception):
    """The place is not a file system of the container's own."""


class Filled(NamedTuple):
    """A file that fills the file system at a path of a process's container."""

    pid: int
    path: str
    id: str

    @property
    def name(self) -> str:
        return f".composer-fault-{self.id}"


def fill(wanted: Filled) -> None:
    """Make the file. Raises Refused, or OSError.

    What is looked at and what is filled is one descriptor, found as the container finds it: a link that the container
    has, or exchanges meanwhile, leads to none of the host's file systems.
    """
    with _opened(wanted) as (directory, is_layer):
        if is_layer:
            raise Refused(
                f"{wanted.path} is in the container's own layer: use a path of a tmpfs or of a volume with a size"
            )
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            if is_of_host(os.fstat(directory).st_dev, mounts):
                raise Refused(
                    f"{wanted.path} is on a file system of the host: use a tmpfs or a volume with a size"
                )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(wanted.name, flags, 0o600, dir_fd=directory)
        try:
            _fill(fd)
        finally:
            os.close(fd)


def _fill(fd: int) -> None:
    data = bytes(_PIECE_BYTES)
    size = len(data)
    while size:
        try:
            os.write(fd, data[:size])
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            size //= 2


@contextlib.contextmanager
def _opened(wanted: Filled) -> Iterator[tuple[int, bool]]:
    """Yield the directory's descriptor, and whether it is in the container's own layer. Raises OSError."""
    root = os.open(f"/proc/{wanted.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            directory = syscalls.openat2(root, wanted.path, flags)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), wanted.path) from None
        try:
            yield directory, os.fstat(directory).st_dev == os.fstat(root).st_dev
        finally:
            os.close(directory)
    finally:
        os.close(root)


def is_of_host(device: int, mounts: Iterable[str]) -> bool:
    """Tell whether a file system is mounted on this machine elsewhere than for a volume of an engine.

    ``mounts`` are lines of mountinfo(5). Whoever fills the file system of a bind mount takes the disk from all others.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    points = [fields[4] for line in mounts if (fields := line.split())[2] == number]
    return any(_VOLUME.search(point) is None for point in points)


def free(filled: Filled) -> None:
    """Remove the file; a container that has gone has taken its file system along."""
    try:
        with _opened(filled) as (directory, _):
            os.unlink(filled.name, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return
