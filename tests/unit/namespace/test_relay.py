"""Connections that are passed on: every byte in both directions, each end when it comes, and failures as ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from composer.backends.namespace.runtime.loop import Loop
from composer.backends.namespace.runtime.relay import Relay


def _raise(error: BaseException) -> None:
    raise error


@pytest.fixture
def relayed() -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    """Return a listening server, and the address whose connections come to it through a relay."""
    loop, server = Loop(_raise), socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(loop)
    relay.serve([(listener, server.getsockname())])
    runner = threading.Thread(target=loop.run)
    runner.start()
    yield server, listener.getsockname()
    loop.after(0, loop.stop)
    socket.create_connection(listener.getsockname()).close()  # wakes it
    runner.join(5)
    relay.close()
    loop.close()
    for one in (server, listener):
        one.close()


def _all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(1 << 16):
        data += chunk
    return data


def test_every_byte_arrives_and_either_end_may_come_first(
    relayed: tuple[socket.socket, tuple[str, int]],
) -> None:
    server, address = relayed
    sent = bytes(range(256)) * 20_000  # more than all buffers on the way together
    with socket.create_connection(address, timeout=5) as client:
        inner, _ = server.accept()
        with inner:
            inner.settimeout(5)
            threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR))).start()
            assert _all(inner) == sent
            inner.sendall(b"answer after the end of the question")
            inner.shutdown(socket.SHUT_WR)
            assert _all(client) == b"answer after the end of the question"


def test_who_is_not_there_is_an_end(relayed: tuple[socket.socket, tuple[str, int]]) -> None:
    server, address = relayed
    server.close()
    with socket.create_connection(address, timeout=5) as client:
        client.settimeout(5)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass  # an end as well


def test_several_at_once_do_not_mix(relayed: tuple[socket.socket, tuple[str, int]]) -> None:
    server, address = relayed
    clients = [socket.create_connection(address, timeout=5) for _ in range(20)]
    inner = [server.accept()[0] for _ in clients]
    for number, client in enumerate(clients):
        client.sendall(b"%d\n" % number)
    for one in inner:
        one.settimeout(5)
        one.sendall(one.recv(10))
        one.close()
    assert [_all(client) for client in clients] == [b"%d\n" % number for number in range(20)]
    for client in clients:
        client.close()
