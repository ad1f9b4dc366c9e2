"""A connection that has been taken over: a program's output to the client, the client's bytes to the program.

Output of both streams is framed: a byte for the stream, three of zero, the length in four, as Docker has it. A
terminal's is not.
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING, Protocol

from composer.api.http.call import FRAMES, STREAM
from composer.api.http.problems import Problem
from composer.api.http.wire import Gone

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.http.wire import Wire

_KINDS = {"stdin": b"\0", "stdout": b"\1", "stderr": b"\2"}
_NAMES = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}
_USUAL_KEYS = b"\x10\x11"


class Session(Protocol):
    """What runs: its output, its input."""

    def fileno(self) -> int: ...
    def read(self) -> tuple[str, bytes] | None: ...
    def write(self, data: bytes) -> None: ...
    def close_stdin(self) -> None: ...


def kind_of(call: Call, *, tty: bool) -> str:
    """Return the content type of a stream: since 1.42 frames have a name of their own."""
    return FRAMES if not tty and call.version >= (1, 42) else STREAM


def frame(stream: str, data: bytes) -> bytes:
    return _KINDS[stream] + b"\0\0\0" + len(data).to_bytes(4, "big") + data


def keys_of(text: str) -> bytes:
    """Read ``ctrl-p,ctrl-q``. Raises Problem."""
    if not text:
        return _USUAL_KEYS
    found = bytearray()
    for word in text.split(","):
        letter = word.removeprefix("ctrl-")
        if word == letter and len(word) == 1 and word.isascii():
            found.append(ord(word))
        elif word != letter and len(letter) == 1 and letter.isascii() and letter.isalpha():
            found.append(ord(letter.lower()) - ord("a") + 1)
        elif word != letter and letter in _NAMES:
            found.append(_NAMES[letter])
        else:
            raise Problem(400, f"Invalid detach keys ({text}) provided")
    return bytes(found)


class Detaching:
    """Looks for the keys that end a conversation in what a client types."""

    def __init__(self, keys: bytes) -> None:
        self._keys, self._held = keys, b""

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what goes to the program, and whether the keys were typed. A begin of them is held back."""
        data = self._held + data
        self._held = b""
        at = data.find(self._keys)
        if at >= 0:
            return data[:at], True
        for count in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:count]):
                self._held = data[-count:]
                return data[:-count], False
        return data, False


class Conversation:
    """Moves bytes both ways until the program or the client has ended."""

    def __init__(
        self,
        wire: Wire,
        session: Session,
        *,
        tty: bool,
        streams: tuple[str, ...] = ("stdout", "stderr"),
        takes_input: bool = False,
        closes_input: bool = True,
        keys: bytes = b"",
        first: bytes = b"",
    ) -> None:
        """``closes_input``: the end of what the client sends is the end of the program's input.

        Of a terminal it never is: there it ends the conversation.
        """
        self._wire, self._session = wire, session
        self._tty, self._streams, self._takes_input = tty, streams, takes_input
        self._closes_input = closes_input
        self._has_left = False
        self._detaching = Detaching(keys) if keys and tty else None
        self._first = first
        self.is_detached = False
        self._is_over = threading.Event()

    def run(self) -> bool:
        """Return True when the program has ended, False when the client has gone or has detached."""
        taking = threading.Thread(target=self._take_input, name="input", daemon=True)
        if self._takes_input:
            taking.start()
        try:
            has_ended = self._give_output()
        except Gone:
            has_ended = False
        if self._takes_input and not has_ended and not self.is_detached:
            taking.join(_LAST_WORDS_S)  # what the client said before it went is said
        self._is_over.set()
        return has_ended

    def _give_output(self) -> bool:
        poll = select.poll()
        poll.register(self._session.fileno(), select.POLLIN)
        poll.register(self._wire.fileno(), select.POLLHUP | select.POLLERR)
        while True:
            ready = dict(poll.poll(_LOOK_MS))
            if (
                self.is_detached
                or self._has_left
                or ready.get(self._wire.fileno(), 0) & (select.POLLHUP | select.POLLERR)
            ):
                return False
            if self._session.fileno() not in ready:
                continue
            piece = self._session.read()
            if piece is None:
                return True
            stream, data = piece
            if self._tty or stream in self._streams:
                self._wire.send(data if self._tty else frame(stream, data))

    def _take_input(self) -> None:
        try:
            data = self._first
            while not self._is_over.is_set():
                if data and not self._forward(data):
                    return
                try:
                    data = self._wire.receive(_LOOK_MS / 1000)
                except TimeoutError:
                    data = b""
                    continue
                if not data:
                    if self._tty:
                        self._has_left = True
                    elif self._closes_input:
                        self._session.close_stdin()
                    return
        except (Gone, OSError, ValueError):
            return  # the other side has ended, and with it the conversation

    def _forward(self, data: bytes) -> bool:
        if self._detaching is not None:
            data, self.is_detached = self._detaching.take(data)
        if data:
            self._session.write(data)
        return not self.is_detached


_LAST_WORDS_S = 5.0
"""How long a program may take to read what its client has sent before it went."""
_LOOK_MS = 1000
"""How often both directions look whether the other has ended the conversation."""
