"""Requests to an engine: what goes out, what comes back, and every way in which it fails."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable

import pytest

from composer.backends.docker import client as client_module
from composer.backends.docker.client import Client, quote
from composer.backends.docker.endpoint import Endpoint
from composer.errors import BackendError, NotFound, PermissionDenied, Unavailable
from tests.unit.docker.engine import Asked, Engine, answer

Start = Callable[..., Engine]


@pytest.mark.parametrize(
    ("theirs", "spoken"), [("1.41", (1, 41)), ("1.44", (1, 44)), ("1.51", (1, 51)), ("2.7", (1, 51))]
)
def test_the_version_is_what_both_speak(engine: Start, theirs: str, spoken: tuple[int, int]) -> None:
    found = engine(lambda asked: answer(value=[]), theirs)
    assert found.client().api == spoken


def test_an_engine_that_is_too_old_is_named_with_the_remedy(engine: Start) -> None:
    with pytest.raises(
        Unavailable, match=r"too old: it supports API 1\.40, but 1\.41 or newer is required"
    ) as caught:
        engine(lambda asked: b"", "1.40").client()
    assert caught.value.hint == "update Docker Engine to 20.10 or newer"


def test_something_else_that_speaks_http_is_no_engine(engine: Start) -> None:
    with pytest.raises(Unavailable, match="is not a Docker Engine"):
        engine(lambda asked: b"", "").client()


def test_paths_and_parameters_are_encoded(engine: Start) -> None:
    found = engine(lambda asked: answer(value={}))
    found.client().get(
        "/images/a b/json", {"filters": {"label": ["x=é"]}, "all": True, "none": None, "n": (1, 2)}
    )
    assert found.asked[0].target == (
        "/v1.51/images/a%20b/json?filters=%7B%22label%22:%20%5B%22x%3D%5Cu00e9%22%5D%7D&all=1&n=1&n=2"
    )


def test_quote_knows_what_a_slash_is() -> None:
    assert quote("a/b?c&d=ü") == "a/b%3Fc%26d%3D%C3%BC"
    assert quote("a/b", safe_slash=False) == "a%2Fb"


def test_a_connection_is_used_again(engine: Start) -> None:
    found = engine(lambda asked: answer(value=1))
    client = found.client()
    assert [client.get("/x") for _ in range(5)] == [1] * 5
    assert found.connections == 1


def test_a_restarted_engine_is_asked_again(engine: Start) -> None:
    found = engine(lambda asked: answer(value=1))
    client = found.client()
    client.get("/x")
    found.hang_up()
    assert client.get("/x") == 1
    assert found.connections == 2


def test_an_engine_that_goes_in_the_middle_is_one_clear_line(engine: Start) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf"
    found = engine(lambda asked: half)
    client = found.client()
    threading.Thread(target=lambda: (found.answered.wait(30), found.hang_up())).start()
    with pytest.raises(Unavailable, match="lost connection to the Docker Engine") as caught:
        client.get("/x")
    assert "rerun the command" in str(caught.value.hint)


def test_a_slow_answer_has_an_end(engine: Start) -> None:
    given_up = threading.Event()

    def reply(asked: Asked) -> bytes:
        given_up.wait(30)
        return answer(value=1)

    client = engine(reply).client()
    with pytest.raises(Unavailable, match="did not respond within 0 s"):
        client.get("/x", timeout_s=0.05)
    given_up.set()


def test_a_refusal_is_an_error_with_the_engines_words(engine: Start) -> None:
    client = engine(lambda asked: answer(404, {"message": "No such container: abc"})).client()
    with pytest.raises(NotFound) as caught:
        client.get("/containers/abc/json")
    assert str(caught.value) == "no such container: abc"


def test_chunks_are_put_together(engine: Start) -> None:
    body = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\nTrailer: x\r\n\r\n'
    client = engine(lambda asked: body).client()
    assert [client.get("/x") for _ in range(2)] == [{"a": 1}] * 2


def test_nothing_is_no_answer(engine: Start) -> None:
    client = engine(lambda asked: b"HTTP/1.1 204 No Content\r\n\r\n").client()
    assert [client.get("/x") for _ in range(2)] == [None, None]


def test_a_socket_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Unavailable, match="cannot connect to the Docker Engine at") as caught:
        Client(Endpoint(f"unix://{tmp_path}/nothing.sock"))
    assert "DOCKER_HOST" in str(caught.value.hint)


def test_a_socket_that_is_not_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    from composer.backends.docker import endpoint

    def refuse(where: Endpoint, rest: str) -> None:
        raise PermissionError

    monkeypatch.setitem(endpoint._WAYS, "unix", refuse)
    with pytest.raises(PermissionDenied, match="permission denied while trying to connect") as caught:
        Client(Endpoint("unix:///x"))
    assert "docker group" in str(caught.value.hint)


def test_every_error_is_ours(engine: Start) -> None:
    client = engine(lambda asked: b"nonsense\r\n").client()
    with pytest.raises(BackendError):
        client.get("/x")
    assert client_module.OLDEST == (1, 41)


def test_an_answer_that_is_no_json_is_no_engines(engine: Start) -> None:
    client = engine(lambda asked: b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>").client()
    with pytest.raises(Unavailable, match="is not a Docker Engine"):
        client.get("/x")


def test_it_can_ask_and_nothing_else(engine: Start) -> None:
    """What changes something has one way, the SDK's."""
    found = engine(lambda asked: answer(value=1))
    client = found.client()
    client.get("/x")
    client.open("/x", method="HEAD").read()
    assert [asked.method for asked in found.asked] == ["GET", "HEAD"]
    assert not {"post", "put", "delete", "call", "upgrade"} & set(dir(client))
