"""Pseudo-terminals of containers, opened through the container's own devpts.

The slave comes from TIOCGPTPEER on the verified master, never from a path (CVE-2025-52565).
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
import termios

from composer.runtime.base import opening, syscalls
from composer.runtime.container import rootfs

_PTMX = os.makedev(5, 2)


class Console:
    """A terminal's two ends; the slave is what the program gets."""

    __slots__ = ("master", "slave")

    def __init__(self, master: int, slave: int) -> None:
        self.master = master
        self.slave = slave

    def to_stdio(self) -> None:
        """Make the slave this process's stdin, stdout and stderr, and close both ends."""
        for number in (0, 1, 2):
            os.dup2(self.slave, number)
        for fd in (self.master, self.slave):
            if fd > 2:
                os.close(fd)


def take_control() -> None:
    """Make the terminal on stdin this session's; for the process that leads it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def open_console(root: int, uid: int, *, bind: bool = True) -> Console:
    """Open a terminal of the container whose root is ``root``; with ``bind`` it is its /dev/console too."""
    devpts = syscalls.DEVPTS_SUPER_MAGIC
    master = opening.character_device(root, "/dev/pts/ptmx", _PTMX, os.O_RDWR | os.O_NOCTTY, on=devpts)
    if master is None:
        raise OSError(0, "/dev/pts/ptmx of the container is not a terminal multiplexer")
    fcntl.ioctl(master, syscalls.TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, syscalls.TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    os.fchown(slave, uid, -1)
    if bind:
        # A link here would lead the mount to another place, which it would hide (CVE-2025-52565).
        place = rootfs.make_file(root, "/dev/console", resolve=syscalls.RESOLVE_NO_SYMLINKS)
        syscalls.mount(rootfs.by_fd(slave), rootfs.by_fd(place), None, syscalls.MS_BIND)
        os.close(place)
    return Console(master, slave)


def send_master(sync: socket.socket, terminal: Console) -> None:
    """Hand the master to whoever shows the terminal."""
    rights = array.array("i", [terminal.master])
    sync.sendmsg([json.dumps({"console": True}).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def set_size(master: int, rows: int, columns: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
