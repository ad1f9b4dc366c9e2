"""Waiting for what tells nobody of itself: ports that open, servers that answer."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from composer.stacks.results import Address

_FIRST_S, _MOST_S, _GROWTH = 0.005, 0.25, 1.5
_CONNECT_S = 2.0
_BODY_BYTES = 16 << 20


class Patience:
    """Pauses that grow until a time is over."""

    def __init__(self, timeout_s: float) -> None:
        self._until = time.monotonic() + timeout_s
        self._pause_s = _FIRST_S
        self._clock = threading.Event()

    @property
    def left_s(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def pause(self) -> bool:
        """Wait a little; return False when the time is over."""
        if not self.left_s:
            return False
        self._clock.wait(min(self._pause_s, self.left_s))
        self._pause_s = min(_MOST_S, self._pause_s * _GROWTH)
        return True


def connects(address: Address, left_s: float) -> bool:
    """Tell whether somebody accepts connections there."""
    try:
        with socket.create_connection(address, timeout=min(_CONNECT_S, max(left_s, 0.05))):
            return True
    except OSError:
        return False


class Answer(NamedTuple):
    """What a server said; ``status`` is 0 where there was no answer, and ``said`` tells what came instead."""

    status: int
    body: bytes
    said: str


def request(scheme: str, address: Address, path: str, left_s: float) -> Answer:
    """Ask once. A certificate is not checked: that of a test is nobody's."""
    timeout_s = min(_CONNECT_S * 5, max(left_s, 0.05))
    connection: http.client.HTTPConnection
    if scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(*address, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    return Answer(response.status, body, f"status {response.status}: {body[:200].decode(errors='replace')}")
