"""The interfaces of this machine: which are there, and waiting for those of removed containers to go.

They go when the kernel cleans their namespaces. Every command reads this module: so nothing here needs ctypes.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import time
from typing import TYPE_CHECKING

from composer.runtime.base import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIOCGIFFLAGS = 0x8913
_GROUP_LINK = 1  # RTMGRP_LINK: interfaces come and go


def flags(name: str) -> int | None:
    """Return the flags of an interface of this network namespace, None where there is none. netdevice(7)

    What /sys/class/net shows is the namespace of whoever mounted /sys.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        request = struct.pack("16sH14x", name.encode()[:15], 0)
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return None
    return int(struct.unpack_from("=H", answer, 16)[0])


def wait_gone(names: Iterable[str], timeout_s: float) -> list[str]:
    """Return when none of these interfaces is there, or the time is up; return those that still are."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as news:
        news.bind((0, _GROUP_LINK))
        deadline_s = time.monotonic() + timeout_s
        left = list(names)
        while True:
            left = [name for name in left if flags(name) is not None]
            remaining_s = deadline_s - time.monotonic()
            if not left or remaining_s <= 0:
                return left
            if wire.await_readable((news.fileno(),), remaining_s):
                _drain(news)


def delete(names: Iterable[str]) -> None:
    """Delete interfaces that do not go by themselves; the other end of each goes with it. What has gone is fine."""
    from composer.runtime.network import netlink

    with netlink.Netlink() as link:
        for name in names:
            index = link.link_index(name)
            if index is not None:
                try:
                    link.delete_link(index)
                except OSError as error:
                    if error.errno != errno.ENODEV:  # it has just gone by itself
                        raise


def _drain(news: socket.socket) -> None:
    while True:
        try:
            news.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            continue  # ENOBUFS: some news was lost, which the look at the names makes up for
