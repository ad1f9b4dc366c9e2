"""A name of several platforms on its way to a registry: each image by its digest, and the index last."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from composer.registry import settings
from composer.runtime.images import Image, Store
from composer.runtime.images import pull as pulling
from composer.runtime.images.progress import Advance
from tests.archives import archive, file
from tests.integration.namespace.test_push import BASE, OTHER, SENDS, TOP, Client
from tests.registries import ARCHITECTURE, DOCKER_MANIFEST, INDEX, MANIFEST, Proxy, status
from tests.uploads import Memory

pytestmark = pytest.mark.root

FOREIGN = "s390x"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Client:
    return Client(tmp_path)


def pair(client: Client, name: str) -> tuple[Image, Image]:
    """Give a name to two images with one base, this machine's last."""
    foreign = client.image("foreign:1", BASE, OTHER, architecture=FOREIGN)
    own = client.image("own:1", BASE, TOP)
    client.store.tag_all([foreign.id, own.id], [name])
    for one in ("foreign:1", "own:1"):
        client.store.remove(one)
    return own, foreign


def pulled(host: str, name: str, root: pathlib.Path, platform: str = "") -> tuple[Store, Image]:
    store = Store(str(root / f"other{platform.replace('/', '')}" / "images"))
    puller = pulling.Puller(store._content, settings.read({"HOME": str(root)}))
    try:
        return store, store.pull(f"{host}/{name}", puller, platform=platform)
    finally:
        puller.close()


def index_of(memory: Memory, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(memory.manifests[name, "1"][1])["manifests"]
    return found


def test_a_registry_takes_it_and_gives_each_machine_its_own(
    client: Client, debian: str, tmp_path: pathlib.Path
) -> None:
    with Proxy(debian) as proxy:
        name = f"{proxy.host}/both:1"
        own, foreign = pair(client, name)
        digest = client.push(name)
        assert proxy.count(SENDS) == 5, "the base once, two tops, two configurations"
        puts = [asked.path for asked in proxy.asked if asked.method == "PUT" and "/manifests/" in asked.path]
        assert len(puts) == 3 and puts[-1] == "/v2/both/manifests/1"
        first = len(proxy.asked)
        assert client.push(name) == digest
        again = [asked for asked in proxy.asked[first:] if asked.method not in ("GET", "HEAD")]
        assert [asked.path for asked in again] == ["/v2/both/manifests/1"]
    _, found = pulled(debian, "both:1", tmp_path)
    assert (found.id, found.index_digest) == (own.id, "")
    _, found = pulled(debian, "both:1", tmp_path, f"linux/{FOREIGN}")
    assert (found.id, found.platform) == (foreign.id, f"linux/{FOREIGN}")


def test_the_index_has_the_platforms_in_the_order_of_the_build(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/order:1"
    pair(client, name)
    client.push(name)
    assert memory.manifests["order", "1"][0] == INDEX
    assert [one["platform"] for one in index_of(memory, "order")] == [
        {"os": "linux", "architecture": arch} for arch in (FOREIGN, ARCHITECTURE)
    ]


def test_progress_is_of_all_images(client: Client, memory: Memory) -> None:
    name = f"{memory.host}/told:1"
    pair(client, name)
    told: list[Advance] = []
    client.push(name, tell=told.append)
    assert len(told[-1].parts) == 4 and all(done == total for done, total in told[-1].parts)


def test_what_fails_for_a_moment_is_tried_again(client: Client, debian: str) -> None:
    with Proxy(debian) as proxy:
        name = f"{proxy.host}/retried:1"
        pair(client, name)
        proxy.on(r"^HEAD /v2/retried/manifests/sha256", status(503), times=1)
        proxy.on(r"^PUT /v2/retried/manifests/", status(503), times=2)
        assert client.push(name).startswith("sha256:")
        assert len(client.pauses) == 3


def test_an_old_registry_gets_dockers_manifest_list(client: Client, memory: Memory) -> None:
    memory.refused_types.update((MANIFEST, INDEX))
    name = f"{memory.host}/old:1"
    pair(client, name)
    client.push(name)
    assert memory.manifests["old", "1"][0] == DOCKER_LIST
    assert {one["mediaType"] for one in index_of(memory, "old")} == {DOCKER_MANIFEST}


def test_another_index_of_the_registry_replaces_this_machines_image_alone(
    client: Client, memory: Memory, tmp_path: pathlib.Path
) -> None:
    """An image for another platform is added; that of this machine takes the name, and the others with it."""
    name = f"{memory.host}/moved:1"
    own, foreign = pair(client, name)
    client.push(name)
    store, _ = pulled(memory.host, "moved:1", tmp_path)
    puller = pulling.Puller(store._content, settings.read({"HOME": str(tmp_path)}))

    def pull(platform: str = "") -> Image:
        store.pull(name, puller, platform=platform)
        found = store.find(name)
        assert found is not None
        return found

    found = pull(f"linux/{FOREIGN}")
    assert (found.id, [one.id for one in found.others]) == (own.id, [foreign.id])
    assert pull().others == found.others, "what is up to date keeps them"
    newer = client.image(name, BASE, archive(file("newer")))
    client.push(name)
    found = pull()
    assert (found.id, found.others) == (newer.id, ())
    puller.close()
