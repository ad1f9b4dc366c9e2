"""Where the server of Docker's API listens, and the units that start it on demand."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from composer import errors, state_root

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOCKET_UNIT = """\
# {directory}/composer.socket
[Unit]
Description=Docker's API for the containers of composer

[Socket]
ListenStream={path}
SocketMode=0660
{group}
[Install]
WantedBy=sockets.target
"""
_SERVICE_UNIT = """\
# {directory}/composer.service
[Unit]
Description=Docker's API for the containers of composer
Requires=composer.socket

[Service]
ExecStart={command} serve --fd --idle-exit 60
KillMode=process
"""


def socket_path(environment: Mapping[str, str]) -> str:
    """Return where the server listens, unless it is told otherwise."""
    return f"{state_root.find(environment).run}/docker.sock"


def client_path(environment: Mapping[str, str]) -> str:
    """Return where clients look: at root's server, where this user has none and root's lets the user in (--group)."""
    own = socket_path(environment)
    if not os.path.exists(own) and not environment.get("COMPOSER_ROOT"):
        roots = socket_path_of_root()
        if os.access(roots, os.W_OK):
            return roots
    return own


def socket_path_of_root() -> str:
    return f"{state_root.find({}, 0).run}/docker.sock"


def group_id(name: str | None) -> int | None:
    """Return a group's number. Raises ProjectError."""
    if not name:
        return None
    import grp

    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise errors.ProjectError(
            f"group '{name}' does not exist", hint=f"create it with groupadd {name}, or name another"
        ) from None


def units(path: str, group: str | None) -> str:
    """Return a socket's and a service's unit. KillMode=process: containers stay when the server is stopped."""
    directory = "/etc/systemd/system"
    command = shlex.quote(os.path.abspath(sys.argv[0]))
    lines = f"SocketGroup={group}\n" if group else ""
    if group and path == socket_path_of_root():
        # composer's own directory is closed to others
        name, place = shlex.quote(group), os.path.dirname(path)
        lines += f"ExecStartPost=/bin/chgrp {name} {place}\nExecStartPost=/bin/chmod 0710 {place}\n"
    socket_unit = _SOCKET_UNIT.format(directory=directory, path=path, group=lines)
    return f"{socket_unit}\n{_SERVICE_UNIT.format(directory=directory, command=command)}"
