"""HTTP/2 on a connection that was handed over, in either role: streams that send and receive, each for one thread.

One thread reads the connection (`run`); any other uses a stream. What a stream has received counts against its window
until somebody takes it, so a sender is never further ahead than that. h2 keeps the protocol's state: it is not safe for
threads, and is only touched under the lock.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from composer.api.http.wire import Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from composer.api.http.wire import Wire

    Headers = list[tuple[str, str]]

_WINDOW_BYTES = 1 << 20
_CONNECTION_WINDOW_BYTES = 4 << 20
_MOST_UNSENT_BYTES = 1 << 20
_MOST_STREAMS = 100


class Reset(Exception):
    """The stream, or its connection, has come to an end before its time."""


class Stream:
    """One request and its answer. Sending and receiving may be two threads."""

    def __init__(self, owner: Connection, number: int, headers: dict[str, str] | None = None) -> None:
        """``headers`` are those of a request that came in."""
        self._owner, self.number = owner, number
        self.headers: dict[str, str] = headers or {}
        self.trailers: dict[str, str] = {}
        self.on_reset: Callable[[], None] = lambda: None
        """Called by the thread that reads the connection, where the other side gives the stream up."""
        self._received: deque[tuple[bytes, int]] = deque()
        self._has_headers = headers is not None
        self._has_ended = self._is_reset = False

    def call_on_reset(self, call: Callable[[], None]) -> None:
        """Have this called where the other side gives the stream up; now, where it has done so already."""
        with self._owner.changed:
            self.on_reset = call
            is_reset = self._is_reset
        if is_reset:
            call()

    # -------------------------------------------------------------- sending

    def send_headers(self, headers: Headers, *, end: bool = False) -> None:
        self._owner.send(lambda h2: h2.send_headers(self.number, headers, end_stream=end), self)

    def send(self, data: bytes) -> None:
        """Send data as the other side takes it. Raises Reset."""
        self._owner.send_data(self, data)

    def end(self) -> None:
        """Say that nothing more is sent. Raises Reset, unless the other side has said all that it has to say."""
        try:
            self._owner.send(lambda h2: h2.end_stream(self.number), self)
        except Reset:
            if not self._has_ended:
                raise

    def reset(self) -> None:
        """Give the stream up."""
        try:
            self._owner.send(lambda h2: h2.reset_stream(self.number, h2_cancel()), self)
        except Reset:
            return  # it has ended

    # -------------------------------------------------------------- receiving

    def pieces(self) -> Iterator[bytes]:
        """Yield data as it comes. Raises Reset."""
        while True:
            piece = self._owner.take(self)
            if piece is None:
                return
            yield piece

    def await_headers(self) -> dict[str, str]:
        """Return the headers of the answer, once they are there. Raises Reset."""
        with self._owner.changed:
            self._owner.changed.wait_for(lambda: self._has_headers or self._has_ended or self._is_reset)
            if not self._has_headers and not self._has_ended:
                raise Reset("the stream was given up")
            return self.headers


def h2_cancel() -> int:
    return int(h2.errors.ErrorCodes.CANCEL)


class Connection:
    """A connection that speaks HTTP/2."""

    def __init__(
        self,
        wire: Wire,
        begun: bytes,
        *,
        serve: Callable[[Stream], None] | None = None,
    ) -> None:
        """``serve`` answers a request, in a thread of its own; without it we are the one who asks.

        ``begun`` was received already.
        """
        self._wire, self._begun, self._serve = wire, begun, serve
        self.changed = threading.Condition()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._streams: dict[int, Stream] = {}
        self._is_over = False
        config = h2.config.H2Configuration(
            client_side=serve is None, header_encoding="utf-8", validate_inbound_headers=True
        )
        self._h2 = h2.connection.H2Connection(config)
        with self.changed:
            self._h2.initiate_connection()
            self._h2.update_settings(
                {
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
                    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS,
                }
            )
            self._h2.increment_flow_control_window(_CONNECTION_WINDOW_BYTES)
            self._collect()

    # -------------------------------------------------------------- the reading thread

    def run(self) -> None:
        """Read until the connection's end."""
        threads: list[threading.Thread] = []
        writer = threading.Thread(target=self._write, name="answer-writer", daemon=True)
        writer.start()
        try:
            data = self._begun or self._wire.receive()
            while data:
                threads += self._handle(data)
                threads = [thread for thread in threads if thread.is_alive()]
                data = self._wire.receive()
        except (Gone, h2.exceptions.ProtocolError):
            pass  # whoever has a stream is told
        finally:
            self.close()
            for thread in (*threads, writer):
                thread.join()

    def close(self) -> None:
        """End all streams; what was received stays to be taken."""
        with self.changed:
            self._is_over = True
            streams = list(self._streams.values())
            for stream in streams:
                stream._is_reset = True
            self.changed.notify_all()
        for stream in streams:
            stream.on_reset()

    def _handle(self, data: bytes) -> list[threading.Thread]:
        begun: list[Stream] = []
        gone: list[Stream] = []
        with self.changed:
            for event in self._h2.receive_data(data):
                self._on(event, begun, gone)
            self._collect()
            self.changed.notify_all()
        for stream in gone:
            stream.on_reset()
        made = [
            threading.Thread(target=self._answer, args=(stream,), name="answer-rpc", daemon=True)
            for stream in begun
        ]
        for thread in made:
            thread.start()
        return made

    def _answer(self, stream: Stream) -> None:
        assert self._serve is not None
        try:
            self._serve(stream)
        except Reset:
            return  # whoever asked has gone
        finally:
            self.forget(stream)

    def _on(self, event: h2.events.Event, begun: list[Stream], gone: list[Stream]) -> None:
        number = getattr(event, "stream_id", None) or 0
        stream = self._streams.get(number)
        if isinstance(event, h2.events.RequestReceived):
            stream = self._streams[number] = Stream(self, number, _as_dict(event.headers))
            begun.append(stream)
        elif isinstance(event, h2.events.ConnectionTerminated):
            for one in self._streams.values():
                one._is_reset = True
            gone.extend(self._streams.values())
        elif stream is None:
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.ResponseReceived):
            stream.headers, stream._has_headers = _as_dict(event.headers), True
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = _as_dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream._received.append((event.data, event.flow_controlled_length or 0))
        elif isinstance(event, h2.events.StreamEnded):
            stream._has_ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream._is_reset = True
            gone.append(stream)

    # -------------------------------------------------------------- streams

    def open(self, headers: Headers) -> Stream:
        """Begin a request. Raises Reset."""
        with self.changed:
            if self._is_over:
                raise Reset("the connection has ended")
            number = self._h2.get_next_available_stream_id()
            stream = self._streams[number] = Stream(self, number)
            self._h2.send_headers(number, headers)
            self._collect()
        return stream

    def forget(self, stream: Stream) -> None:
        """Let go of a stream that nobody uses any more."""
        with self.changed:
            self._streams.pop(stream.number, None)
            for _, size in stream._received:
                self._acknowledge(size, stream.number)
            stream._received.clear()
            self._collect()

    def send(self, write: Callable[[h2.connection.H2Connection], None], stream: Stream) -> None:
        with self.changed:
            if self._is_over or stream._is_reset:
                raise Reset("the stream was given up")
            try:
                write(self._h2)
            except h2.exceptions.ProtocolError as error:
                raise Reset(str(error)) from error
            self._collect()

    def send_data(self, stream: Stream, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with self.changed:
                self.changed.wait_for(lambda: self._is_over or stream._is_reset or self._has_room(stream))
                if self._is_over or stream._is_reset:
                    raise Reset("the stream was given up")
                size = min(self._room(stream), len(view))
                try:
                    self._h2.send_data(stream.number, bytes(view[:size]))
                except h2.exceptions.ProtocolError as error:
                    raise Reset(str(error)) from error
                self._collect()
            view = view[size:]

    def _has_room(self, stream: Stream) -> bool:
        """Tell whether the other side takes more, and has taken what is on its way."""
        return self._unsent_bytes < _MOST_UNSENT_BYTES and self._room(stream) > 0

    def _room(self, stream: Stream) -> int:
        try:
            window = self._h2.local_flow_control_window(stream.number)
        except h2.exceptions.ProtocolError:
            return 1  # it is closed: sending says so
        return min(window, self._h2.max_outbound_frame_size)

    def take(self, stream: Stream) -> bytes | None:
        """Return the next piece that a stream received; None at its end."""
        with self.changed:
            self.changed.wait_for(lambda: stream._received or stream._has_ended or stream._is_reset)
            if not stream._received:
                if stream._has_ended:
                    return None
                raise Reset("the stream was given up")
            data, size = stream._received.popleft()
            self._acknowledge(size, stream.number)
            self._collect()
        return data

    def _acknowledge(self, size: int, number: int) -> None:
        if size and not self._is_over:
            try:
                self._h2.acknowledge_received_data(size, number)
            except h2.exceptions.ProtocolError:
                return  # nobody waits for that any more

    # -------------------------------------------------------------- writing

    def _collect(self) -> None:
        """Hand over what is to be sent, in its order. Under the lock."""
        data = self._h2.data_to_send()
        if data:
            self._unsent.append(data)
            self._unsent_bytes += len(data)
            self.changed.notify_all()

    def _write(self) -> None:
        """Send it: in a thread of its own, so that the reading goes on whatever the other side takes."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._unsent or self._is_over)
                if not self._unsent:
                    return
                data = b"".join(self._unsent)
                self._unsent.clear()
            try:
                self._wire.send(data)
            except Gone:
                self.close()
                return
            with self.changed:
                self._unsent_bytes -= len(data)
                self.changed.notify_all()


def _as_dict(headers: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key = name if isinstance(name, str) else name.decode("latin-1")
        found[key] = value if isinstance(value, str) else value.decode("utf-8", "replace")
    return found
