"""HTTP to registries, against servers on loopback that answer as they are told."""

from __future__ import annotations

import io
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from composer.errors import PullFailed
from composer.registry.failures import RequestFailed, backoff_s
from composer.registry.settings import Host, Settings
from composer.registry.transport import Transport
from tests.registries import Handler, Proxy, redirect

LOGIN = {"Authorization": "Basic secret"}


@pytest.fixture
def server() -> Iterator[Proxy]:
    with Proxy() as made:
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(Settings(), idle_s=5.0)
    yield made
    made.close()


def says(body: bytes = b"", code: int = 200, **headers: Any) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, body, headers)


def connections(server: Proxy, pattern: str = "", **headers: str) -> list[int]:
    """Answer from now on; return the ports of the clients that asked, as they come."""
    ports: list[int] = []

    def answer(handler: Handler) -> None:
        ports.append(handler.client_address[1])
        handler.answer(200, b"body", headers)

    server.on(pattern, answer, 0)
    return ports


# ------------------------------------------------------------------ connections


def test_a_connection_is_used_again_when_its_body_was_read(server: Proxy, transport: Transport) -> None:
    ports = connections(server)
    for _ in range(3):
        assert transport.request("GET", f"http://{server.host}/").body(10) == b"body"
    assert len(ports) == 3 and len(set(ports)) == 1


def test_an_answer_to_head_has_no_body_to_read(server: Proxy, transport: Transport) -> None:
    ports = connections(server)
    for _ in range(3):
        assert transport.request("HEAD", f"http://{server.host}/").headers["content-length"] == "4"
    assert len(ports) == 3 and len(set(ports)) == 1


def test_a_connection_is_not_used_again_when_its_body_was_not_wanted(
    server: Proxy, transport: Transport
) -> None:
    ports = connections(server)
    for _ in range(2):
        transport.request("GET", f"http://{server.host}/").close()
    assert len(set(ports)) == 2


def test_a_kept_connection_that_the_server_closed_is_opened_anew(server: Proxy, transport: Transport) -> None:
    def answer(handler: Handler) -> None:
        handler.answer(200, b"body")
        handler.hang_up()

    server.on("", answer, 0)
    for _ in range(3):
        assert transport.request("GET", f"http://{server.host}/").body(10) == b"body"
        time.sleep(0.05)  # the end has arrived here by now, most of the time: both ways must work


# ------------------------------------------------------------------ bodies that go out


@pytest.mark.parametrize("kind", ["bytes", "file", "pieces"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_bodies_go_out(server: Proxy, transport: Transport, method: str, kind: str) -> None:
    data = bytes(range(256)) * 2000
    server.on("", says(code=202, Location="/v2/app/blobs/uploads/1?state=a%20b"), 0)
    kinds: dict[str, Any] = {
        "bytes": data,
        "file": io.BytesIO(data),
        "pieces": iter([data[:1000], data[1000:]]),
    }
    answer = transport.request(
        method,
        f"http://{server.host}/v2/app/blobs/uploads/",
        {"Content-Length": str(len(data))},
        body=kinds[kind],
    )
    assert answer.status == 202
    assert answer.location == f"http://{server.host}/v2/app/blobs/uploads/1?state=a%20b"
    answer.close()
    assert [(asked.method, asked.body) for asked in server.asked] == [(method, data)]
    assert "transfer-encoding" not in server.asked[0].headers


def test_a_body_of_unknown_length_goes_out_in_chunks(server: Proxy, transport: Transport) -> None:
    server.on("", says(code=202), 0)
    transport.request("PATCH", f"http://{server.host}/up", body=(b"piece" for _ in range(2))).close()
    assert server.asked[0].headers["transfer-encoding"] == "chunked"
    assert server.asked[0].body == b"piecepiece"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_changes_something_is_not_sent_to_where_it_was_not_meant(
    server: Proxy, transport: Transport, method: str
) -> None:
    with Proxy() as other:
        server.on("", redirect(f"http://{other.host}"), 0)
        answer = transport.request(method, f"http://{server.host}/up", body=b"x")
        assert (answer.status, answer.location) == (307, f"http://{other.host}/up")
        answer.close()
        assert other.asked == []


# ------------------------------------------------------------------ redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_another_place_is_told_nothing_that_is_private(
    server: Proxy, transport: Transport, code: int
) -> None:
    with Proxy() as other:
        other.on("", says(b"there"), 0)
        server.on("^GET /near", redirect(f"http://{server.host}", code))
        server.on("^GET /", redirect(f"http://{other.host}", code))
        answer = transport.request("GET", f"http://{server.host}/near", {"Accept": "a"}, private=LOGIN)
        assert (answer.body(10), answer.place.netloc) == (b"there", other.host)
        assert [asked.headers.get("authorization") for asked in server.asked] == ["Basic secret"] * 2
        assert "authorization" not in other.asked[0].headers
        assert other.asked[0].headers["accept"] == "a"


@pytest.mark.parametrize("target", ["ftp://host/", "file:///etc/passwd", "http://a b/", "http://h:x/"])
def test_no_redirect_leads_out_of_http(server: Proxy, transport: Transport, target: str) -> None:
    server.on("", says(code=302, Location=target), 0)
    with pytest.raises(RequestFailed, match="invalid URL") as failure:
        transport.request("GET", f"http://{server.host}/")
    assert not failure.value.is_transient


def test_a_redirect_without_an_end_is_not_read_to_it(server: Proxy, transport: Transport) -> None:
    def pour(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/on")
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(bytes(1 << 16))

    server.on("", pour, 0)
    with pytest.raises(PullFailed, match="exceeds 1 MiB"):
        transport.request("GET", f"http://{server.host}/")


def test_letters_that_are_none_of_a_url_reach_nobody_as_they_are(server: Proxy, transport: Transport) -> None:
    server.on("^GET /start", says(code=302, Location="/a b?d=e f"), 0)
    server.on("", says(b"there"), 0)
    assert transport.request("GET", f"http://{server.host}/start").body(10) == b"there"
    assert server.asked[-1].path == "/a%20b?d=e%20f"


# ------------------------------------------------------------------ what goes wrong


def test_what_is_missing_is_counted(server: Proxy, transport: Transport) -> None:
    def stop(handler: Handler) -> None:
        handler.answer(200, b"four", {"Content-Length": "10"})
        handler.hang_up()

    server.on("", stop, 0)
    with pytest.raises(RequestFailed, match=f"^http://{server.host} closed the connection 6 bytes early$"):
        transport.request("GET", f"http://{server.host}/").body(100)


def test_chunks_that_break_off_are_no_whole_body(server: Proxy, transport: Transport) -> None:
    def stop(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nwhole\r\n9\r\npart")
        handler.hang_up()

    server.on("", stop, 0)
    with pytest.raises(RequestFailed, match="lost: unexpected end of data") as failure:
        transport.request("GET", f"http://{server.host}/").body(100)
    assert failure.value.is_transient


def test_a_body_that_is_encoded_stays_as_it_is(server: Proxy, transport: Transport) -> None:
    """Digests are of the bytes on the wire, and a small one may stand for gigabytes."""
    server.on("", says(b"\x1f\x8bno gzip", 200, **{"Content-Encoding": "gzip"}), 0)
    assert transport.request("GET", f"http://{server.host}/").body(100) == b"\x1f\x8bno gzip"


@pytest.mark.parametrize(("number", "is_transient"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_a_name_that_nobody_knows_is_final_and_a_silent_name_server_is_not(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, number: int, is_transient: bool
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "no address")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RequestFailed, match=r"^cannot reach http://registry\.test: ") as failure:
        transport.request("GET", "http://registry.test/")
    assert failure.value.is_transient is is_transient


def test_silence_ends(server: Proxy) -> None:
    transport = Transport(Settings(), idle_s=0.2)
    server.on("", lambda handler: (time.sleep(1.5), handler.hang_up())[1], 0)
    with pytest.raises(RequestFailed, match=f"^cannot reach http://{server.host}: timed out$") as failure:
        transport.request("GET", f"http://{server.host}/")
    assert failure.value.is_transient
    transport.close()


@pytest.mark.parametrize(
    ("settings", "url", "message"),
    [
        (Settings(), "http://127.0.0.1:1/", "^cannot reach http://127.0.0.1:1: connection refused$"),
        (
            Settings(proxies={"http": "http://me:secret@127.0.0.1:1"}),
            "http://registry.test/",
            "^cannot reach http://registry.test through its proxy: connection refused$",
        ),
        (
            Settings(proxies={"http": "socks5://me:secret@127.0.0.1:1"}),
            "http://registry.test/",
            "^cannot use the proxy 'socks5://127.0.0.1:1'$",
        ),
        (
            Settings({"registry.test": Host(ca="/nowhere.pem")}),
            "https://registry.test/",
            "^cannot read '/nowhere.pem', the certificates to trust for registry.test: no such file",
        ),
    ],
)
def test_what_cannot_be_got_over_is_not_tried_again(settings: Settings, url: str, message: str) -> None:
    transport = Transport(settings)
    with pytest.raises(RequestFailed, match=message) as failure:
        transport.request("GET", url)
    assert not failure.value.is_transient
    assert "secret" not in f"{failure.value} {failure.value.hint}"
    transport.close()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("600", 60.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 60.0),
        ("soon", 0.5),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 0.5),
        pytest.param("9" * 5000, 0.5, id="longer than a number may be"),
        ("", 0.5),
    ],
)
def test_the_registry_says_when_it_wants_to_be_asked_again(text: str, seconds: float) -> None:
    assert backoff_s(1, text) == seconds


def test_tries_come_ever_later() -> None:
    assert [backoff_s(attempt) for attempt in range(8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


# ------------------------------------------------------------------ proxies


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_excepted"),
    [
        ("", "registry.test", False),
        ("*", "registry.test", True),
        ("registry.test", "registry.test", True),
        ("REGISTRY.test", "registry.test", True),
        (".test", "registry.test", True),
        ("*.test", "registry.test", True),
        ("test", "registry.test", True),
        ("est", "registry.test", False),
        ("other.test registry.test", "registry.test", True),
        ("registry.test:5000", "registry.test", True),
        ("registry.test:443", "registry.test", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]:5000", "[fd00::1]", True),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("", "127.0.0.1", True),
        ("", "localhost", True),
        ("", "[::1]", True),
    ],
)
def test_no_proxy(no_proxy: str, host: str, is_excepted: bool) -> None:
    settings = Settings(proxies={"https": "http://proxy:3128"}, no_proxy=no_proxy)
    assert settings.proxy("https", host, 5000) == ("" if is_excepted else "http://proxy:3128")
    assert settings.proxy("http", host, 5000) == ""


# ------------------------------------------------------------------ imports


def test_urllib3_is_imported_with_the_first_request_only(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys\n"
        "from composer.registry import auth, credentials, digests, failures, registry, settings\n"
        "from composer import references\n"
        "from composer.runtime.images import Store, download, pull\n"
        "registries = registry.Registries(settings.Settings())\n"
        "print(sorted({'urllib3', 'http', 'ssl', 'email'} & set(sys.modules)))\n"
        "registries.of(references.parse('127.0.0.1:1/app'))\n"
        "print('urllib3' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
        cwd=pathlib.Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
