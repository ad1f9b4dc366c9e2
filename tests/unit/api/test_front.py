"""The door: heads, bodies, limits, bad requests; over a socket pair, without any endpoint."""

from __future__ import annotations

import pathlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from composer.api.http import front as fronts
from composer.api.http.front import Asked, Front, Listener


class House:
    """A server that answers with the length of each body, and what it was asked."""

    def __init__(self, path: pathlib.Path, **options: object) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(512)
        self.path = str(path)
        self.asked: list[tuple[str, int]] = []
        self.front = Front([Listener(listener)], self.serve, lambda *_: False, **options)  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.front.run, daemon=True)
        self.thread.start()
        self._listener = listener

    def serve(self, asked: Asked) -> bool:
        import h11

        self.asked.append((asked.request.target.decode(), len(asked.body)))
        body = str(len(asked.body)).encode()
        head = h11.Response(status_code=200, headers=[("Content-Length", str(len(body)))])
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            asked.wire.send(asked.http.send(event) or b"")
        return True

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(self.path)
        return connection

    def say(self, data: bytes) -> bytes:
        """Return all that comes until the server closes the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            found = b""
            while piece := connection.recv(1 << 16):
                found += piece
            return found

    def close(self) -> None:
        if self.thread.is_alive():
            self.front.stop()
        self.thread.join(10)
        self._listener.close()


@pytest.fixture
def house(tmp_path: pathlib.Path) -> Iterator[House]:
    made = House(tmp_path / "s")
    yield made
    made.close()


def test_requests_follow_each_other_on_a_connection(house: House) -> None:
    one = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    two = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = house.say(one + two + one)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert house.asked == [("/a", 3), ("/b", 0), ("/a", 3)]


def test_a_chunked_body_is_put_together(house: House) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = house.say(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert answer.endswith(b"5") and house.asked == [("/a", 5)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 70_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),  # TLS where none is spoken
    ],
)
def test_a_bad_request_is_refused_and_the_connection_closed(house: House, data: bytes, status: bytes) -> None:
    answer = house.say(data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert b'{"message":' in answer and b"Traceback" not in answer
    assert house.asked == []


def test_what_is_smuggled_behind_a_bad_request_is_not_heard(house: House) -> None:
    bad = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    house.say(bad + b"0\r\n\r\nGET /secret HTTP/1.1\r\nHost: x\r\n\r\n")
    assert house.asked == []


def test_a_body_has_a_limit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "_BODY_BYTES", 1000)
    answer = house.say(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_client_that_sends_nothing_holds_no_thread(house: House) -> None:
    before = threading.active_count()
    guests = [house.connect() for _ in range(200)]
    for guest in guests:
        guest.sendall(b"GET / HTT")
    assert house.say(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert threading.active_count() <= before + 3
    for guest in guests:
        guest.close()


def test_a_head_that_does_not_come_is_not_waited_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "_HEAD_S", 0.2)
    house = House(tmp_path / "t")
    with house.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHo")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    house.close()


def test_it_ends_when_nobody_has_been_there(tmp_path: pathlib.Path) -> None:
    house = House(tmp_path / "t", idle_exit_s=0.3)
    with house.connect():
        time.sleep(1.5)
        assert house.thread.is_alive()  # somebody is there, and says nothing
    house.thread.join(10)
    assert not house.thread.is_alive()
    house.close()


def test_no_descriptor_is_left_by_clients_of_all_kinds(house: House) -> None:
    import os

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    house.say(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    before = count()
    for _ in range(50):
        house.say(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        house.say(b"nonsense\r\n\r\n")
        with house.connect() as guest:
            guest.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
    until = time.monotonic() + 5
    while count() > before and time.monotonic() < until:
        threading.Event().wait(0.05)
    assert count() <= before
