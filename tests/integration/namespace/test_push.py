"""Pushing from the store: what is sent, what is not, and what comes of everything that can go wrong on the way.

Every push ends in the image at the registry, whole, or in one error; the next one goes on from there.
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import NamedTuple

import pytest

from composer import parallel
from composer.errors import NotFound, PushFailed
from composer.registry import settings
from composer.registry.transport import Transport
from composer.runtime.images import Image, Store, compressing
from composer.runtime.images import pull as pulling
from composer.runtime.images import push as pushing
from composer.runtime.images.progress import Advance
from tests import uploads
from tests.archives import archive, directory, file
from tests.integration.namespace.registry_client import RegistryClient
from tests.registries import (
    ARCHITECTURE,
    DOCKER_MANIFEST,
    MANIFEST,
    Handler,
    Proxy,
    push,
    refuse_connection,
    sha256,
    status,
)
from tests.uploads import Memory

pytestmark = pytest.mark.root

NOISE = os.urandom(700_000)
BASE = archive(directory("etc", 0o711), file("noise", NOISE), file("text", b"again " * 100_000))
TOP = archive(file("top", b"of one"))
OTHER = archive(file("top", b"of another"))


class Client(RegistryClient):
    """A store, and pushes from it that do not wait between tries."""

    def pusher(self) -> pushing.Pusher:
        made = settings.read(self.environment)
        return pushing.Pusher(
            self.store._content, made, Transport(made, idle_s=self.idle_s), pause=self.pauses.append
        )

    def push(
        self, name: str, *, compression: str = "gzip", tell: Callable[[Advance], None] | None = None
    ) -> str:
        pusher = self.pusher()
        try:
            return self.store.push(name, pusher, tell, compression=compression)
        finally:
            pusher.close()

    def image(
        self, name: str, *layers: bytes, compressed: bool = False, architecture: str = ARCHITECTURE
    ) -> Image:
        """Load an image of these layers, plain as `docker save` writes them."""
        blobs = [gzip.compress(layer, 1, mtime=0) if compressed else layer for layer in layers]
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["true"]},
                "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
            }
        ).encode()
        manifest = [{"Config": "c", "RepoTags": [name], "Layers": [str(n) for n in range(len(blobs))]}]
        members = [file(str(n), blob) for n, blob in enumerate(blobs)]
        path = self.root / "image.tar"
        path.write_bytes(
            archive(file("manifest.json", json.dumps(manifest).encode()), file("c", config), *members)
        )
        (made,) = self.store.load(str(path))
        return made


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Client:
    return Client(tmp_path)


def pulled(host: str, name: str, root: pathlib.Path) -> Image:
    """Return what another store gets."""
    store = Store(str(root / "other" / "images"))
    made = settings.read({"HOME": str(root)})
    puller = pulling.Puller(store._content, made)
    try:
        return store.pull(f"{host}/{name}", puller)
    finally:
        puller.close()


SENDS = r"^(PUT|PATCH) /v2/.*/blobs/uploads/"

# ------------------------------------------------------------------ what goes right


def test_a_push_and_the_next_one_that_sends_nothing(
    client: Client, debian: str, tmp_path: pathlib.Path
) -> None:
    with Proxy(debian) as proxy:
        name = f"{proxy.host}/again:1"
        image = client.image(name, BASE, TOP)
        digest = client.push(name)
        assert proxy.count(SENDS) == 3
        assert client.store.find(name) is not None
        found = client.store.find(name)
        assert found is not None and found.digests == (f"{proxy.host}/again@{digest}",)
        first = len(proxy.asked)
        assert client.push(name) == digest
        after = proxy.asked[first:]
        assert {asked.method for asked in after} == {"GET", "HEAD", "PUT"}
        assert [a.path for a in after if a.method == "PUT"] == ["/v2/again/manifests/1"]
    assert pulled(debian, "again:1", tmp_path).id == image.id
    assert not [name for name in os.listdir(client.root / "lib/images/blobs") if name.endswith(".tmp")]


def test_layers_are_gzip_without_time_and_name(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/app:1"
    client.image(name, BASE)
    client.push(name)
    media_type, data = memory.manifests["app", "1"]
    assert media_type == MANIFEST
    (layer,) = json.loads(data)["layers"]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    blob = memory.blobs["app"][layer["digest"]]
    assert blob[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert gzip.decompress(blob) == BASE
    assert len(blob) == layer["size"] < len(BASE) - 500_000


def test_two_stores_send_the_same_bytes(client: Client, memory: Memory, tmp_path: pathlib.Path) -> None:
    other = Client(tmp_path / "second")
    other.root.mkdir()
    for one in (client, other):
        one.image(f"{memory.host}/app:1", BASE)
    with Proxy(memory.host) as proxy:
        client.store.tag(f"{memory.host}/app:1", f"{proxy.host}/app:1")
        other.store.tag(f"{memory.host}/app:1", f"{proxy.host}/app:1")
        assert client.push(f"{proxy.host}/app:1") == other.push(f"{proxy.host}/app:1")
        assert proxy.count(SENDS) == 2, "a layer and a configuration, once"


def test_one_layer_is_compressed_after_the_other_and_the_largest_first(
    client: Client, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is ready is sent while the next one is compressed, and little is left to be sent alone at the end."""
    happened: list[int] = []

    def pieces(kind: str, chunks: Iterable[bytes], executor: Executor) -> Iterator[bytes]:
        plain = b"".join(chunks)
        happened.append(len(plain))
        time.sleep(0.05)  # the next one could begin
        yield gzip.compress(plain)
        happened.append(-len(plain))

    monkeypatch.setattr(compressing, "compress", pieces)
    orders: list[list[int]] = []
    each = parallel.each

    def ordered(
        items: Iterable[int], work: Callable[[int], object], limit: int, *, name: str
    ) -> list[object]:
        orders.append(list(items))
        return each(orders[-1], work, limit, name=name)

    monkeypatch.setattr(parallel, "each", ordered)
    client.image(f"{memory.host}/app:1", TOP, BASE, archive(file("middle", NOISE[:100_000])))

    client.push(f"{memory.host}/app:1")

    sizes = happened[::2]
    assert orders == [[1, 2, 0]]
    assert happened == [step for size in sizes for step in (size, -size)]
    assert len(sizes) == 3


def test_zstd_on_request(client: Client, debian: str, tmp_path: pathlib.Path) -> None:
    name = f"{debian}/zstd:1"
    image = client.image(name, BASE, TOP)
    client.push(name, compression="zstd")
    got = pulled(debian, "zstd:1", tmp_path)
    assert got.id == image.id
    records = (tmp_path / "other/images/layers").glob("*.json")
    assert {json.loads(path.read_text())["media_type"].rpartition("+")[2] for path in records} == {"zstd"}


def test_what_came_from_a_registry_goes_as_it_came(client: Client, debian: str, memory: Memory) -> None:
    app = push(debian, "kept", "1", [BASE, TOP], media_type=DOCKER_MANIFEST)
    puller = client.store.puller(client.environment)
    client.store.pull(f"{debian}/kept:1", puller)
    puller.close()
    client.store.tag(f"{debian}/kept:1", f"{memory.host}/kept:2")
    assert client.push(f"{memory.host}/kept:2") == app.digest
    assert set(app.layers) <= memory.blobs["kept"].keys()


def test_layers_that_are_compressed_stay_so_beside_others(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/mixed:1"
    client.image(name, BASE, compressed=True)
    client.push(name)
    assert sha256(gzip.compress(BASE, 1, mtime=0)) in memory.blobs["mixed"]


def test_an_old_registry_gets_what_it_understands(
    client: Client, memory: Memory, tmp_path: pathlib.Path
) -> None:
    memory.refused_types.add(MANIFEST)
    name = f"{memory.host}/old:1"
    image = client.image(name, BASE, TOP)
    client.push(name)
    assert memory.manifests["old", "1"][0] == DOCKER_MANIFEST
    assert pulled(memory.host, "old:1", tmp_path).id == image.id
    with pytest.raises(PushFailed) as failure:
        client.push(name, compression="zstd")
    assert "--compression gzip" in str(failure.value.hint)


def test_two_images_with_one_base_send_it_once(client: Client, debian: str) -> None:
    with Proxy(debian) as proxy:
        names = [f"{proxy.host}/pair:{tag}" for tag in ("one", "two")]
        for name, top in zip(names, (TOP, OTHER), strict=True):
            client.image(name, BASE, top)
        pusher = client.pusher()
        threads = [threading.Thread(target=client.store.push, args=(name, pusher)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pusher.close()
        large = [asked for asked in proxy.asked if len(asked.body) > 500_000]
        assert len(large) == 1
        assert proxy.count(r"^PUT /v2/pair/manifests/(one|two)") == 2


@pytest.mark.parametrize("same_command", [True, False])
def test_a_blob_is_mounted_from_another_repository(
    client: Client, debian: str, tmp_path: pathlib.Path, same_command: bool
) -> None:
    with Proxy(debian) as proxy:
        first, second = f"from{same_command}".lower(), f"to{same_command}".lower()
        image = client.image(f"{proxy.host}/{first}:1", BASE, TOP)
        client.store.tag(f"{proxy.host}/{first}:1", f"{proxy.host}/{second}:1")
        pusher = client.pusher()
        for name in (first, second):
            client.store.push(f"{proxy.host}/{name}:1", pusher)
            if not same_command:
                pusher.close()
                pusher = client.pusher()
        pusher.close()
        assert proxy.count(rf"^POST /v2/{second}/blobs/uploads/\?mount=sha256.*&from={first}$") == 2
        assert proxy.count(rf"^PUT /v2/{second}/blobs/") == 1, "the configuration"
    assert pulled(debian, f"{second}:1", tmp_path).id == image.id


def test_a_pulled_base_is_mounted_from_where_it_came(client: Client, memory: Memory, debian: str) -> None:
    with Proxy(debian) as proxy:
        push(debian, "based", "1", [BASE])
        puller = client.store.puller(client.environment)
        image = client.store.pull(f"{proxy.host}/based:1", puller)
        puller.close()
        client.store.commit(
            image, iter([TOP]), {"config": {}, "created": "", "author": "", "comment": ""}, "mine"
        )
        client.store.tag("mine", f"{proxy.host}/mine:1")
        client.push(f"{proxy.host}/mine:1")
        assert proxy.count(r"^POST /v2/mine/blobs/uploads/\?mount=.*&from=based$") == 1
        assert max(len(asked.body) for asked in proxy.asked) < 10_000


def test_a_mount_that_is_refused_is_an_upload(client: Client, memory: Memory, tmp_path: pathlib.Path) -> None:
    with Proxy(memory.host) as proxy:
        proxy.on(r"^POST .*mount=", status(403), 0)
        image = client.image(f"{proxy.host}/one:1", BASE)
        client.store.tag(f"{proxy.host}/one:1", f"{proxy.host}/two:1")
        client.push(f"{proxy.host}/one:1")
        client.push(f"{proxy.host}/two:1")
    assert pulled(memory.host, "two:1", tmp_path).id == image.id
    assert not memory.uploads


def test_a_mount_that_becomes_an_upload_leaves_none_open(client: Client, memory: Memory) -> None:
    client.image(f"{memory.host}/one:1", BASE)
    client.store.tag(f"{memory.host}/one:1", f"{memory.host}/two:1")
    client.push(f"{memory.host}/one:1")
    del memory.blobs["one"]
    client.push(f"{memory.host}/two:1")
    assert not memory.uploads and not memory.mounted and ("two", "1") in memory.manifests


def test_pieces_where_the_registry_wants_them(
    client: Client, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("composer.registry.push._PIECE_BYTES", 1000)
    with Memory(chunk_bytes=200_000) as memory, Proxy(memory.host) as proxy:
        name = f"{proxy.host}/pieces:1"
        image = client.image(name, BASE)
        client.push(name)
        ranges = [a.headers["content-range"] for a in proxy.asked if a.method == "PATCH"]
        assert ranges[:2] == ["0-199999", "200000-399999"] and len(ranges) == 4
        assert pulled(memory.host, "pieces:1", tmp_path).id == image.id


def test_smaller_pieces_where_large_requests_are_refused(client: Client, tmp_path: pathlib.Path) -> None:
    layer = archive(file("noise", os.urandom(5 << 20)))
    with Memory(most_bytes=3 << 20) as memory:
        image = client.image(f"{memory.host}/small:1", layer)
        client.push(f"{memory.host}/small:1")
        assert pulled(memory.host, "small:1", tmp_path).id == image.id
        assert not memory.uploads


def test_an_upload_goes_on_where_it_broke_off(client: Client, memory: Memory, tmp_path: pathlib.Path) -> None:
    with Proxy(memory.host) as proxy:
        proxy.on(r"^PUT .*/uploads/", uploads.broken_off(0.75), early=True)
        proxy.on(r"^PATCH .*/uploads/", uploads.broken_off(0.5), early=True)
        image = client.image(f"{proxy.host}/cut:1", BASE)
        client.push(f"{proxy.host}/cut:1")
        assert proxy.count(r"^GET .*/uploads/") == 2
        sent = [asked.headers["content-range"] for asked in proxy.asked if asked.method == "PATCH"]
        starts = [int(text.partition("-")[0]) for text in sent]
        assert 500_000 < starts[0] < starts[1], "what the registry has is not sent again"
    assert pulled(memory.host, "cut:1", tmp_path).id == image.id


def test_a_token_for_both_repositories_of_a_mount(client: Client, memory: Memory) -> None:
    with Proxy(memory.host) as proxy:
        proxy.login = "bearer"
        client.docker_config(auths={proxy.host: {"username": "me", "password": "secret"}})
        client.image(f"{proxy.host}/one:1", BASE)
        client.store.tag(f"{proxy.host}/one:1", f"{proxy.host}/two:1")
        client.push(f"{proxy.host}/one:1")
        client.push(f"{proxy.host}/two:1")
        asked = [asked.path for asked in proxy.asked if asked.path.startswith("/token")]
        push_of = "scope=repository%3A{}%3Apull%2Cpush"
        assert push_of.format("one") in asked[0]
        assert any(f"{push_of.format('two')}&scope=repository%3Aone%3Apull" in path for path in asked)
        assert memory.mounted


def test_the_last_word_of_progress_is_all_of_it(client: Client, memory: Memory) -> None:
    client.image(f"{memory.host}/app:1", BASE, TOP)
    told: list[Advance] = []
    client.push(f"{memory.host}/app:1", tell=told.append)
    last = told[-1]
    assert last.what == "pushed" and last.done == last.total and len(last.parts) == 2
    assert last.total == sum(json.loads(memory.manifests["app", "1"][1])["layers"][n]["size"] for n in (0, 1))


def test_a_blob_that_vanishes_before_the_manifest_is_sent_again(
    client: Client, memory: Memory, tmp_path: pathlib.Path
) -> None:
    with Proxy(memory.host) as proxy:

        def lose(handler: Handler) -> None:
            memory.blobs["gone"].clear()
            handler.forward()

        proxy.on(r"^PUT .*/manifests/", lose)
        image = client.image(f"{proxy.host}/gone:1", BASE)
        client.push(f"{proxy.host}/gone:1")
    assert pulled(memory.host, "gone:1", tmp_path).id == image.id


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_an_upload_at_another_place_is_told_no_secret(
    client: Client, memory: Memory, tmp_path: pathlib.Path, login: str
) -> None:
    with Proxy(memory.host) as proxy, Proxy(memory.host) as elsewhere:
        proxy.login = login
        client.docker_config(
            auths={proxy.host: {"username": "me", "password": "secret"}}, HttpHeaders={"X-Secret": "s"}
        )

        def lead_away(handler: Handler) -> None:
            path = f"/v2/away/blobs/uploads/{memory.open()}"
            handler.answer(202, b"", {"Location": f"http://{elsewhere.host}{path}"})

        proxy.on(r"^POST .*/uploads/", lead_away, 0)
        image = client.image(f"{proxy.host}/away:1", BASE)
        client.push(f"{proxy.host}/away:1")
        assert elsewhere.count(r"^PUT .*/uploads/") == 2
        assert proxy.asked[-1].headers["authorization"] and proxy.asked[-1].headers["x-secret"] == "s"
        for asked in elsewhere.asked:
            assert "authorization" not in asked.headers and "x-secret" not in asked.headers
    assert pulled(memory.host, "away:1", tmp_path).id == image.id


# ------------------------------------------------------------------ what is refused


def test_what_cannot_be_pushed(client: Client, memory: Memory) -> None:
    client.image("here:1", TOP)
    with pytest.raises(NotFound, match="does not exist locally with the tag: there:1"):
        client.push("there:1")
    with pytest.raises(PushFailed, match="digest reference"):
        client.push(f"here@{sha256(b'')}")
    with pytest.raises(PushFailed, match="not stored"):
        client.push("host")


def test_programs_of_this_machine_stay_here(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/app:1"
    image = client.image(name, TOP)
    path = client.root / f"lib/images/images/{image.id.removeprefix('sha256:')}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "programs": True}))
    with pytest.raises(PushFailed, match="built FROM host"):
        client.push(name)
    assert not memory.blobs and not memory.manifests


def test_a_blob_that_is_damaged_here_is_said_so(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/app:1"
    client.image(name, BASE, compressed=True)
    blob = client.root / "lib/images/blobs/sha256" / sha256(gzip.compress(BASE, 1, mtime=0))[7:]
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data)
    with pytest.raises(PushFailed, match="damaged in the store"):
        client.push(name)
    assert not memory.manifests


# ------------------------------------------------------------------ what goes wrong


class Fault(NamedTuple):
    """What happens to the requests of a pattern, and the error where it is no good in the end."""

    name: str
    pattern: str
    action: Callable[[Handler], None]
    times: int = 1
    error: str = ""
    early: bool = False
    login: str = ""
    spares_debian: bool = False


UPLOAD = r"^(PUT|PATCH) .*/uploads/"
OPEN = r"^POST .*/uploads/"
LOOK = r"^HEAD .*/blobs/"
END = r"^PUT .*/manifests/"
FAULTS = [
    Fault("a token expires in an upload", UPLOAD, uploads.expired, 2, login="bearer"),
    Fault("a token expires before the manifest", END, uploads.expired, login="bearer"),
    Fault("a token expires at the question", LOOK, uploads.expired, login="bearer"),
    Fault("a token expires at the opening", OPEN, uploads.expired, login="bearer"),
    Fault("basic", "^$", status(500), login="basic"),
    Fault("nobody is let in", UPLOAD, status(401), 0, "push access denied"),
    Fault(
        "the upload is forbidden", OPEN, uploads.said(403, "DENIED"), 0, "push access denied.*it is denied"
    ),
    Fault("the question is forbidden", LOOK, status(403), 0, "push access denied"),
    Fault("the manifest is forbidden", END, status(403), 0, "push access denied"),
    Fault("no repository", OPEN, uploads.said(404, "NAME_UNKNOWN"), 0, "repository 'app' not found"),
    Fault("read only", OPEN, status(405), 0, "does not accept pushes"),
    Fault("no room", OPEN, status(507), 0, "status 507"),
    Fault("too many requests", OPEN, uploads.said(429, "TOOMANYREQUESTS", Retry_After="7"), 2),
    Fault("too many uploads", UPLOAD, status(429, {"Retry-After": "3"}), 3),
    Fault("too many manifests", END, status(429), 4),
    Fault("too many for ever", LOOK, status(429), 0, "too many requests"),
    *(
        Fault(f"{code} at {name}", pattern, status(code), 2)
        for code in (500, 502, 503)
        for name, pattern in (("look", LOOK), ("open", OPEN), ("upload", UPLOAD), ("end", END))
    ),
    *(
        Fault(f"500 for ever at {name}", pattern, status(500), 0, "status 500")
        for name, pattern in (("look", LOOK), ("open", OPEN), ("upload", UPLOAD), ("end", END))
    ),
    *(
        Fault(f"hung up at {name}", pattern, refuse_connection, 2)
        for name, pattern in (("look", LOOK), ("open", OPEN), ("upload", UPLOAD), ("end", END))
    ),
    Fault("hung up for ever", OPEN, refuse_connection, 0, "cannot reach"),
    *(
        Fault(f"cut at {at}", UPLOAD, uploads.broken_off(at), 2, early=True)
        for at in (0.0, 0.001, 0.1, 0.5, 0.9, 0.999, 1.0)
    ),
    Fault("cut for ever", UPLOAD, uploads.broken_off(0.0), 0, "cannot reach|does not know", early=True),
    Fault("the answer to an upload is lost", UPLOAD, uploads.unanswered, 2),
    Fault("the answer to the manifest is lost", END, uploads.unanswered),
    Fault("refused before it is read", UPLOAD, uploads.unread(503), 2, early=True),
    Fault("damaged on the way", UPLOAD, uploads.damaged, 2),
    Fault("damaged for ever", UPLOAD, uploads.damaged, 0, "digest mismatch"),
    Fault(
        "another digest of a blob", UPLOAD, uploads.with_digest(sha256(b"")), 0, "stored blob .* as sha256"
    ),
    Fault(
        "another digest of the manifest", END, uploads.with_digest(sha256(b"")), 0, "manifest digest mismatch"
    ),
    Fault("no location", OPEN, uploads.located(""), 0, "without a Location"),
    Fault("a location that is none", OPEN, uploads.located("ftp://else/where"), 0, "invalid URL"),
    Fault("a location that nobody serves", OPEN, uploads.located("http://127.0.0.1:1/x"), 0, "cannot reach"),
    Fault("an upload that is unknown", OPEN, uploads.located("/v2/app/blobs/uploads/99999"), 2),
    Fault(
        "uploads that are unknown", OPEN, uploads.located("/v2/app/blobs/uploads/99999"), 0, "does not know"
    ),
    Fault("the manifest is too large", END, status(413), 0, "requests of this size"),
    Fault("the manifest is a teapot", END, status(418), 0, "status 418"),
    Fault(
        "the manifest is invalid",
        END,
        uploads.said(400, "MANIFEST_INVALID"),
        0,
        "does not accept the manifest",
    ),
]


@pytest.mark.parametrize("kind", ["memory", "debian"])
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name.replace(" ", "-") for fault in FAULTS])
def test_every_fault_ends_in_the_image_or_in_one_error(
    client: Client, debian: str, memory: Memory, tmp_path: pathlib.Path, fault: Fault, kind: str
) -> None:
    upstream = memory.host if kind == "memory" else debian
    tag = f"t{FAULTS.index(fault)}"
    with Proxy(upstream) as proxy:
        proxy.login = fault.login
        proxy.users = {"me": "secret"}
        client.docker_config(auths={proxy.host: {"username": "me", "password": "secret"}})
        proxy.on(fault.pattern, fault.action, fault.times, early=fault.early)
        name = f"{proxy.host}/app:{tag}"
        own = archive(file("own", f"{kind} {tag}".encode() + os.urandom(300_000)))
        image = client.image(name, own, TOP)
        if fault.error:
            with pytest.raises(PushFailed, match=rf"^cannot push image '{re.escape(name)}': ") as failure:
                client.push(name)
            assert re.search(fault.error, str(failure.value)), failure.value
            assert not re.search(r"\n", str(failure.value))
            assert not memory.uploads or (fault.times == 0 and fault.pattern == UPLOAD)
            proxy.rules.clear()
        client.push(name)
    assert pulled(upstream, f"app:{tag}", tmp_path).id == image.id
    assert not [entry for entry in os.listdir(client.root / "lib/images/blobs") if entry.endswith(".tmp")]
    if not fault.error:
        assert len(client.pauses) <= 2 * fault.times
    if "Retry-After" in str(fault.action.__closure__):
        assert client.pauses and client.pauses[0] in (3.0, 7.0)
