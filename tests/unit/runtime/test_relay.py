"""Connections that are passed on: every byte in both directions, each end when it comes, and failures as ends."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from composer.runtime.base.loop import Loop
from composer.runtime.network import relay as relay_module
from composer.runtime.network.relay import Relay


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


def test_a_slow_reader_gets_an_answer_whole_after_the_end_of_its_question(
    relayed: tuple[socket.socket, tuple[str, int]],
) -> None:
    """Both directions of the server's side are shut long before the client has read anything of it."""
    server, address = relayed
    answer = bytes(range(256)) * 24_000
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(5)
    client.connect(address)
    with client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        inner, _ = server.accept()
        inner.settimeout(5)
        assert _all(inner) == b"question"

        def say() -> None:
            with inner:
                inner.sendall(answer)

        saying = threading.Thread(target=say)
        saying.start()
        time.sleep(0.3)
        assert _all(client) == answer
        saying.join(5)


def test_more_connections_than_may_be_wait_and_are_served_later(
    monkeypatch: pytest.MonkeyPatch, relayed: tuple[socket.socket, tuple[str, int]]
) -> None:
    monkeypatch.setattr(relay_module, "_MAX_PAIRS", 2)
    monkeypatch.setattr(relay_module, "_PAUSE_S", 0.05)
    server, address = relayed
    clients = [socket.create_connection(address, timeout=5) for _ in range(5)]
    for client in clients:
        inner, _ = server.accept()
        inner.sendall(b"served")
        inner.close()
        assert _all(client) == b"served"
        client.close()


def test_no_descriptor_left_is_no_end_of_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "_PAUSE_S", 0.05)
    loop = Loop(_raise)
    relay = Relay(loop)
    server, listener = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)
    relay.serve([(listener, server.getsockname())])
    client = socket.create_connection(listener.getsockname(), timeout=5)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        loop.after(0.1, loop.stop)
        loop.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    loop.after(0.2, loop.stop)
    loop.run()
    with server.accept()[0]:
        relay.close()
        assert client.recv(1) == b""
    for one in (client, server, listener):
        one.close()
    loop.close()


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


def test_datagrams_go_there_and_answers_come_back_to_who_asked() -> None:
    loop = Loop(_raise)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    listener.bind(("::1", 0))
    relay = Relay(loop)
    relay.serve([(listener, server.getsockname())])
    clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
    for number, client in enumerate(clients):
        client.settimeout(5)
        client.sendto(b"%d" % number, listener.getsockname())
    loop.after(0.1, loop.stop)
    loop.run()
    server.settimeout(5)
    for _ in clients:
        data, sender = server.recvfrom(100)
        server.sendto(b"answer " + data, sender)
    loop.after(0.1, loop.stop)
    loop.run()
    assert [client.recv(100) for client in clients] == [b"answer 0", b"answer 1", b"answer 2"]
    relay.close()
    loop.close()
    for one in (server, listener, *clients):
        one.close()
