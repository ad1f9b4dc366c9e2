"""A file that fills a file system of a container: only one of its own, a tmpfs or a volume with a size."""

from __future__ import annotations

import errno
import os

from composer.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = ".composer-fault-{id}"
_PIECE_BYTES = 1 << 20
_VOLUME = pattern(r"/volumes/[^/]+/_data$")
"""Where engines mount what a volume has of its own."""


class Refused(Exception):
    """The place is not a file system of the container's own."""


def fill(pid: int, path: str, id: str) -> str:
    """Fill the file system at a container's path; return the file. Raises Refused, or OSError."""
    place = f"/proc/{pid}/root{path}"
    if os.stat(place).st_dev == os.stat(f"/proc/{pid}/root/").st_dev:
        raise Refused(
            f"{path} is in the container's own layer: use a path of a tmpfs or of a volume with a size"
        )
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        if is_of_host(os.stat(place).st_dev, mounts):
            raise Refused(f"{path} is on a file system of the host: use a tmpfs or a volume with a size")
    file = f"{place.rstrip('/')}/{_NAME.format(id=id)}"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        data = bytes(_PIECE_BYTES)
        size = len(data)
        while size:
            try:
                os.write(fd, data[:size])
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                size //= 2
    except BaseException:
        os.unlink(file)
        raise
    finally:
        os.close(fd)
    return file


def is_of_host(device: int, mounts: Iterable[str]) -> bool:
    """Tell whether a file system is mounted on this machine elsewhere than for a volume of an engine.

    ``mounts`` are lines of mountinfo(5). Whoever fills the file system of a bind mount takes the disk from all others.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    points = [fields[4] for line in mounts if (fields := line.split())[2] == number]
    return any(_VOLUME.search(point) is None for point in points)


def free(file: str) -> None:
    try:
        os.unlink(file)
    except FileNotFoundError:
        pass  # the container has gone, and its file system with it
