"""Connections that stay for the next request, whatever of a body its endpoint has left."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator

import pytest

from tests import transcripts
from tests.api_client import Client
from tests.api_images import tar
from tests.compared.api.image import archive

pytestmark = pytest.mark.root


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


@pytest.fixture
def connection(client: Client) -> Iterator[Connection]:
    client.post("/images/load", {"quiet": 1}, archive(transcripts.IMAGE))
    client.post("/containers/create", {"name": "one"}, {"Image": transcripts.IMAGE, "Cmd": ["true"]})
    found = Connection(client.path)
    yield found
    found.close()


def put(connection: Connection, path: str, behind: int) -> http.client.HTTPResponse:
    """Send an archive in chunks, with zeros behind its end; return the answer, which has been read."""

    def pieces() -> Iterator[bytes]:
        yield tar({"file": b"contents"})
        for _ in range(behind // 4096):
            yield bytes(4096)

    address = f"/v1.51/containers/one/archive?path={path}"
    # a server that has said that it closes may do so before all has been sent
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(
            "PUT", address, pieces(), {"Content-Type": "application/x-tar"}, encode_chunked=True
        )
    answer = connection.getresponse()
    answer.read()
    return answer


@pytest.mark.parametrize("path", ["/", "/nosuch"], ids=["taken", "refused"])
def test_a_connection_goes_on_behind_the_end_of_an_archive(connection: Connection, path: str) -> None:
    for _ in range(3):
        answer = put(connection, path, 64 << 10)
        assert answer.status == (200 if path == "/" else 404) and not answer.will_close
        before = connection.sock
        connection.request("GET", "/v1.51/containers/one/json")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        assert connection.sock is before


def test_the_end_of_a_connection_is_said_where_much_is_left(connection: Connection) -> None:
    answer = put(connection, "/nosuch", 1 << 20)
    assert answer.status == 404 and answer.will_close
