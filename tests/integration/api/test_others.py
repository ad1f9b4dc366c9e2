"""The machine, networks, volumes and what is refused, through the REST API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api_client import Client, Server
from tests.compared.api.image import archive

pytestmark = pytest.mark.root


@pytest.fixture
def client(server: Server) -> Client:
    made = server.client()
    made.post("/images/load", {"quiet": 1}, archive("box"))
    return made


def run(client: Client, **body: Any) -> str:
    id = client.post("/containers/create", body={"Image": "box", "Cmd": ["sleep", "1000"], **body}).json["Id"]
    client.post(f"/containers/{id}/start")
    return str(id)


def test_versions_are_negotiated_and_refused(client: Client) -> None:
    assert client.at("").ask("HEAD", "/_ping").headers["api-version"] == "1.51"
    for version in ("1.40", "1.44", "1.51"):
        assert client.at(version).get("/version")["ApiVersion"] == "1.51"
    late, early = client.at("1.52").ask("GET", "/info"), client.at("1.39").ask("GET", "/info")
    assert (late.status, early.status) == (400, 400)
    assert "client version 1.52 is too new. Maximum supported API version is 1.51" in late.message
    assert "client version 1.39 is too old. Minimum supported API version is 1.40" in early.message


def test_the_machine_is_told(client: Client) -> None:
    run(client)
    found = client.get("/info")
    assert (found["Containers"], found["ContainersRunning"], found["Images"]) == (1, 1, 1)
    assert found["Swarm"]["LocalNodeState"] == "inactive" and found["MemTotal"] > 0
    df = client.get("/system/df")
    assert len(df["Containers"]) == 1 and len(df["Images"]) == 1
    assert client.get("/plugins") == []
    assert client.ask("GET", "/plugins/x/y/json").status == 404


@pytest.mark.parametrize(
    "path", ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs", "/secrets/x"]
)
def test_what_is_a_swarms_is_answered_as_by_an_engine_that_is_no_manager(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status == 503 and "This node is not a swarm manager" in answer.message


def test_a_login_is_tried_at_the_registry(client: Client, host: str) -> None:
    asked = {"username": "x", "password": "y", "serveraddress": host}
    assert client.post("/auth", body=asked).json["Status"] == "Login Succeeded"
    assert client.ask("POST", "/auth", body={**asked, "serveraddress": "127.0.0.1:1"}).status >= 400


def test_searching_is_refused_by_name(client: Client) -> None:
    assert client.ask("GET", "/images/search", {"term": "x"}).status == 501


# ------------------------------------------------------------------ networks


def test_a_network_from_its_creation_to_its_removal(client: Client) -> None:
    pool = {"Subnet": "10.214.9.0/24", "Gateway": "10.214.9.1", "IPRange": "10.214.9.128/25"}
    body = {"Name": "n", "IPAM": {"Config": [pool]}, "Labels": {"a": "1"}, "Internal": True}
    id = client.post("/networks/create", body=body, status=201).json["Id"]
    found = client.get("/networks/n")
    assert found["Id"] == id and found["IPAM"]["Config"] == [pool] and found["Internal"] is True
    assert client.ask("POST", "/networks/create", body={"Name": "n"}).status == 409
    assert client.get(f"/networks/{id[:12]}")["Name"] == "n"
    assert [one["Name"] for one in client.get("/networks", {"filters": {"label": ["a=1"]}})] == ["n"]
    container = run(client, HostConfig={"NetworkMode": "n"})
    assert list(client.get("/networks/n")["Containers"]) == [container]
    assert client.ask("DELETE", "/networks/n").status == 403
    client.delete(f"/containers/{container}", {"force": 1})
    client.delete("/networks/n")
    assert client.ask("GET", "/networks/n").status == 404


def test_a_running_container_joins_and_leaves(client: Client) -> None:
    client.post("/networks/create", body={"Name": "n"})
    one, other = run(client), run(client, HostConfig={"NetworkMode": "n"})
    asked = {"Container": one, "EndpointConfig": {"Aliases": ["alias"]}}
    client.post("/networks/n/connect", body=asked, status=200)
    networks = client.get(f"/containers/{one}/json")["NetworkSettings"]["Networks"]
    assert set(networks) == {"bridge", "n"} and networks["n"]["Aliases"] == ["alias"]
    made = client.post(f"/containers/{other}/exec", body={"Cmd": ["ping", "-c1", "-W2", "alias"]}).json["Id"]
    with client.open("POST", f"/exec/{made}/start", body={}, upgrade="tcp") as stream:
        while stream.receive():
            pass
    assert client.get(f"/exec/{made}/json")["ExitCode"] == 0
    assert client.ask("POST", "/networks/n/connect", body=asked).status == 403
    client.post("/networks/n/disconnect", body={"Container": one}, status=200)
    assert set(client.get(f"/containers/{one}/json")["NetworkSettings"]["Networks"]) == {"bridge"}


def test_networks_that_are_always_there_are_shown_and_stay(client: Client) -> None:
    names = {one["Name"] for one in client.get("/networks", {"filters": {"type": ["builtin"]}})}
    assert names == {"bridge", "host", "none"}
    for name in names:
        assert client.get(f"/networks/{name}")["Name"] == name
        assert client.ask("DELETE", f"/networks/{name}").status == 403
        assert client.ask("POST", "/networks/create", body={"Name": name}).status == 403


def test_networks_without_containers_are_pruned(client: Client) -> None:
    for name in ("used", "idle"):
        client.post("/networks/create", body={"Name": name, "Labels": {"mine": ""}})
    run(client, HostConfig={"NetworkMode": "used"})
    assert client.post("/networks/prune", {"filters": {"label": ["mine"]}}).json == {
        "NetworksDeleted": ["idle"]
    }


# ------------------------------------------------------------------ volumes


def test_a_volume_from_its_creation_to_its_removal(client: Client) -> None:
    made = client.post("/volumes/create", body={"Name": "v", "Labels": {"a": "1"}}, status=201).json
    assert made["Name"] == "v" and made["Labels"] == {"a": "1"} and made["Mountpoint"].endswith("/v/_data")
    assert client.post("/volumes/create", body={"Name": "v"}).json["Labels"] == {"a": "1"}
    assert client.get("/volumes/v") == made
    container = run(client, HostConfig={"Binds": ["v:/data"]})
    answer = client.ask("DELETE", "/volumes/v")
    assert answer.status == 409 and f"volume is in use - [{container}]" in answer.message
    client.delete(f"/containers/{container}", {"force": 1})
    client.delete("/volumes/v")
    assert client.ask("GET", "/volumes/v").message == "get v: no such volume"
    client.delete("/volumes/v", {"force": 1})


def test_volumes_that_nobody_named_go_with_a_prune(client: Client) -> None:
    anonymous = client.post("/volumes/create", body={}).json["Name"]
    client.post("/volumes/create", body={"Name": "named"})
    answer = client.post("/volumes/prune").json
    assert answer["VolumesDeleted"] == [anonymous]
    assert client.post("/volumes/prune", {"filters": {"all": ["true"]}}).json["VolumesDeleted"] == ["named"]


def test_a_removal_with_volumes_takes_only_what_nobody_named(client: Client) -> None:
    container = run(client, Volumes={"/anonymous": {}}, HostConfig={"Binds": ["v:/data"]})
    assert len(client.get("/volumes")["Volumes"]) == 2
    client.delete(f"/containers/{container}", {"force": 1, "v": 1})
    assert [one["Name"] for one in client.get("/volumes")["Volumes"]] == ["v"]


# ------------------------------------------------------------------ events


def test_events_of_all_objects_come_in_their_order(client: Client) -> None:
    with client.open("GET", "/events") as stream:
        documents = stream.documents()
        client.post("/volumes/create", body={"Name": "v"})
        client.post("/networks/create", body={"Name": "n", "Labels": {"com.docker.compose.project": "shop"}})
        labels = {"com.docker.compose.project": "shop"}
        container = run(client, HostConfig={"NetworkMode": "n"}, Labels=labels)
        client.delete(f"/containers/{container}", {"force": 1})
        client.delete("/networks/n")
        found: list[tuple[str, str]] = []
        while not found or found[-1] != ("network", "destroy"):
            event = next(documents)
            found.append((event["Type"], event["Action"]))
    kinds = [one for one in found if one[1] in ("create", "start", "die", "destroy")]
    assert kinds == [
        ("volume", "create"),
        ("network", "create"),
        ("container", "create"),
        ("container", "start"),
        ("container", "die"),
        ("container", "destroy"),
        ("network", "destroy"),
    ]
