"""A connection that speaks the websocket protocol, seen as bytes in and bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsproto
from wsproto import events
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from composer.api.http.problems import Problem
from composer.api.http.wire import Gone

if TYPE_CHECKING:
    from composer.api.http.call import Call


class WebSocket:
    """Like a `Wire`: `receive` returns what the client's messages say, `send` makes one of binary data."""

    def __init__(self, call: Call) -> None:
        """Shake hands. Raises Problem where the request is none for a websocket."""
        if "websocket" not in call.headers.get("upgrade", "").lower():
            raise Problem(400, "the request is no websocket handshake")
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        head = f"{call.method} {call.path} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in call.headers.items())
        try:
            self._protocol.receive_data(head.encode("latin-1") + b"\r\n")
            request = next(iter(self._protocol.events()))
            if not isinstance(request, events.Request):
                raise Problem(400, "the request is no websocket handshake")
            answer = self._protocol.send(events.AcceptConnection())
        except (RemoteProtocolError, LocalProtocolError) as error:
            raise Problem(400, f"the request is no websocket handshake: {error}") from None
        call.is_answered = call.is_taken = True
        call.status = 101
        self._wire = call.wire
        self._wire.send(answer)
        self._pending: list[bytes] = []
        self._is_over = False

    def fileno(self) -> int:
        return self._wire.fileno()

    def send(self, data: bytes) -> None:
        self._wire.send(self._protocol.send(events.BytesMessage(data=data)))

    def receive(self, timeout_s: float | None = None) -> bytes:
        """Return the next data, empty at the end. Raises TimeoutError, or Gone."""
        while not self._pending and not self._is_over:
            data = self._wire.receive(timeout_s)
            try:
                self._protocol.receive_data(data or None)
                for event in self._protocol.events():
                    self._take(event)
            except (RemoteProtocolError, LocalProtocolError) as error:
                raise Gone from error
        return self._pending.pop(0) if self._pending else b""

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Message):
            data = event.data
            self._pending.append(data.encode() if isinstance(data, str) else bytes(data))
        elif isinstance(event, events.Ping):
            self._wire.send(self._protocol.send(event.response()))
        elif isinstance(event, events.CloseConnection):
            self._is_over = True

    def end(self) -> None:
        """Say that nothing more comes."""
        try:
            self._wire.send(self._protocol.send(events.CloseConnection(code=1000)))
        except LocalProtocolError:
            return  # the client has said so already
        self._wire.linger()

    def close(self) -> None:
        self._wire.close()
