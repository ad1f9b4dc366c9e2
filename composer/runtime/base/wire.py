"""Messages between our processes: one JSON object per packet on a Unix SOCK_SEQPACKET socket, with descriptors.

Used between the command line and the supervisor, between supervisor and keeper, and with a container's first
process. A packet is at most 128 KiB, so what is large travels as a file in the state directory.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

MAX_PACKET_BYTES = 1 << 17
MAX_DESCRIPTORS = 250  # the kernel's SCM_MAX_FD is 253
VERSION = 1
SOCKET = "control.sock"


def send(peer: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message. Raises OSError when the other side is gone."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    peer.sendmsg([json.dumps(message, separators=(",", ":")).encode()], rights, socket.MSG_NOSIGNAL)


def receive(peer: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return (message, descriptors); (None, []) at the end. Descriptors are close-on-exec and the caller's to close.

    Raises ValueError for what is no message; its descriptors are closed then.
    """
    room = socket.CMSG_SPACE(MAX_DESCRIPTORS * 4)
    try:
        data, ancillary, flags, _ = peer.recvmsg(MAX_PACKET_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        # The other side ended with something of ours unread. That is said once, before what it had to say.
        data, ancillary, flags, _ = peer.recvmsg(MAX_PACKET_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors += struct.unpack(f"{len(payload) // 4}i", payload[: len(payload) // 4 * 4])
    if flags & socket.MSG_TRUNC:
        close_all(descriptors)
        raise ValueError("a message larger than 128 KiB was truncated")
    if not data:
        close_all(descriptors)
        return None, []
    try:
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError("a message that is not an object")
    except (ValueError, RecursionError) as error:
        close_all(descriptors)
        raise ValueError(f"invalid message: {error}") from None
    return message, descriptors


def is_readable(fd: int) -> bool:
    """Tell whether a read would not wait now."""
    return bool(await_readable((fd,), 0))


def await_readable(descriptors: Sequence[int], timeout_s: float | None = None) -> list[int]:
    """Return which of several can be read, or have ended, once there is one; none when the time is up.

    By poll(2): select(2) knows no descriptors above 1023, and a server has more. It waits 24.8 days at most, so none
    may also mean that there is more time.
    """
    poll = select.poll()
    for fd in descriptors:
        poll.register(fd, select.POLLIN)
    return [
        fd for fd, _ in poll.poll(None if timeout_s is None else min(max(0, timeout_s) * 1000, LONGEST_MS))
    ]


LONGEST_MS = (1 << 31) - 1
"""What poll(2) and epoll_wait(2) can wait for."""


def await_writable(fd: int, timeout_s: float) -> None:
    """Return once something can be written, or nobody reads any more, or the time is up."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(timeout_s * 1000)


def close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def address(directory_fd: int, name: str) -> str:
    """Return a path for bind and connect that is short whatever the directory's is: sun_path has 108 bytes."""
    return f"/proc/self/fd/{directory_fd}/{name}"


def peer_uid(peer: socket.socket) -> int:
    """Return the user on the other side (SO_PEERCRED)."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("iII", credentials)[1])
