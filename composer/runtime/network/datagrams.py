"""Datagrams that a published port's packets cannot be led by, see `relay`: each sender has a socket of its own."""

from __future__ import annotations

import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from composer.runtime.base.loop import Loop

_MOST_BYTES = 1 << 16
_MOST_SENDERS = 256  # each takes a descriptor of the supervisor's: the one that was silent longest goes first
_SILENCE_S = 90.0


class Datagrams:
    """A port's datagrams: what each sender says goes out by a socket of its own, so that answers find the way."""

    def __init__(self, loop: Loop, listener: socket.socket, target: tuple[str, int]) -> None:
        self._loop, self._listener, self._target = loop, listener, target
        self._senders: dict[Any, tuple[socket.socket, float]] = {}
        loop.watch(listener.fileno(), lambda _: self._out())
        self._timer = loop.after(_SILENCE_S, self._look)

    def _out(self) -> None:
        for _ in range(32):
            try:
                data, sender = self._listener.recvfrom(_MOST_BYTES)
            except OSError:
                return  # there is no more, or an answer of ours found nobody
            try:
                self._socket_of(sender).send(data)
            except OSError:
                pass  # a datagram may be lost: nobody listens there yet, or too many at once

    def _socket_of(self, sender: Any) -> socket.socket:
        known = self._senders.pop(sender, None)
        if known is None:
            if len(self._senders) >= _MOST_SENDERS:
                self._drop(next(iter(self._senders)))
            made = _connected(self._target)
            self._loop.watch(made.fileno(), lambda _: self._back(made, sender))
            known = (made, 0.0)
        self._senders[sender] = (known[0], time.monotonic())  # now the last of them
        return known[0]

    def _back(self, made: socket.socket, sender: Any) -> None:
        try:
            self._listener.sendto(made.recv(_MOST_BYTES), sender)
        except OSError:
            return  # nobody listens in the container, or its answer finds no room
        self._senders[sender] = (made, time.monotonic())

    def _look(self) -> None:
        oldest_s = time.monotonic() - _SILENCE_S
        for sender in [one for one, (_, last_s) in self._senders.items() if last_s < oldest_s]:
            self._drop(sender)
        self._timer = self._loop.after(_SILENCE_S, self._look)

    def _drop(self, sender: Any) -> None:
        made, _ = self._senders.pop(sender)
        self._loop.forget(made.fileno())
        made.close()

    def close(self) -> None:
        self._timer.cancel()
        self._loop.forget(self._listener.fileno())
        for sender in list(self._senders):
            self._drop(sender)


def _connected(target: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.connect(target)
    except BaseException:
        made.close()
        raise
    return made
