"""The push side's reading of answers: where an upload goes on, and how much of it is there."""

from __future__ import annotations

from typing import cast

import pytest

from composer.errors import LoginFailed, PushFailed
from composer.registry.logins import host_of
from composer.registry.push import _confirmed, _Upload
from composer.registry.transport import Place, Response


class Answer:
    """What is read of a response."""

    def __init__(self, location: str = "", **headers: str) -> None:
        self.location, self.headers = location, headers
        self.place = Place("https", "registry.example", 443)


def answer(location: str = "", **headers: str) -> Response:
    return cast("Response", Answer(location, **headers))


@pytest.mark.parametrize(
    ("header", "otherwise", "found"),
    [
        ("0-99", 0, 100),
        ("bytes=0-99", 0, 100),
        (" 0-99 ", 0, 100),
        ("0-0", 0, 0),
        ("0-0", 1, 1),
        ("0-0", 500, 0),
        ("", 500, 500),
        ("1-99", 500, 500),
        ("0-", 7, 7),
        ("0--1", 7, 7),
        ("0-" + "9" * 400, 7, 10**18),
    ],
)
def test_how_much_is_confirmed(header: str, otherwise: int, found: int) -> None:
    assert _confirmed(answer(range=header), otherwise) == found


def test_an_upload_goes_on_where_the_answer_leads() -> None:
    upload = _Upload("https://registry.example/v2/a/blobs/uploads/", 0)
    upload.follow(answer())
    assert upload.url == "https://registry.example/v2/a/blobs/uploads/"
    upload.follow(answer("https://storage.example/u?state=a%2Fb"))
    digest = f"sha256:{'0' * 64}"
    assert upload.completed(digest) == f"https://storage.example/u?state=a%2Fb&digest={digest}"
    upload.follow(answer("https://registry.example/u/1#part"))
    assert upload.completed(digest) == f"https://registry.example/u/1?digest={digest}"
    with pytest.raises(PushFailed, match="without encryption") as failure:
        upload.follow(answer("http://registry.example/u/1"))
    assert failure.value.hint


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io/", "ghcr.io"),
        ("http://localhost:5000/v2/", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("registry", "registry"),
    ],
)
def test_a_server_is_known_by_its_host(server: str, host: str) -> None:
    assert host_of(server) == host


@pytest.mark.parametrize("server", ["a b", "user@host", "host:port", "-x", "host:", "ä.example", "a\nb"])
def test_what_is_no_server(server: str) -> None:
    with pytest.raises(LoginFailed, match="invalid registry"):
        host_of(server)
