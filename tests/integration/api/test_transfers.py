"""Images that come from registries and go there, through the REST API."""

from __future__ import annotations

import json
import pathlib
import threading
import time
from typing import Any

import pytest

from tests.api_client import Client, Server, credentials
from tests.api_images import imported, layer, rootfs
from tests.registries import DOCKER_MANIFEST, PASSWORD, USER, Handler, Proxy, push, push_index, registry

pytestmark = pytest.mark.root


def statuses(lines: list[Any]) -> list[str]:
    return [line["status"] for line in lines if "status" in line]


def pull(client: Client, name: str, tag: str = "", **more: Any) -> list[Any]:
    return client.post("/images/create", {"fromImage": name, "tag": tag or None, **more}).lines


def push_platforms(host: str, name: str, *architectures: str) -> None:
    pushed = [push(host, name, one, [layer(1000)], architecture=one) for one in architectures]
    platforms = [{"os": "linux", "architecture": one} for one in architectures]
    push_index(host, name, "1", list(zip(pushed, platforms, strict=True)))


def test_a_pull_tells_of_each_layer(client: Client, host: str) -> None:
    pushed = push(host, "x/img", "1", [layer(300_000), layer(200_000), rootfs()])
    lines = pull(client, f"{host}/x/img", "1")
    assert lines[0] == {"status": "Pulling from x/img", "id": "1"}
    for digest in pushed.layers:
        mine = [line["status"] for line in lines if line.get("id") == digest[7:19]]
        assert mine[0] == "Pulling fs layer" and mine[-1] == "Pull complete"
        assert {"Downloading", "Download complete", "Extracting"} <= set(mine)
    moving = [line["progressDetail"] for line in lines if line["status"] == "Downloading"]
    assert max(one["current"] for one in moving) == max(one["total"] for one in moving)
    assert statuses(lines)[-2:] == [
        f"Digest: {pushed.digest}",
        f"Status: Downloaded newer image for {host}/x/img:1",
    ]
    found = client.get(f"/images/{host}/x/img:1/json")
    assert found["Id"] == pushed.id and found["RepoDigests"] == [f"{host}/x/img@{pushed.digest}"]
    again = pull(client, f"{host}/x/img:1")
    assert statuses(again)[-1] == f"Status: Image is up to date for {host}/x/img:1"


def test_a_digest_is_no_tag(client: Client, host: str) -> None:
    pushed = push(host, "x/img", "1", [rootfs()])
    lines = pull(client, f"{host}/x/img", pushed.digest)
    assert statuses(lines)[-1].endswith(f"{host}/x/img@{pushed.digest}")
    listed = client.get("/images/json")[0]
    assert (listed["RepoTags"], listed["RepoDigests"]) == ([], [f"{host}/x/img@{pushed.digest}"])
    pull(client, f"{host}/x/img", "1")
    gone = client.delete(f"/images/{host}/x/img:1").json
    assert gone[:2] == [{"Untagged": f"{host}/x/img:1"}, {"Untagged": f"{host}/x/img@{pushed.digest}"}]
    assert {"Deleted": pushed.id} in gone and client.get("/images/json") == []


def test_all_tags_come_where_none_is_said(client: Client, host: str) -> None:
    for tag in ("1", "2"):
        push(host, "x/img", tag, [layer(1000)])
    lines = pull(client, f"{host}/x/img")
    assert [line["id"] for line in lines if line["status"].startswith("Pulling from")] == ["1", "2"]
    assert len(client.get("/images/json")) == 2


def test_one_of_several_platforms(client: Client, host: str) -> None:
    push_platforms(host, "x/many", "amd64", "arm64")
    pull(client, f"{host}/x/many", "1", platform="linux/arm64")
    assert client.get(f"/images/{host}/x/many:1/json")["Architecture"] == "arm64"
    pull(client, f"{host}/x/many", "1")
    listed = client.get("/images/json", {"manifests": 1})[0]
    assert {one["ImageData"]["Platform"]["architecture"] for one in listed["Manifests"]} == {"amd64", "arm64"}
    assert listed["Descriptor"]["mediaType"].endswith("index.v1+json")
    assert "Manifests" not in client.at("1.46").get("/images/json", {"manifests": 1})[0]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"fromImage": "HOST/x/none", "tag": "1"}, 404, "manifest for HOST/x/none:1 not found"),
        ({"fromImage": "127.0.0.1:1/x", "tag": "1"}, 500, "connection refused"),
        ({"fromImage": "UPPER"}, 400, "must be lowercase"),
        ({"fromImage": "HOST/x", "tag": "%"}, 400, "invalid tag format"),
        ({"fromImage": "HOST/x", "tag": "1", "platform": "a/b/c/d"}, 400, "invalid platform"),
        ({}, 400, "fromImage"),
    ],
)
def test_a_pull_that_cannot_begin_is_a_status(
    client: Client, host: str, query: dict[str, str], status: int, said: str
) -> None:
    query = {key: value.replace("HOST", host) for key, value in query.items()}
    answer = client.ask("POST", "/images/create", query)
    assert (answer.status, said.replace("HOST", host) in answer.message) == (status, True), answer.message


def test_a_pull_that_breaks_off_is_told_by_its_last_line(client: Client, host: str) -> None:
    pushed = push(host, "x/img", "1", [layer(300_000)])
    with Proxy(host) as proxy:
        proxy.on(rf"GET .*/blobs/{pushed.layers[0]}", lambda handler: handler.answer(404), times=0)
        answer = client.post("/images/create", {"fromImage": f"{proxy.host}/x/img", "tag": "1"})
    assert answer.status == 200
    last = answer.lines[-1]
    assert last["error"] == last["errorDetail"]["message"] and "not found" in last["error"]
    assert client.get("/images/json") == []


def test_a_client_that_goes_ends_its_pull(server: Server, client: Client, host: str) -> None:
    pushed = push(host, "x/img", "1", [layer(3_000_000), layer(1000)])
    stalled, released = threading.Event(), threading.Event()

    def stall(handler: Handler, body: bytes) -> None:
        handler.wfile.write(body[:100_000])
        stalled.set()
        released.wait(60)
        handler.close_connection = True

    with Proxy(host) as proxy:
        proxy.on(rf"GET .*/blobs/{pushed.layers[0]}", lambda handler: handler.forward(stall), times=0)
        stream = client.open("POST", "/images/create", {"fromImage": f"{proxy.host}/x/img", "tag": "1"})
        assert next(stream.documents())["status"] == "Pulling from x/img"
        assert stalled.wait(30)
        stream.close()
        # waits for whoever adds to the store, and the registry still sends nothing
        assert client.post("/images/prune").status == 200
        assert not released.is_set()
        released.set()
    assert client.get("/images/json") == [] and "Traceback" not in server.log()


def test_a_removal_does_not_wait_for_a_pull(
    server: Server, client: Client, host: str, tmp_path: pathlib.Path
) -> None:
    pushed = push(host, "x/img", "1", [layer(3_000_000), layer(1000)])
    id = imported(client, "a/one")
    layers = tmp_path / "state/lib/images/layers"
    assert len([path for path in layers.iterdir() if path.is_dir()]) == 1
    stalled, released = threading.Event(), threading.Event()

    def stall(handler: Handler, body: bytes) -> None:
        stalled.set()
        released.wait(60)
        handler.wfile.write(body)

    with Proxy(host) as proxy:
        proxy.on(rf"GET .*/blobs/{pushed.layers[0]}", lambda handler: handler.forward(stall), times=0)
        with client.open(
            "POST", "/images/create", {"fromImage": f"{proxy.host}/x/img", "tag": "1"}
        ) as stream:
            assert stalled.wait(30)
            gone = client.delete("/images/a/one").json
            assert not released.is_set()
            assert [next(iter(one)) for one in gone] == ["Untagged", "Deleted", "Deleted"]
            assert gone[1] == {"Deleted": id} and client.get("/images/json") == []
            released.set()
            assert list(stream.documents())[-1]["status"].startswith("Status: Downloaded newer image")
    name = gone[2]["Deleted"].removeprefix("sha256:")
    deadline = time.monotonic() + 30
    while (layers / name).exists():
        assert time.monotonic() < deadline, "the files of the removed image are still there"
        time.sleep(0.05)
    assert len(client.get("/images/json")) == 1


def test_a_push_tells_where_its_manifest_is(client: Client, host: str) -> None:
    imported(client, f"{host}/y/z", "1")
    lines = client.post(f"/images/{host}/y/z/push", {"tag": "1"}).lines
    assert statuses(lines)[0] == f"The push refers to repository [{host}/y/z]"
    assert [one for one in statuses(lines) if one in ("Preparing", "Pushed")] == ["Preparing", "Pushed"]
    aux = lines[-1]["aux"]
    assert statuses(lines)[-1] == f"1: digest: {aux['Digest']} size: {aux['Size']}"
    found = client.get(f"/distribution/{host}/y/z:1/json")
    assert (found["Descriptor"]["digest"], found["Descriptor"]["size"]) == (aux["Digest"], aux["Size"])
    again = client.post(f"/images/{host}/y/z/push", {"tag": "1"}).lines
    assert "Layer already exists" in statuses(again)
    client.post(f"/images/{host}/y/z:1/tag", {"repo": f"{host}/other", "tag": "2"})
    assert "Mounted from y/z" in statuses(client.post(f"/images/{host}/other/push", {"tag": "2"}).lines)


def test_what_is_not_here_is_not_pushed(client: Client, host: str) -> None:
    imported(client, f"{host}/y/z", "1")
    for path, tag in ((f"{host}/y/none", "1"), (f"{host}/y/z", "8")):
        last = client.post(f"/images/{path}/push", {"tag": tag}).lines[-1]
        assert last["error"] == last["errorDetail"]["message"] and "tag" in last["error"]


def test_a_login_is_for_its_request_alone(client: Client, tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    with registry(directory, password=True) as host:
        imported(client, f"{host}/y/z", "1")
        mine = {"X-Registry-Auth": credentials(USER, PASSWORD, host)}
        path, query = f"/images/{host}/y/z/push", {"tag": "1"}
        assert "error" in client.post(path, query, headers={"X-Registry-Auth": "e30="}).lines[-1]
        assert "aux" in client.post(path, query, headers=mine).lines[-1]
        asked = {"fromImage": f"{host}/y/z", "tag": "1"}
        assert client.ask("POST", "/images/create", asked).status == 404
        assert client.ask("GET", f"/distribution/{host}/y/z:1/json").status == 401
        assert client.ask("POST", "/images/create", asked, headers=mine, status=200)
        assert client.ask("GET", f"/distribution/{host}/y/z:1/json", headers=mine).status == 200
        body = {"username": USER, "password": PASSWORD, "serveraddress": host}
        assert client.post("/auth", body=body).json["Status"] == "Login Succeeded"
        assert client.ask("POST", "/auth", body={**body, "password": "no"}).status in (401, 500)
        assert client.ask("POST", "/images/create", asked).status == 404


def test_a_distribution_has_its_platforms(client: Client, host: str) -> None:
    push(host, "x/old", "1", [layer(1000)], media_type=DOCKER_MANIFEST)
    found = client.get(f"/distribution/{host}/x/old:1/json")
    assert found["Descriptor"]["mediaType"] == DOCKER_MANIFEST
    assert [one["os"] for one in found["Platforms"]] == ["linux"]
    push_platforms(host, "x/many", "amd64", "arm64")
    platforms = client.get(f"/distribution/{host}/x/many:1/json")["Platforms"]
    assert platforms == [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    assert client.ask("GET", f"/distribution/{host}/x/none:1/json").status == 404
    assert json.loads(client.ask("GET", "/distribution/UPPER/json", status=400).body)
