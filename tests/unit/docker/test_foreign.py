"""Every class that the SDK and the libraries below it can raise is one of our errors, with words of our own."""

from __future__ import annotations

import http.client
import inspect
import socket
from types import ModuleType
from typing import cast

import docker.credentials.errors
import docker.errors
import pytest
import requests
import urllib3.exceptions

from composer import errors
from composer.backends.docker.endpoint import Endpoint
from composer.backends.docker.foreign import SourceFailed, translated, translation

PLACE = Endpoint("tcp://engine:2376", "/certs")


def classes(module: ModuleType) -> list[type[Exception]]:
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
        and not issubclass(kind, Warning)
        and kind.__module__.startswith(module.__name__.partition(".")[0])
    ]


ALL = sorted(
    {
        *classes(docker.errors),
        *classes(docker.credentials.errors),
        *classes(requests.exceptions),
        *classes(urllib3.exceptions),
        *classes(http.client),
    },
    key=lambda kind: f"{kind.__module__}.{kind.__qualname__}",
)


class Unread:
    """An answer of which nothing was read."""

    length_remaining = 0

    def tell(self) -> int:
        return 0


def made(kind: type[Exception]) -> Exception:
    """Return an error of a class, with words for whatever it wants to know."""
    try:
        wanted = inspect.signature(kind).parameters.values()
    except ValueError:
        return kind("words")
    needed = [p for p in wanted if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if kind is requests.exceptions.JSONDecodeError:
        return kind("words", "{", 0)
    if kind is urllib3.exceptions.InvalidChunkLength:
        return kind(cast(urllib3.HTTPResponse, Unread()), b"words")
    return kind(*(["words"] * max(1, len(needed))))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_every_class_is_one_of_ours(kind: type[Exception]) -> None:
    with pytest.raises(errors.BackendError) as caught, translated(PLACE, 120):
        raise made(kind)
    assert str(caught.value)
    assert isinstance(caught.value.__cause__, kind)
    assert "HTTPConnectionPool" not in str(caught.value)


def test_the_classes_are_found() -> None:
    assert {docker.errors.ImageNotFound, requests.ConnectionError, urllib3.exceptions.ProtocolError} < set(
        ALL
    )
    assert len(ALL) > 70


def aborted(error: OSError) -> requests.ConnectionError:
    """Return what requests makes of an error of the system's."""
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", error))


def refused(name: str) -> requests.ConnectionError:
    inner = urllib3.exceptions.NewConnectionError(None, "words")  # type: ignore[arg-type]
    inner.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, name, inner))  # type: ignore[arg-type]


def answer(status: int, body: bytes) -> requests.Response:
    found = requests.Response()
    found.status_code, found._content = status, body
    return found


CASES: list[tuple[Exception, type[errors.BackendError], str]] = [
    (
        aborted(FileNotFoundError(2, "No such file or directory")),
        errors.Unavailable,
        "cannot connect to the Docker Engine",
    ),
    (
        aborted(PermissionError(13, "Permission denied")),
        errors.PermissionDenied,
        "permission denied while trying to connect",
    ),
    (aborted(ConnectionResetError(104, "reset")), errors.Unavailable, "lost connection"),
    (
        refused("/x"),
        errors.Unavailable,
        "cannot connect to the Docker Engine at 'tcp://engine:2376': connection refused",
    ),
    (requests.ConnectionError(socket.gaierror(-2, "Name not known")), errors.Unavailable, "name not known"),
    (requests.ReadTimeout("words"), errors.Unavailable, "did not respond within 120 s"),
    (TimeoutError(), errors.Unavailable, "did not respond within 120 s"),
    (
        requests.exceptions.SSLError("bad certificate"),
        errors.Unavailable,
        "TLS connection to the Docker Engine",
    ),
    (requests.exceptions.ChunkedEncodingError("words"), errors.Unavailable, "lost connection"),
    (requests.exceptions.InvalidURL("words"), errors.Unavailable, "cannot connect to a Docker Engine"),
    (requests.exceptions.JSONDecodeError("x", "y", 0), errors.Unavailable, "is not a Docker Engine"),
    (docker.errors.StreamParseError("words"), errors.Unavailable, "lost connection"),
    (
        docker.errors.APIError("x", answer(404, b""), "No such image: a"),
        errors.NotFound,
        "no such image: a",
    ),
    (docker.errors.APIError("x", answer(409, b""), "In use."), errors.Conflict, "in use"),
    (docker.errors.ImageNotFound("x", answer(404, b""), "pull access denied"), errors.PullFailed, "denied"),
    (docker.errors.APIError("x", answer(500, b"<html>"), ""), errors.BackendError, "<html>"),
    (docker.credentials.errors.StoreError("locked"), errors.PermissionDenied, "locked"),
    (docker.errors.TLSParameterError("no such file"), errors.Unavailable, "no such file"),
]


@pytest.mark.parametrize(("error", "kind", "words"), CASES, ids=[repr(case[0])[:60] for case in CASES])
def test_what_is_told(error: Exception, kind: type[errors.BackendError], words: str) -> None:
    found = translation(error, PLACE, 120)
    assert type(found) is kind
    assert words in str(found)


def test_certificates_are_named() -> None:
    found = translation(requests.exceptions.SSLError("words"), PLACE, 1)
    assert found is not None
    assert "/certs" in str(found.hint)


@pytest.mark.parametrize("body", [b'{"error": "x"}', b'["x"]'])
def test_a_refusal_that_the_sdk_cannot_read(body: bytes) -> None:
    """It takes JSON for an object with a message, and fails with an error of its own where it is none."""
    with pytest.raises(errors.Conflict), translated(PLACE, 1):
        try:
            raise requests.HTTPError("409", response=answer(409, body))
        except requests.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)


OURS = [
    errors.Conflict("x"),
    OSError(28, "No space left on device"),
    KeyError("x"),
    ValueError("x"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_what_is_none_of_theirs_goes_on(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, translated(PLACE, 1):
        raise error
    assert caught.value is error


def test_what_a_body_is_made_from_fails_as_itself() -> None:
    with pytest.raises(IsADirectoryError), translated(PLACE, 1):
        raise SourceFailed from IsADirectoryError(21, "Is a directory")
