"""Calls over HTTP/2 between two ends of a socket pair: messages both ways, errors, ends before their time."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from composer.api.buildkit import grpc, messages
from composer.api.buildkit.http2 import Connection, Reset
from composer.api.http.wire import Wire

ECHO, FAIL, HANG, BREAK = ("/test.Service/" + name for name in ("Echo", "Fail", "Hang", "Break"))


@contextmanager
def connected(
    handlers: dict[str, Callable[[grpc.Asked], None]],
) -> Iterator[tuple[Connection, list[BaseException]]]:
    ours, theirs = socket.socketpair()
    problems: list[BaseException] = []
    with ours, theirs:
        table = grpc.Table(handlers, lambda path, error: problems.append(error))
        server = Connection(Wire(theirs), b"", serve=table.serve)
        client = Connection(Wire(ours), b"")
        threads = [threading.Thread(target=one.run) for one in (server, client)]
        for thread in threads:
            thread.start()
        try:
            yield client, problems
        finally:
            for one in (ours, theirs):
                one.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()


def echo(asked: grpc.Asked) -> None:
    while True:
        try:
            found = asked.read(messages.BYTES)
        except grpc.Failed:
            return
        asked.write(messages.BYTES, found)


def fail(asked: grpc.Asked) -> None:
    raise grpc.Failed(grpc.NOT_FOUND, "no 50 % of söme\nthing")


def broken(asked: grpc.Asked) -> None:
    raise RuntimeError("a secret of ours")


def test_messages_go_both_ways_whatever_their_size() -> None:
    pieces = [b"", b"x", os.urandom(100_000), os.urandom(5_000_000)]
    with (
        connected({ECHO: echo}) as (client, _),
        grpc.Call(client, ECHO, messages.BYTES, messages.BYTES) as call,
    ):
        for piece in pieces:
            call.send({"data": piece})
            assert call.receive() == {"data": piece}
        call.end()
        assert call.receive() is None


def test_many_calls_at_once_do_not_mix() -> None:
    with connected({ECHO: echo}) as (client, _):
        found: dict[int, bytes] = {}

        def one(number: int) -> None:
            data = bytes([number]) * 300_000
            found[number] = grpc.ask(client, ECHO, messages.BYTES, messages.BYTES, {"data": data})["data"]

        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == {number: bytes([number]) * 300_000 for number in range(20)}


def test_a_failure_has_its_code_and_its_words() -> None:
    with connected({FAIL: fail}) as (client, _), pytest.raises(grpc.Failed) as caught:
        grpc.ask(client, FAIL, messages.EMPTY, messages.EMPTY, {})
    assert (caught.value.code, caught.value.message) == (grpc.NOT_FOUND, "no 50 % of söme\nthing")


def test_what_nobody_answers_is_said() -> None:
    with connected({}) as (client, _), pytest.raises(grpc.Failed) as caught:
        grpc.ask(client, "/test.Service/None", messages.EMPTY, messages.EMPTY, {})
    assert caught.value.code == grpc.UNIMPLEMENTED


def test_an_error_of_ours_tells_the_client_nothing_of_it() -> None:
    with connected({BREAK: broken}) as (client, problems), pytest.raises(grpc.Failed) as caught:
        grpc.ask(client, BREAK, messages.EMPTY, messages.EMPTY, {})
    assert caught.value.code == grpc.INTERNAL and "secret" not in caught.value.message
    assert isinstance(problems[0], RuntimeError)


def test_who_gives_a_call_up_is_heard() -> None:
    begun, ended = threading.Event(), threading.Event()

    def hang(asked: grpc.Asked) -> None:
        asked.on_cancel(ended.set)
        begun.set()
        ended.wait(60)

    with connected({HANG: hang}) as (client, _):
        call = grpc.Call(client, HANG, messages.EMPTY, messages.EMPTY)
        call.send({})
        assert begun.wait(30)
        call.reset()
        assert ended.wait(30)
        with pytest.raises(Reset):
            call.send({})


def test_who_gave_a_call_up_before_anybody_asked_is_heard() -> None:
    begun, ended = threading.Event(), threading.Event()

    def hang(asked: grpc.Asked) -> None:
        begun.set()
        with pytest.raises(Reset):
            asked.read(messages.EMPTY)
        asked.on_cancel(ended.set)

    with connected({HANG: hang}) as (client, _):
        call = grpc.Call(client, HANG, messages.EMPTY, messages.EMPTY)
        assert begun.wait(30)
        call.reset()
        assert ended.wait(30)


def test_the_connection_s_end_ends_all_calls() -> None:
    begun, ended = threading.Event(), threading.Event()

    def hang(asked: grpc.Asked) -> None:
        asked.on_cancel(ended.set)
        begun.set()
        ended.wait(60)

    with connected({HANG: hang}) as (client, _):
        call = grpc.Call(client, HANG, messages.EMPTY, messages.EMPTY)
        assert begun.wait(30)
        client.close()
        with pytest.raises(Reset):
            call.receive()
        with pytest.raises(Reset):
            grpc.ask(client, ECHO, messages.EMPTY, messages.EMPTY, {})
    assert ended.is_set()


def test_a_message_that_is_too_long_or_breaks_off_is_refused() -> None:
    with connected({ECHO: echo}) as (client, _):
        for data in (b"\0\xff\xff\xff\xff", b"\0\0\0\0\x05abc", b"\1\0\0\0\0"):
            with grpc.Call(client, FAIL, messages.BYTES, messages.BYTES) as call:
                call._stream.send(data)
                call.end()
                with pytest.raises(grpc.Failed):
                    call.receive()


def test_what_is_no_http2_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Connection(Wire(theirs), b"", serve=lambda stream: None)
        thread = threading.Thread(target=server.run)
        thread.start()
        ours.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        thread.join(30)
        assert not thread.is_alive()
