"""The name server's sockets in a running container, made anew from outside."""

from __future__ import annotations

import array
import json
import os
import socket

from composer.runtime.base import syscalls, wire
from composer.runtime.container import container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from composer.runtime.tasks.reaping import Reaper


def open_in(reaper: Reaper, pidfd: int) -> list[int]:
    """Return sockets bound in a container's network namespace by a child, UDP and TCP; none where it could not."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid, child = syscalls.clone(0)
    if pid == 0:
        _bind(pidfd, theirs)
    theirs.close()
    message, descriptors = wire.receive(ours)
    ours.close()
    reaper.reap(pid, child, wait=True)
    os.close(child)
    if message and len(descriptors) == 2:
        return descriptors
    wire.close_all(descriptors)
    return []


def _bind(pidfd: int, sync: socket.socket) -> NoReturn:
    """In a child: bind them inside the container's network namespace and send them back."""
    try:
        syscalls.setns(pidfd, syscalls.CLONE_NEWNET)
        sockets = container.open_name_sockets()
        rights = array.array("i", [server.fileno() for server in sockets])
        sync.sendmsg([b'{"sockets":true}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError as error:
        sync.send(json.dumps({"error": str(error)}).encode())
    finally:
        os._exit(0)
