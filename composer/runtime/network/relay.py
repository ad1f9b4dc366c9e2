"""Published ports that packets cannot be led to: connections to ::1, and IPv6 ones to a container without IPv6.

The kernel does not let a translated packet out whose source is ::1, and translates no IPv6 into IPv4. Such a connection
arrives at the socket that reserves the port, and is passed on from there, as Docker's proxy does: byte by byte, or
datagram by datagram with a socket for each sender until it has been silent for a while.
"""

from __future__ import annotations

import errno
import os
import select
import socket

from composer.runtime.base.loop import READ, WRITE
from composer.runtime.network.datagrams import Datagrams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.runtime.base.loop import Loop, Timer

_BACKLOG = 128
_HANGUP = select.EPOLLHUP | select.EPOLLERR
_PIECE_BYTES = 1 << 16
_FULL_BYTES = 1 << 16
_MAX_PAIRS = 1024
"""Connections of one container at once, two descriptors each, which starts need too. More wait in the kernel."""
_PAUSE_S = 0.5
_KEEPALIVE_S = 15


class Relay:
    """The listening sockets of one container's ports, each with where its connections go: (address, port)."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._listening: dict[int, tuple[socket.socket, tuple[str, int]]] = {}
        self._datagrams: list[Datagrams] = []
        self._pairs: set[_Pair] = set()
        self._paused: Timer | None = None

    def serve(self, listeners: Sequence[tuple[socket.socket, tuple[str, int]]]) -> None:
        """Accept at these sockets, and at no others any more; connections that exist go on."""
        self._stop_listening()
        for listener, target in listeners:
            listener.setblocking(False)
            if listener.type == socket.SOCK_DGRAM:
                self._datagrams.append(Datagrams(self._loop, listener, target))
                continue
            listener.listen(_BACKLOG)
            self._listening[listener.fileno()] = (listener, target)
        self._resume()

    def _accept(self, fd: int) -> None:
        listener, target = self._listening[fd]
        if len(self._pairs) >= _MAX_PAIRS:
            self._pause()
            return
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._pause()  # no descriptor is left, or no memory: there may be later
            return
        try:
            server = _connecting(target)
        except OSError:
            client.close()
            return
        client.setblocking(False)
        for one in (client, server):
            # As Docker's proxy: what is written goes at once, and who vanished without a word is noticed
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S)
        self._pairs.add(_Pair(self._loop, client, server, self._pairs.discard))

    def _pause(self) -> None:
        """Accept nothing for a while; who comes meanwhile waits in the kernel."""
        for fd in self._listening:
            self._loop.forget(fd)
        if self._paused is None:
            self._paused = self._loop.after(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._paused = None
        for fd in self._listening:
            self._loop.watch(fd, lambda _, fd=fd: self._accept(fd))  # type: ignore[misc]

    def _stop_listening(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        for fd in self._listening:
            self._loop.forget(fd)
        self._listening.clear()
        for one in self._datagrams:
            one.close()
        self._datagrams.clear()

    def close(self) -> None:
        """Accept no more, and end what there is: the container has."""
        self._stop_listening()
        for pair in list(self._pairs):
            pair.close()


def _connecting(target: tuple[str, int]) -> socket.socket:
    """Return a connection that is being made. Raises OSError."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    number = server.connect_ex(target)
    if number not in (0, errno.EINPROGRESS):
        server.close()
        raise OSError(number, os.strerror(number))
    return server


class _Pair:
    """Two connections that are one. Each side's end is passed on when all before it has been."""

    def __init__(
        self, loop: Loop, client: socket.socket, server: socket.socket, ended: Callable[[_Pair], None]
    ) -> None:
        self._loop, self._ended = loop, ended
        self._sides = (_Side(client), _Side(server))
        self._sides[0].other, self._sides[1].other = self._sides[1], self._sides[0]
        self._sides[1].is_connecting = True
        self._watch()

    def _watch(self) -> None:
        for side in self._sides:
            fd = side.socket.fileno()
            if side.has_ended() or side.has_to_wait():
                # epoll would go on to tell that it has hung up: its last words would be read with nowhere to
                # put them, or the pair be ended before the other side has them
                self._loop.forget(fd)
                continue
            self._loop.watch(fd, lambda events, side=side: self._on(side, events), side.events())  # type: ignore[misc]

    def _on(self, side: _Side, events: int) -> None:
        if events & _HANGUP and side.has_said_all():
            self.close()  # nobody is left there, neither to say anything nor to hear it
            return
        try:
            if events & ~(READ | WRITE) and side.is_connecting:
                raise OSError(side.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "refused")
            if events & WRITE:
                side.is_connecting = False
                side.flush()
            if events & ~WRITE and not side.is_connecting:
                side.read()
        except (BlockingIOError, InterruptedError):
            pass  # the loop says when
        except OSError:
            self.close()
            return
        if all(one.has_ended() for one in self._sides):
            self.close()
            return
        self._watch()

    def close(self) -> None:
        for side in self._sides:
            if side.socket.fileno() >= 0:
                self._loop.forget(side.socket.fileno())
                side.socket.close()
        self._ended(self)


class _Side:
    """One of the two: what is to be written to it, and whether it has said all that it will."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.other: _Side = self
        self.is_connecting = False
        self._unsent = bytearray()
        self._is_read = self._is_shut = False

    def events(self) -> int:
        wanted = WRITE if self._unsent or self.is_connecting else 0
        if not self._is_read and not self.is_connecting and len(self.other._unsent) < _FULL_BYTES:
            wanted |= READ
        return wanted

    def read(self) -> None:
        data = self.socket.recv(_PIECE_BYTES)
        if data:
            self.other._unsent += data
        else:
            self._is_read = True
        self.other.flush()

    def flush(self) -> None:
        if self.is_connecting:
            return
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        if self.other._is_read and not self._is_shut:
            self._is_shut = True
            self.socket.shutdown(socket.SHUT_WR)

    def has_to_wait(self) -> bool:
        """Tell a side of which nothing is wanted until the other has taken what it has said so far."""
        return not self.events() and bool(self.other._unsent)

    def has_said_all(self) -> bool:
        return self._is_read

    def has_ended(self) -> bool:
        return self._is_read and self._is_shut
