"""Files that are fetched from URLs, and what is kept of them."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from composer.errors import BuildFailed
from composer.registry.transport import Transport
from composer.runtime.build.context.downloads import Downloads
from composer.runtime.build.context.fetching import Fetched, fetch
from tests.integration.build.places import opened
from tests.integration.build.servers import Answer, Server

pytestmark = pytest.mark.root


def fetched(
    url: str, place: Path, transport: Transport, *, limit_bytes: int = 1 << 30, checksum: str = ""
) -> Fetched:
    with opened(place) as fd:
        return fetch(
            url, fd, transport, wait=lambda seconds: None, limit_bytes=limit_bytes, checksum=checksum
        )


# ---------------------------------------------------------------------------- URLs


def test_a_file_is_fetched(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/d/a%20b.txt?x=1"] = [
        Answer(b"text", headers={"Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"})
    ]
    found = fetched(f"{server.url}/d/a%20b.txt?x=1", place, transport)
    assert found == Fetched("a b.txt", f"sha256:{hashlib.sha256(b'text').hexdigest()}", 4)
    state = os.stat(place / "a b.txt")
    assert (state.st_mode & 0o7777, state.st_mtime) == (0o600, 1_500_000_000)


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/", {}, "__unnamed__"),
        ("", {}, "__unnamed__"),
        ("/", {"Content-Disposition": 'attachment; filename="b.txt"'}, "b.txt"),
        ("/", {"Content-Disposition": 'attachment; filename="../../etc/b.txt"'}, "b.txt"),
        ("/", {"Content-Disposition": 'attachment; filename=".."'}, "__unnamed__"),
        ("/", {"Content-Disposition": "attachment"}, "__unnamed__"),
        ("/a", {"Content-Disposition": 'attachment; filename="b.txt"'}, "a"),
        ("/d/named/", {}, "named"),
        ("/%2e%2e", {}, "__unnamed__"),
        ("/x%2fy", {}, "y"),
        ("/a%00b", {}, "__unnamed__"),
        ("/" + "n" * 300, {}, "__unnamed__"),
    ],
)
def test_names(
    path: str, headers: Mapping[str, str], name: str, server: Server, place: Path, transport: Transport
) -> None:
    server.answers["*"] = [Answer(b"x", headers=headers)]
    assert fetched(server.url + path, place, transport).name == name
    assert os.listdir(place) == [name]


@pytest.mark.parametrize(
    "text", ["", "never", "Fri, 99 Jul 2017 02:40:00 GMT", "Thu, 01 Jan 1960 00:00:00 GMT"]
)
def test_no_date_is_1970(text: str, server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(b"x", headers={"Last-Modified": text})]
    fetched(f"{server.url}/f", place, transport)
    assert os.stat(place / "f").st_mtime == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_checksums(algorithm: str, server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(b"text")]
    right = f"{algorithm}:{hashlib.new(algorithm, b'text').hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    with pytest.raises(BuildFailed) as caught:
        fetched(f"{server.url}/f", place, transport, checksum=wrong)
    assert str(caught.value) == f"digest mismatch for '{server.url}/f': {right} (expected: {wrong})"
    assert os.listdir(place) == []
    assert fetched(f"{server.url}/f", place, transport, checksum=right).size_bytes == 4


@pytest.mark.parametrize("text", ["sha256:abc", "md5:" + "0" * 32, "0" * 64, "sha256:" + "G" * 64])
def test_what_is_no_checksum(text: str, server: Server, place: Path, transport: Transport) -> None:
    with pytest.raises(BuildFailed, match="invalid checksum"):
        fetched(f"{server.url}/f", place, transport, checksum=text)
    assert server.asked == []


def test_redirects_are_followed(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/a"] = [Answer(status=302, headers={"Location": "/d/b"})]
    server.answers["/d/b"] = [Answer(b"there")]
    assert fetched(f"{server.url}/a", place, transport).name == "a"
    assert (place / "a").read_bytes() == b"there"


def test_a_login_is_for_the_place_alone(server: Server, place: Path, transport: Transport) -> None:
    other = Server()
    try:
        server.answers["/a"] = [Answer(status=302, headers={"Location": f"{other.url}/b"})]
        other.answers["/b"] = [Answer(b"there")]
        fetched(f"{server.url}/a".replace("//", "//me:s%40cret@"), place, transport)
        assert server.asked[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:s@cret").decode()
        assert "Authorization" not in other.asked[0][1]
    finally:
        other.close()


def test_another_try_after_what_passes(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [
        Answer(status=503),
        Answer(b"sh", promised=5),
        Answer(status=429),
        Answer(b"whole"),
    ]
    fetched(f"{server.url}/f", place, transport)
    assert (place / "f").read_bytes() == b"whole"
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_no_other_try_after_what_stays(
    status: int, server: Server, place: Path, transport: Transport
) -> None:
    server.answers["/f"] = [Answer(status=status)]
    with pytest.raises(BuildFailed) as caught:
        fetched(f"{server.url}/f".replace("//", "//me:secret@"), place, transport)
    assert str(caught.value) == f"cannot fetch '{server.url}/f': invalid response status {status}"
    assert len(server.asked) == 1
    assert os.listdir(place) == []


def test_what_is_too_large(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(bytes(3 << 20))]
    with pytest.raises(BuildFailed, match="it is too large"):
        fetched(f"{server.url}/f", place, transport, limit_bytes=1 << 20)
    assert os.listdir(place) == []


# ---------------------------------------------------------------------------- what is kept of URLs


class Kept(NamedTuple):
    """Downloads that are kept, and the fetching of one URL with them."""

    downloads: Downloads
    server: Server
    transport: Transport
    place: Path

    def fetch(self, where: str, *, name: str = "", checksum: str = "") -> Path:
        directory = self.place / where
        directory.mkdir()
        with opened(directory) as fd:
            found = fetch(
                f"{self.server.url}/f",
                fd,
                self.transport,
                wait=lambda seconds: None,
                downloads=self.downloads,
                name=name,
                checksum=checksum,
            )
        return directory / found.name

    def conditions(self) -> list[str | None]:
        return [headers.get("If-None-Match") for _, headers in self.server.asked]


@pytest.fixture
def kept(server: Server, transport: Transport, place: Path, tmp_path: Path) -> Kept:
    headers = {"ETag": '"one"', "Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"}
    server.answers["/f"] = [Answer(b"first", headers=headers), Answer(status=304, headers={"ETag": '"one"'})]
    return Kept(Downloads(str(tmp_path / "downloads")), server, transport, place)


def test_what_has_not_changed_is_not_fetched_again(kept: Kept) -> None:
    kept.fetch("a")
    again = kept.fetch("b")
    assert again.read_bytes() == b"first"
    assert (os.stat(again).st_mode & 0o777, os.stat(again).st_mtime) == (0o600, 1_500_000_000)
    assert kept.fetch("c", name="context").name == "context"
    assert kept.fetch("d").name == "f"
    assert kept.conditions() == [None, '"one"', '"one"', '"one"']


def test_what_has_changed_replaces_what_is_kept(kept: Kept, tmp_path: Path) -> None:
    kept.fetch("a")
    kept.server.answers["/f"] = [Answer(b"second", headers={"ETag": '"two"'}), Answer(status=304)]
    assert kept.fetch("b").read_bytes() == b"second"
    assert kept.fetch("c").read_bytes() == b"second"
    assert (kept.place / "a/f").read_bytes() == b"first"
    assert kept.conditions() == [None, '"one"', '"two"']
    assert len(os.listdir(tmp_path / "downloads")) == 2


def test_a_checksum_that_is_known_asks_nobody(kept: Kept) -> None:
    kept.fetch("a")
    right = f"sha256:{hashlib.sha256(b'first').hexdigest()}"
    assert kept.fetch("b", checksum=right).read_bytes() == b"first"
    assert len(kept.server.asked) == 1
    with pytest.raises(BuildFailed, match="digest mismatch"):
        kept.fetch("c", checksum=f"sha256:{'0' * 64}")
    kept.server.answers["/f"] = [Answer(b"first")]
    kept.fetch("d", checksum=f"sha512:{hashlib.sha512(b'first').hexdigest()}")
    assert kept.conditions() == [None, '"one"', None]


def test_without_an_etag_nothing_is_kept(kept: Kept, tmp_path: Path) -> None:
    kept.server.answers["/f"] = [Answer(b"first")]
    kept.fetch("a")
    kept.fetch("b")
    assert kept.conditions() == [None, None]
    assert not (tmp_path / "downloads").exists()


def _damaged(directory: Path) -> None:
    next(directory.glob("*.json")).write_text('{"etag": 1}')


def _other_digest(directory: Path) -> None:
    path = next(directory.glob("*.json"))
    path.write_text(path.read_text().replace("sha256:", "sha256:../../../"))


def _short(directory: Path) -> None:
    path = next(path for path in directory.iterdir() if path.suffix != ".json")
    path.unlink()
    path.write_bytes(b"fir")


def _gone(directory: Path) -> None:
    next(path for path in directory.iterdir() if path.suffix != ".json").unlink()


@pytest.mark.parametrize("damage", [_damaged, _other_digest, _short, _gone, shutil.rmtree])
def test_what_is_damaged_is_fetched_again(
    damage: Callable[[Path], object], kept: Kept, tmp_path: Path
) -> None:
    kept.fetch("a")
    damage(tmp_path / "downloads")
    kept.server.answers["/f"] = [Answer(b"first", headers={"ETag": '"one"'}), Answer(status=304)]
    assert kept.fetch("b").read_bytes() == b"first"
    assert kept.fetch("c").read_bytes() == b"first"
    assert kept.conditions() == [None, None, '"one"']


def test_what_goes_while_the_server_is_asked(kept: Kept, tmp_path: Path) -> None:
    kept.fetch("a")
    kept.server.answers["/f"] = [Answer(status=304), Answer(b"first", headers={"ETag": '"one"'})]
    plain = kept.transport.request

    def request(*arguments: object, **options: object) -> object:
        response = plain(*arguments, **options)  # type: ignore[arg-type]
        if len(kept.server.asked) == 2:
            _gone(tmp_path / "downloads")
        return response

    kept.transport.request = request  # type: ignore[method-assign, assignment]
    assert kept.fetch("b").read_bytes() == b"first"
    assert kept.conditions() == [None, '"one"', None]
