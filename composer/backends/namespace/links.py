"""Waiting for the interfaces of removed containers to go, which they do when the kernel cleans their namespaces."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING

from composer.backends.namespace.runtime import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable

_GROUP_LINK = 1  # RTMGRP_LINK: interfaces come and go


def wait_gone(names: Iterable[str], timeout_s: float) -> list[str]:
    """Return when none of these interfaces is there, or the time is up; return those that still are."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as news:
        news.bind((0, _GROUP_LINK))
        deadline_s = time.monotonic() + timeout_s
        left = list(names)
        while True:
            left = [name for name in left if syscalls.link_flags(name) is not None]
            remaining_s = deadline_s - time.monotonic()
            if not left or remaining_s <= 0:
                return left
            ready, _, _ = select.select([news], [], [], remaining_s)
            if ready:
                _drain(news)


def delete(names: Iterable[str]) -> None:
    """Delete interfaces that do not go by themselves; the other end of each goes with it. What has gone is fine."""
    from composer.backends.namespace.runtime import netlink

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
