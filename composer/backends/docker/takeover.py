"""The connection of an exec or attach, taken over from the SDK: a socket that works with select() and poll().

Two things would prevent that. Data that follows the headers directly may be in the buffer that these were read
through, where the SDK leaves it. And a TLS socket can hold decrypted bytes while its descriptor is not
readable. In both cases a thread relays between the engine and a pair of sockets. Each direction is closed
separately: the end of our input is passed on while output still arrives.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import ssl
import threading
from typing import Any, cast

_PIECE_BYTES = 1 << 16
_AHEAD_BYTES = 1 << 18


def taken_over(found: Any) -> socket.socket:
    """Return the connection of what the SDK's ``exec_start(socket=True)`` or ``attach_socket`` returned."""
    connection = getattr(found, "_sock", found)
    if not isinstance(connection, socket.socket):
        return cast("socket.socket", connection)  # a named pipe of Windows, which is no socket to begin with
    answer = found._response
    early = _buffered(connection, answer.raw._fp.fp)
    if not early and not isinstance(connection, ssl.SSLSocket):
        ours = connection.dup()  # the answer closes its own, and what is left of it is garbage
        ours.settimeout(None)
        answer.close()
        return ours
    ours, theirs = socket.socketpair()
    relay = _Relay(connection, theirs, early)
    threading.Thread(target=_run, args=(relay, answer), name="docker stream", daemon=True).start()
    return ours


def _buffered(connection: socket.socket, reader: Any) -> bytes:
    """Return what was read from a connection behind the headers; nothing more is waited for."""
    connection.settimeout(0)
    try:
        found: bytes = reader.peek()
        return found
    except OSError:
        return b""  # of TLS: nothing has come yet; an end is met by whoever reads


def _run(relay: _Relay, answer: Any) -> None:
    try:
        relay.run()
    except OSError:
        pass  # one side has gone: that the other is closed tells it
    finally:
        relay.close()
        answer.close()


class _Relay:
    """Passes on between ``engine`` and ``theirs``, in one thread, for TLS is not for two. Never blocks but to wait."""

    def __init__(self, engine: socket.socket, theirs: socket.socket, early: bytes) -> None:
        self._engine, self._theirs = engine, theirs
        self._out, self._in = bytearray(early), bytearray()
        """What is on the way from the engine, and to it."""
        self._has_output, self._has_input, self._is_told = True, True, False
        engine.settimeout(0)
        theirs.settimeout(0)

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._engine, selectors.EVENT_READ)
            selector.register(self._theirs, selectors.EVENT_READ)
            while True:
                is_moving = self._move()
                if not self._has_output and not self._out:
                    return
                if not is_moving:
                    self._wait(selector)

    def _wait(self, selector: selectors.BaseSelector) -> None:
        wanted = {
            self._engine: (self._has_output and len(self._out) < _AHEAD_BYTES, bool(self._in)),
            self._theirs: (self._has_input and len(self._in) < _AHEAD_BYTES, bool(self._out)),
        }
        for one, (reads, writes) in wanted.items():
            events = reads * selectors.EVENT_READ | writes * selectors.EVENT_WRITE
            if one in selector.get_map():
                selector.unregister(one)
            if events:
                selector.register(one, events)
        selector.select()

    def _move(self) -> bool:
        """Read and write what can be; say whether any of it was."""
        moved, is_drained = False, not self._has_output
        if self._has_output and len(self._out) < _AHEAD_BYTES:
            data = _read(self._engine)
            self._has_output, is_drained = data != b"", not data
            self._out += data or b""
            moved = data is not None
        if self._has_input and len(self._in) < _AHEAD_BYTES:
            data = _read(self._theirs)
            self._has_input = data != b""
            self._in += data or b""
            moved |= data is not None
        moved |= _write(self._theirs, self._out) | _write(self._engine, self._in)
        if is_drained and not (self._has_input or self._in or self._is_told):
            self._is_told = True
            self._end_input()
        return moved

    def _end_input(self) -> None:
        """Tell the engine that no more comes, and go on reading what it says."""
        if not isinstance(self._engine, ssl.SSLSocket):
            self._engine.shutdown(socket.SHUT_WR)
            return
        self._has_output = not _end_encryption(self._engine)

    def close(self) -> None:
        self._theirs.close()
        self._engine.close()


def _end_encryption(connection: ssl.SSLSocket) -> bool:
    """Send TLS's word for the end of what we say, and go on decrypting; say whether the other side had ended already.

    ``SSLSocket.shutdown`` would stop decrypting. ``unwrap`` sends the word and then asks for the other side's own, and
    throws away what output it meets there. So it speaks to a stand-in meanwhile, from which nothing comes.
    """
    descriptor, kept = connection.fileno(), os.dup(connection.fileno())
    stand_in, other = socket.socketpair()
    with stand_in, other:
        stand_in.setblocking(False)
        os.dup2(stand_in.fileno(), descriptor)
        try:
            connection.unwrap()
            has_ended = True
        except ssl.SSLWantReadError:
            has_ended = False
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)
        other.setblocking(False)
        word = memoryview(_read(other) or b"")
    while word:
        select.select([], [descriptor], [])
        word = word[os.write(descriptor, word) :]
    return has_ended


def _read(source: socket.socket) -> bytes | None:
    """Return what there is; None where there is nothing yet, nothing at the end."""
    try:
        return source.recv(_PIECE_BYTES)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    except (ConnectionResetError, ssl.SSLEOFError):
        return b""


def _write(target: socket.socket, data: bytearray) -> bool:
    import ssl

    if not data:
        return False
    try:
        count = target.send(data)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    del data[:count]
    return count > 0
