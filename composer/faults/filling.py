"""A file that fills a file system of a container: only one of its own, a tmpfs or a volume with a size."""

from __future__ import annotations

import errno
import os

_NAME = ".composer-fault-{id}"
_PIECE_BYTES = 1 << 20


class Refused(Exception):
    """The place is not a file system of the container's own."""


def fill(pid: int, path: str, id: str) -> str:
    """Fill the file system at a container's path; return the file. Raises Refused, or OSError."""
    place = f"/proc/{pid}/root{path}"
    if os.stat(place).st_dev == os.stat(f"/proc/{pid}/root/").st_dev:
        raise Refused(
            f"{path} is in the container's own layer: use a path of a tmpfs or of a volume with a size"
        )
    if os.stat(place).st_dev in {os.stat(one).st_dev for one in ("/", "/tmp", "/var", "/run")}:
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


def free(file: str) -> None:
    try:
        os.unlink(file)
    except FileNotFoundError:
        pass  # the container has gone, and its file system with it
