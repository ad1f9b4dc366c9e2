"""Calls over HTTP/2: messages with their length before them, metadata as headers, and a status at the end.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from composer.api.buildkit.http2 import Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.api.buildkit.http2 import Connection, Stream
    from composer.api.buildkit.protobuf import Message

    Value = dict[str, Any]
    Handler = Callable[["Asked"], None]

OK, CANCELLED, UNKNOWN, INVALID, NOT_FOUND, UNIMPLEMENTED, INTERNAL = 0, 1, 2, 3, 5, 12, 13
_MOST_BYTES = 16 << 20
_PREFIX_BYTES = 5
_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Failed(Exception):
    """A call that ended with another status than OK."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class _Messages:
    """The messages of a stream, one after the other."""

    def __init__(self, stream: Stream) -> None:
        self._pieces = stream.pieces()
        self._held = bytearray()

    def next(self) -> bytes | None:
        """Return a message; None at the end. Raises Reset or Failed."""
        if not self._fill(_PREFIX_BYTES):
            return None
        size = int.from_bytes(self._held[1:_PREFIX_BYTES], "big")
        if self._held[0]:
            raise Failed(UNIMPLEMENTED, "compressed messages are not supported")
        if size > _MOST_BYTES:
            raise Failed(INVALID, f"a message is longer than {_MOST_BYTES >> 20} MiB")
        if not self._fill(_PREFIX_BYTES + size):
            raise Failed(INTERNAL, "a message breaks off")
        found = bytes(self._held[_PREFIX_BYTES : _PREFIX_BYTES + size])
        del self._held[: _PREFIX_BYTES + size]
        return found

    def _fill(self, size: int) -> bool:
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                if self._held:
                    raise Failed(INTERNAL, "a message breaks off")
                return False
            self._held += piece
        return True


def _framed(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4, "big") + data


# ------------------------------------------------------------------ who asks


class Call:
    """A call of ours. Sending and receiving may be two threads."""

    def __init__(
        self,
        connection: Connection,
        path: str,
        sent: Message,
        received: Message,
        metadata: Mapping[str, list[str]] | None = None,
    ) -> None:
        """``path`` is ``/package.Service/Method``."""
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),  # codespell:ignore te
            *((key, value) for key, values in (metadata or {}).items() for value in values),
        ]
        self._connection, self._sent, self._kind = connection, sent, received
        self._stream = connection.open(headers)
        self._messages = _Messages(self._stream)

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._stream.reset()
        self._connection.forget(self._stream)

    def send(self, value: Value) -> None:
        """Send a message. Raises Reset."""
        self._stream.send(_framed(self._sent.encode(value)))

    def end(self) -> None:
        """Say that nothing more is sent."""
        self._stream.end()

    def reset(self) -> None:
        self._stream.reset()

    def receive(self) -> Value | None:
        """Return the next message; None at the end. Raises Failed or Reset."""
        data = self._messages.next()
        if data is not None:
            return self._kind.decode(data)
        status = {**self._stream.headers, **self._stream.trailers}
        code = int(status.get("grpc-status", UNKNOWN))
        if code != OK:
            raise Failed(code, unquote(status.get("grpc-message", "")))
        return None

    def only(self) -> Value:
        """Return the one message of an answer. Raises Failed or Reset."""
        found = self.receive()
        if found is None:
            raise Failed(INTERNAL, "there is no answer")
        self.receive()
        return found


def ask(connection: Connection, path: str, sent: Message, received: Message, value: Value) -> Value:
    """Make a call with one message each way. Raises Failed or Reset."""
    with Call(connection, path, sent, received) as call:
        call.send(value)
        call.end()
        return call.only()


# ------------------------------------------------------------------ who answers


class Asked:
    """A call that came in."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.path = stream.headers.get(":path", "")
        self.metadata: Mapping[str, str] = stream.headers
        self._messages = _Messages(stream)

    def read(self, kind: Message) -> Value:
        """Return the message of the call. Raises Failed."""
        data = self._messages.next()
        if data is None:
            raise Failed(INVALID, "there is no message")
        try:
            return kind.decode(data)
        except ValueError as error:
            raise Failed(INVALID, f"invalid message: {error}") from None

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Have this called when the client gives the call up, at once where it has already. It may be called twice."""
        self._stream.call_on_reset(call)

    def write(self, kind: Message, value: Value) -> None:
        """Send a message. Raises Reset."""
        self._stream.send(_framed(kind.encode(value)))


class Table:
    """Which function answers which call."""

    def __init__(self, handlers: Mapping[str, Handler], log: Callable[[str, BaseException], None]) -> None:
        """``log`` is told of errors that nobody has thought of."""
        self._handlers, self._log = handlers, log

    def serve(self, stream: Stream) -> None:
        """Answer a call. Raises Reset where the client has gone."""
        asked = Asked(stream)
        stream.send_headers([(":status", "200"), ("content-type", "application/grpc")])
        code, message = OK, ""
        try:
            handler = self._handlers.get(asked.path)
            if handler is None:
                raise Failed(UNIMPLEMENTED, f"{asked.path} is not supported")
            handler(asked)
        except Failed as error:
            code, message = error.code, error.message
        except Reset:
            raise
        except Exception as error:
            self._log(asked.path, error)
            code, message = INTERNAL, f"the server failed: {type(error).__name__}; its log has the details"
        trailers = [("grpc-status", str(code))]
        if message:
            trailers.append(("grpc-message", quote(message, safe=_SAFE)))
        stream.send_headers(trailers, end=True)


def pairs(handlers: Mapping[str, Mapping[str, Handler]]) -> Iterator[tuple[str, Handler]]:
    """Yield paths of methods, given by their services."""
    for service, methods in handlers.items():
        for method, handler in methods.items():
            yield f"/{service}/{method}", handler
