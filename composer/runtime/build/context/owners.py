"""``--chown``: names of users and groups become numbers, by the files of the image that is written to."""

from __future__ import annotations

import errno
import os

from composer.errors import BuildFailed
from composer.runtime.base import opening

_MAX_ID = (1 << 32) - 2
_MAX_DATABASE_BYTES = 10 << 20


def resolve_owner(root: int, text: str) -> tuple[int, int]:
    """Return uid and gid of ``user``, ``user:group``, ``:group``, by name or number, with /etc/passwd and /etc/group
    of the open directory ``root``.

    A user's number is its group too where none is given; a user's name has the group that passwd says. Raises
    BuildFailed for a name that is not there, as Docker's reference has it (BuildKit takes root instead).
    """
    user, colon, group = text.partition(":")
    if ":" in group:
        raise BuildFailed(f"invalid chown parameter: '{text}'", hint="write --chown=USER:GROUP")
    if not user:
        uid = gid = 0
    elif user.isdecimal():
        uid = gid = _number(user, text)
    else:
        row = _row(root, "/etc/passwd", user, 4)
        if row is None:
            raise _unknown("user", user, "/etc/passwd")
        uid, gid = _number(row[2], text), _number(row[3], text)
    if colon and not group:
        gid = 0
    elif group.isdecimal():
        gid = _number(group, text)
    elif group:
        row = _row(root, "/etc/group", group, 3)
        if row is None:
            raise _unknown("group", group, "/etc/group")
        gid = _number(row[2], text)
    return uid, gid


def _number(text: str, whole: str) -> int:
    if not (text.isdecimal() and len(text) <= 10 and int(text) <= _MAX_ID):
        raise BuildFailed(f"invalid chown parameter: '{whole}': '{text}' is out of range (0 to {_MAX_ID})")
    return int(text)


def _unknown(kind: str, name: str, path: str) -> BuildFailed:
    return BuildFailed(
        f"unable to find {kind} '{name}': no matching entries in {path}",
        hint=f"give its number, or create the {kind} in an instruction before this one",
    )


def _row(root: int, path: str, name: str, fields: int) -> list[str] | None:
    for line in _database(root, path).splitlines():
        row = line.split(":")
        if row[0] == name and len(row) >= fields and not line.startswith("#"):
            return row
    return None


def _database(root: int, path: str) -> str:
    try:
        fd = opening.followed(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
            return ""  # what is no file is not read: opening a device or a FIFO would do things
        raise BuildFailed(f"cannot read '{path}' of the image: {error.strerror}") from error
    with open(fd, "rb") as file:
        data = file.read(_MAX_DATABASE_BYTES + 1)
    if len(data) > _MAX_DATABASE_BYTES:
        raise BuildFailed(f"'{path}' of the image exceeds {_MAX_DATABASE_BYTES >> 20} MiB")
    return os.fsdecode(data)
