"""The door: connections are accepted, and the heads and small bodies of requests read, without a thread for any.

A request that is whole goes to a worker thread, which owns the connection until the answer has gone out. So a client
that sends slowly holds nothing but its own few kilobytes.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import h11

from composer.api.http.wire import Gone, Wire
from composer.api.http.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEAD_BYTES = 64 << 10
_BODY_BYTES = 16 << 20
_RECEIVE_BYTES = 64 << 10
_SOON_S = 1.0
_HEAD_S, _BODY_S, _IDLE_S, _DRAIN_S = 30.0, 120.0, 300.0, 2.0
"""How long a client may take for a head, for a body, until its next request, and to read why it was refused."""
_WORKERS = 1000
_LINGERING_S = 10.0
"""How long the end waits for what is being done: its clients have gone, and being killed in the middle does no harm."""
_BREATH_S = 0.2
"""How long nobody is let in when there are no descriptors left."""


class Asked(NamedTuple):
    """A request whose head is there; and its body too, where the route takes none of any length."""

    wire: Wire
    http: h11.Connection
    request: h11.Request
    body: bytes
    peer: str


class Listener(NamedTuple):
    """A listening socket; with ``tls`` its clients speak TLS, and show a certificate. ``file``: its file's number."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    file: int | None = None


class _Guest:
    """A connection that no thread owns."""

    def __init__(self, connection: socket.socket, peer: str, *, secure: bool) -> None:
        self.connection, self.peer = connection, peer
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self.shakes = secure
        self.drains = False
        self.request: h11.Request | None = None
        self.body: list[bytes] = []
        self.size = 0
        self.deadline = time.monotonic() + _HEAD_S


class Front:
    """Serves until `stop`, or until nobody has been connected for ``idle_exit_s``."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        serve: Callable[[Asked], bool],
        takes_upload: Callable[[str, str], bool],
        *,
        idle_exit_s: float | None = None,
        most_guests: int = 4096,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """``serve`` answers a request, and returns whether its connection is the client's for another one.

        ``takes_upload(method, target)`` tells whether a request's body is read by whoever serves it. ``rest`` is called
        every second.
        """
        self._listeners, self._serve, self._takes_upload = listeners, serve, takes_upload
        self._idle_exit_s, self._most_guests = idle_exit_s, most_guests
        self._selector = selectors.DefaultSelector()
        self._guests: set[_Guest] = set()
        self._busy: set[_Guest] = set()
        self._returned: deque[tuple[_Guest, bytes | None]] = deque()
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._workers = Workers(_WORKERS)
        self._rest, self._looked_at = rest, time.monotonic()
        self._full_until = 0.0
        self._listens = False
        self._ends = False
        self._lonely_since = time.monotonic()

    def stop(self) -> None:
        """End `run`; may be called from a signal's handler, and from any thread."""
        self._ends = True
        self._poke()

    def _poke(self) -> None:
        try:
            os.write(self._waker, b".")
        except OSError:
            return  # it is awake already, or has ended

    def run(self) -> None:
        """Serve."""
        self._selector.register(self._wake, selectors.EVENT_READ)
        for listener in self._listeners:
            listener.socket.setblocking(False)
        self._listen(True)
        try:
            while not self._ends and not self._is_lonely():
                for key, _ in self._selector.select(_SOON_S if self._listens else _BREATH_S):
                    self._on_ready(key)
                self._take_back()
                if time.monotonic() - self._looked_at >= _SOON_S:
                    self._expire()
                    self._rest()
                    self._looked_at = time.monotonic()
                is_full = len(self._guests) + len(self._busy) >= self._most_guests
                self._listen(not is_full and time.monotonic() >= self._full_until)
        finally:
            self._close()

    def _on_ready(self, key: selectors.SelectorKey) -> None:
        if key.fd == self._wake:
            while True:
                try:
                    os.read(self._wake, 4096)
                except BlockingIOError:
                    return
        elif isinstance(key.data, Listener):
            self._accept(key.data)
        else:
            self._read(key.data)

    def _is_lonely(self) -> bool:
        if self._guests or self._busy or self._idle_exit_s is None:
            self._lonely_since = time.monotonic()
            return False
        return time.monotonic() - self._lonely_since > self._idle_exit_s

    def _listen(self, wanted: bool) -> None:
        """Accept, or leave whoever comes in the queue of the socket."""
        if wanted != self._listens:
            self._listens = wanted
            for listener in self._listeners:
                if wanted:
                    self._selector.register(listener.socket, selectors.EVENT_READ, listener)
                else:
                    self._selector.unregister(listener.socket)

    def _close(self) -> None:
        for guest in list(self._guests):
            self._dismiss(guest)
        for guest in list(self._busy):
            try:
                # whoever serves it sees that, and ends; not by TLS, which would take its state away from that thread
                socket.socket.shutdown(guest.connection, socket.SHUT_RDWR)
            except OSError:
                continue  # it has gone
        self._workers.join(_LINGERING_S)
        self._selector.close()
        for fd in (self._wake, self._waker):
            os.close(fd)

    # -------------------------------------------------------------- guests

    def _accept(self, listener: Listener) -> None:
        try:
            connection, _ = listener.socket.accept()
        except BlockingIOError:
            return  # it has gone again
        except OSError:
            # no descriptor is left, and it would be tried again at once, for ever
            self._full_until = time.monotonic() + _BREATH_S
            return
        peer = peer_of(connection)
        connection.setblocking(False)
        if listener.tls is not None:
            try:
                connection = listener.tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, ValueError):
                connection.close()
                return  # it has said something and gone
        guest = _Guest(connection, peer, secure=listener.tls is not None)
        self._watch(guest)

    def _watch(self, guest: _Guest, events: int = selectors.EVENT_READ) -> None:
        if guest in self._guests:
            self._selector.modify(guest.connection, events, guest)
        else:
            self._guests.add(guest)
            self._selector.register(guest.connection, events, guest)

    def _release(self, guest: _Guest) -> None:
        self._guests.discard(guest)
        self._selector.unregister(guest.connection)

    def _dismiss(self, guest: _Guest) -> None:
        self._release(guest)
        guest.connection.close()

    def _expire(self) -> None:
        now = time.monotonic()
        for guest in [guest for guest in self._guests if guest.deadline < now]:
            if guest.request is not None or guest.http.trailing_data[0]:
                self._refuse(guest, 408, "the request did not come in time")
            else:
                self._dismiss(guest)

    def _read(self, guest: _Guest) -> None:
        if guest.shakes and not self._shake_hands(guest):
            return
        try:
            data = guest.connection.recv(_RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            self._dismiss(guest)
            return
        if guest.drains:
            if not data:
                self._dismiss(guest)
            return
        self._feed(guest, data)

    def _shake_hands(self, guest: _Guest) -> bool:
        assert isinstance(guest.connection, ssl.SSLSocket)
        try:
            guest.connection.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(guest)
        except ssl.SSLWantWriteError:
            self._watch(guest, selectors.EVENT_WRITE)
        except OSError:
            self._dismiss(guest)
        else:
            guest.shakes = False
            guest.peer = f"{guest.peer} {certified_name(guest.connection)}"
            self._watch(guest)
            return True
        return False

    def _feed(self, guest: _Guest, data: bytes) -> None:
        try:
            guest.http.receive_data(data)
            self._advance(guest)
        except h11.RemoteProtocolError as error:
            self._refuse(guest, error.error_status_hint, f"invalid request: {error}")
        except OSError:
            self._dismiss(guest)

    def _advance(self, guest: _Guest) -> None:
        """Go on with a request as far as it has come."""
        while True:
            event = guest.http.next_event()
            if event is h11.NEED_DATA:
                pending = guest.connection.pending() if isinstance(guest.connection, ssl.SSLSocket) else 0
                if not pending:
                    return
                guest.http.receive_data(guest.connection.recv(pending))
            elif isinstance(event, h11.Request):
                if not self._begin(guest, event):
                    return
            elif isinstance(event, h11.Data):
                guest.body.append(bytes(event.data))
                guest.size += len(event.data)
                if guest.size > _BODY_BYTES:
                    self._refuse(guest, 413, f"the request's body is longer than {_BODY_BYTES >> 20} MiB")
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._hand_over(guest)
                return
            else:
                self._dismiss(guest)  # the connection's end
                return

    def _begin(self, guest: _Guest, request: h11.Request) -> bool:
        """Look at a head. Return whether the body is to be read here."""
        guest.request, guest.body, guest.size = request, [], 0
        guest.deadline = time.monotonic() + _BODY_S
        names = {name for name, _ in request.headers}
        if b"content-length" in names and b"transfer-encoding" in names:
            self._refuse(guest, 400, "invalid request: it has both Content-Length and Transfer-Encoding")
            return False
        target = request.target.decode("latin-1")
        if self._takes_upload(request.method.decode("latin-1"), target):
            self._hand_over(guest)
            return False
        if guest.http.they_are_waiting_for_100_continue:
            self._say(guest, guest.http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        return True

    def _say(self, guest: _Guest, data: bytes) -> None:
        """Send what fits into the socket's own buffer, as these few words always do."""
        try:
            guest.connection.send(data)
        except OSError:
            return  # the next look at it finds the same

    def _refuse(self, guest: _Guest, status: int, message: str) -> None:
        """Say what is wrong, let the client read it, and close the connection."""
        import json

        text = json.dumps({"message": message}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        )
        self._say(guest, head.encode() + text)
        try:
            guest.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._dismiss(guest)
            return
        guest.drains, guest.deadline, guest.request = True, time.monotonic() + _DRAIN_S, None
        guest.http = h11.Connection(h11.SERVER)

    # -------------------------------------------------------------- workers

    def _hand_over(self, guest: _Guest) -> None:
        self._release(guest)
        self._busy.add(guest)
        if not self._workers.submit(lambda: self._work(guest)):
            self._busy.discard(guest)
            self._watch(guest)
            self._refuse(guest, 503, f"{len(self._busy)} requests are being served: try again later")

    def _work(self, guest: _Guest) -> None:
        wire = Wire(guest.connection)
        rest: bytes | None = None
        try:
            assert guest.request is not None
            body = b"".join(guest.body)
            guest.body = []
            if self._serve(Asked(wire, guest.http, guest.request, body, guest.peer)):
                rest = wire.poll() if wire.has_begun() else b""
                guest.http.start_next_cycle()
                rest = rest or b""
        except (Gone, h11.ProtocolError):
            rest = None
        finally:
            self._returned.append((guest, rest))
            self._poke()

    def _take_back(self) -> None:
        """Go on with connections whose request is answered."""
        while self._returned:
            guest, rest = self._returned.popleft()
            self._busy.discard(guest)
            if rest is None:
                guest.connection.close()
                continue
            guest.request, guest.deadline = None, time.monotonic() + _IDLE_S
            try:
                self._watch(guest)
            except (ValueError, OSError):
                self._guests.discard(guest)  # it is closed
                continue
            if rest:
                self._feed(guest, rest)
            elif guest.http.trailing_data[0]:
                self._feed_again(guest)

    def _feed_again(self, guest: _Guest) -> None:
        """Look at a request that came together with the one before."""
        try:
            self._advance(guest)
        except h11.RemoteProtocolError as error:
            self._refuse(guest, error.error_status_hint, f"invalid request: {error}")


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}


def peer_of(connection: socket.socket) -> str:
    """Return who is at the other end: of a Unix socket the user and the process, else the address."""
    import struct

    try:
        if connection.family == socket.AF_UNIX:
            size = struct.calcsize("3i")
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            pid, uid, _ = struct.unpack("3i", found)
            return f"uid={uid} pid={pid}"
        address: Any = connection.getpeername()
        return f"address={address[0]}"
    except OSError:
        return "unknown"


def certified_name(connection: ssl.SSLSocket) -> str:
    """Return the common name of a client's certificate, which the handshake has checked."""
    found: Any = connection.getpeercert() or {}
    names = [value for part in found.get("subject", ()) for key, value in part if key == "commonName"]
    return f"name={names[0]!r}" if names else "name=?"
