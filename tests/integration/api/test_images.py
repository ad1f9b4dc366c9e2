"""Images through the REST API: seen, named, removed, imported, saved and loaded, committed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api_client import Client
from tests.api_images import imported, member, names_in, rootfs, tar

pytestmark = pytest.mark.root

AMD64 = {"os": "linux", "architecture": "amd64"}


def tags(client: Client, **filters: Any) -> list[str]:
    found = client.get("/images/json", {"filters": filters} if filters else None)
    return sorted(tag for one in found for tag in one["RepoTags"])


def test_an_import_has_its_changes_and_its_message(client: Client) -> None:
    id = imported(
        client, "a/one", "1", message="hello", changes=["ENV A=1", "LABEL x=y\nEXPOSE 80", "WORKDIR /srv"]
    )
    found = client.get("/images/a/one:1/json")
    assert found["Id"] == id and found["Comment"] == "hello"
    assert found["Config"]["Env"] == ["A=1"] and found["Config"]["Labels"] == {"x": "y"}
    assert found["Config"]["ExposedPorts"] == {"80/tcp": {}} and found["Config"]["WorkingDir"] == "/srv"
    assert client.get("/images/a/one:1/history")[0]["Comment"] == "hello"


def test_an_import_that_is_no_archive_leaves_nothing(client: Client) -> None:
    query = {"fromSrc": "-", "repo": "a/one"}
    assert client.ask("POST", "/images/create", query, body=b"nothing" * 300).status == 500
    assert client.ask("POST", "/images/create", {**query, "changes": ["RUN x"]}, body=b"").status == 400
    assert client.get("/images/json") == []


@pytest.mark.parametrize("version", ["1.40", "1.43", "1.44", "1.50", "1.51"])
def test_fields_come_and_go_with_the_version(client: Client, version: str) -> None:
    imported(client, "a/one")
    number = tuple(map(int, version.split(".")))
    old = client.at(version)
    listed, found = old.get("/images/json")[0], old.get("/images/a/one/json")
    assert ("VirtualSize" in listed) == ("VirtualSize" in found) == (number < (1, 44))
    assert ("ContainerConfig" in found) == (number < (1, 45))
    assert ("Hostname" in found["Config"]) == (number < (1, 50))
    assert listed["Containers"] == (0 if number >= (1, 51) else -1)
    assert listed["RepoDigests"] == ([] if number >= (1, 43) else None)


def test_an_image_without_a_name_is_called_none_in_old_versions(client: Client) -> None:
    client.post("/images/create", {"fromSrc": "-"}, rootfs())
    old = client.at("1.42").get("/images/json")[0]
    assert (old["RepoTags"], old["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])
    assert client.get("/images/json")[0]["RepoTags"] == []


def test_lists_are_filtered(client: Client) -> None:
    imported(client, "a/one", "1", changes=["LABEL kind=first"])
    imported(client, "b/two", "2", changes=["LABEL kind=second"])
    client.post("/images/create", {"fromSrc": "-"}, rootfs())
    assert tags(client, reference=["a/*"]) == tags(client, label=["kind=first"]) == ["a/one:1"]
    assert tags(client, reference=["*/two"]) == tags(client, since=["a/one:1"]) == ["b/two:2"]
    assert tags(client, before=["b/two:2"]) == ["a/one:1"]
    assert tags(client, **{"label!": ["kind=first"]}) == ["b/two:2"]
    assert len(client.get("/images/json", {"filters": {"dangling": ["true"]}})) == 1
    assert tags(client, dangling=["false"]) == ["a/one:1", "b/two:2"]
    assert client.get("/images/json", {"filters": {"until": ["1h"]}}) == []
    for filters, status in (({"nope": ["x"]}, 400), ({"before": ["none"]}, 404), ({"dangling": ["x"]}, 400)):
        assert client.ask("GET", "/images/json", {"filters": filters}).status == status


def test_images_are_found_by_the_begin_of_their_id(client: Client) -> None:
    id = imported(client, "a/one")
    for name in (id, id.removeprefix("sha256:"), id[7:12], id[:20]):
        assert client.get(f"/images/{name}/json")["Id"] == id
    answer = client.ask("GET", "/images/none/json")
    assert (answer.status, answer.message) == (404, "No such image: none:latest")
    answer = client.ask("GET", "/images/UPPER/json")
    assert answer.status == 400 and "must be lowercase" in answer.message


def test_an_image_of_another_platform_is_not_the_one(client: Client) -> None:
    imported(client, "a/one", platform="linux/arm64")
    query = {"platform": json.dumps(AMD64)}
    answer = client.ask("GET", "/images/a/one/json", query)
    assert answer.status == 404 and "(linux/arm64) does not match" in answer.message
    assert client.get("/images/a/one/json", {"platform": json.dumps({**AMD64, "architecture": "arm64"})})
    both = client.ask("GET", "/images/a/one/json", {**query, "manifests": 1})
    assert both.status == 400


def test_names_are_given_and_taken(client: Client) -> None:
    id = imported(client, "a/one", "1")
    assert client.post("/images/a/one:1/tag", {"repo": "b/two", "tag": "2"}).status == 201
    assert client.ask("DELETE", f"/images/{id}").status == 409
    assert client.delete("/images/a/one:1").json == [{"Untagged": "a/one:1"}]
    gone = client.delete("/images/b/two:2").json
    assert gone[:2] == [{"Untagged": "b/two:2"}, {"Deleted": id}] and len(gone) == 3
    assert client.ask("DELETE", "/images/b/two:2").status == 404
    for repo in ("UPPER", "a" * 64, "x@sha256:" + "a" * 64):
        assert client.ask("POST", "/images/b/two:2/tag", {"repo": repo}).status == 400


def test_an_image_in_use_stays(client: Client) -> None:
    id = imported(client, "a/one")
    client.post("/containers/create", {"name": "user"}, {"Image": "a/one"})
    assert client.get("/images/json")[0]["Containers"] == 1
    answer = client.ask("DELETE", "/images/a/one")
    assert answer.status == 409 and "is using its referenced image" in answer.message
    assert client.ask("DELETE", f"/images/{id}").status == 409
    client.delete("/containers/user")
    client.delete("/images/a/one")


def test_pruning_removes_what_its_filters_say(client: Client) -> None:
    imported(client, "a/one", "1", changes=["LABEL keep=no"])
    imported(client, "b/two", "2")
    unnamed = client.post("/images/create", {"fromSrc": "-"}, tar({"file": b"x" * 5000})).lines[-1]["status"]
    found = client.post("/images/prune").json
    assert {"Deleted": unnamed} in found["ImagesDeleted"] and found["SpaceReclaimed"] >= 5000
    filters = {"dangling": ["false"], "label": ["keep=no"]}
    found = client.post("/images/prune", {"filters": filters}).json
    assert found["ImagesDeleted"][0] == {"Untagged": "a/one:1"}
    assert tags(client) == ["b/two:2"]
    assert client.post("/images/prune", {"filters": filters}).json["ImagesDeleted"] is None


def test_saved_images_are_loaded_with_their_names(client: Client) -> None:
    first, second = imported(client, "a/one", "1", changes=["ENV A=1"]), imported(client, "b/two", "2")
    archive = client.ask("GET", "/images/get", {"names": ["a/one:1", "b/two:2"]}, status=200)
    assert archive.headers["content-type"] == "application/x-tar"
    assert {"manifest.json", "index.json", "oci-layout"} <= set(names_in(archive.body))
    one = client.ask("GET", "/images/a/one:1/get", status=200).body
    listed = json.loads(member(one, "manifest.json"))
    assert [entry["RepoTags"] for entry in listed] == [["a/one:1"]]
    for id in (first, second):
        client.delete(f"/images/{id}")
    pieces = (archive.body[at : at + 100_000] for at in range(0, len(archive.body), 100_000))
    answer = client.post("/images/load", {"quiet": 1}, pieces)
    assert [line["stream"] for line in answer.lines] == [
        "Loaded image: a/one:1\n",
        "Loaded image: b/two:2\n",
    ]
    assert {one["Id"] for one in client.get("/images/json")} == {first, second}


def test_what_is_missing_is_said_before_an_archive_begins(client: Client) -> None:
    imported(client, "a/one")
    answer = client.ask("GET", "/images/get", {"names": ["a/one", "none"]})
    assert (answer.status, answer.message) == (404, "No such image: none")
    query = {"platform": json.dumps({**AMD64, "architecture": "s390x"})}
    assert client.ask("GET", "/images/a/one/get", query).status == 500


def test_an_archive_that_is_none_loads_nothing(client: Client) -> None:
    for body in (b"nothing at all" * 100, tar({"x": b"y"})):
        answer = client.ask("POST", "/images/load", body=body)
        assert answer.status == 400 and "state" not in answer.message
    assert client.get("/images/json") == []


def test_a_commit_has_the_container_and_the_changes(client: Client) -> None:
    imported(client, "a/one", changes=["ENV A=1", "LABEL x=y"])
    body = {
        "Image": "a/one",
        "Cmd": ["/bin/sh", "-c", "echo new > /made"],
        "Env": ["Z=1"],
        "Labels": {"l": "m"},
    }
    id = client.post("/containers/create", {"name": "source"}, body).json["Id"]
    client.post(f"/containers/{id}/start")
    client.post(f"/containers/{id}/wait")
    query = {
        "container": "source",
        "repo": "c/three",
        "tag": "3",
        "comment": "why",
        "author": "who",
        "changes": 'ENV B=2\nCMD ["x"]',
    }
    made = client.post("/commit", query, {"Env": ["C=3"], "Labels": {"q": "r"}, "Cmd": None, "Volumes": {}})
    assert made.status == 201
    found = client.get("/images/c/three:3/json")
    assert found["Id"] == made.json["Id"]
    assert (found["Comment"], found["Author"], found["Config"]["Cmd"]) == ("why", "who", ["x"])
    assert set(found["Config"]["Env"]) == {"A=1", "Z=1", "B=2", "C=3"}
    assert found["Config"]["Labels"] == {"x": "y", "l": "m", "q": "r"}
    steps = client.get("/images/c/three:3/history")
    assert steps[0]["CreatedBy"] == "/bin/sh -c echo new > /made" and steps[0]["Size"] == 4
    assert client.ask("POST", "/commit", {"container": "none"}).status == 404
    assert client.ask("POST", "/commit", {**query, "changes": "RUN x"}).status == 400
    client.delete(f"/containers/{id}", {"force": 1})


def test_disk_use_counts_each_layer_once(client: Client) -> None:
    imported(client, "a/one", changes=["ENV A=1"])
    imported(client, "b/two", changes=["ENV A=2"])
    found = client.get("/system/df")
    sizes = [one["Size"] for one in found["Images"]]
    assert found["LayersSize"] == sizes[0] == sizes[1] == found["Images"][0]["SharedSize"]
    only = client.get("/system/df", {"type": ["image"]})
    assert (only["Containers"], only["Volumes"], only["BuildCache"]) == (None, None, None)
    assert client.ask("GET", "/system/df", {"type": "more"}).status == 400
    assert client.at("1.41").get("/system/df")["BuilderSize"] == 0
