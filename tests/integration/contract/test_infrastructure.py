"""Networks, volumes, ports, mounts and files, the same on every backend."""

from __future__ import annotations

import socket

import pytest

from composer.engine.observed import ContainerState
from composer.engine.wanted import FileSpec, MountSpec, NetworkSpec, VolumeSpec
from composer.errors import Conflict, NotFound
from tests.integration.contract.conftest import PROJECT, Place, eventually


def test_a_network_is_made_once(place: Place) -> None:
    spec = NetworkSpec(f"{place.project}_net", place.labels(), {})
    id = place.backend.create_network(spec)
    assert place.backend.create_network(spec) == id
    found = place.backend.find_network(spec.name)
    assert found is not None
    assert (found.id, found.labels[PROJECT]) == (id, place.project)
    with pytest.raises(Conflict):
        place.backend.create_network(spec._replace(labels=place.labels(mark="another")))
    for _ in range(2):
        place.backend.remove_network(id)
    assert place.backend.find_network(spec.name) is None


def test_a_network_in_use_stays(place: Place) -> None:
    network = place.network()
    place.start(endpoints=(place.endpoint(network, "web"),))
    with pytest.raises(Conflict):
        place.backend.remove_network(network)


def test_a_container_is_seen_in_its_networks(place: Place) -> None:
    names = [place.network("a"), place.network("b")]
    id = place.start(endpoints=tuple(place.endpoint(name, "web", "alias") for name in names))
    found = {e.network: e for e in place.backend.container(id).endpoints}
    assert sorted(found) == names
    for name in names:
        assert found[name].ipv4
        network = place.backend.find_network(name)
        assert network is not None
        assert found[name].network_id == network.id
        assert {"web", "alias", place.name("web")} <= set(found[name].aliases)


@pytest.mark.real
def test_names_are_resolved_in_all_networks(place: Place) -> None:
    names = [place.network("a"), place.network("b")]
    place.start("db", endpoints=tuple(place.endpoint(name, "db", "store") for name in names))
    client = place.start("client", endpoints=(place.endpoint(names[1], "client"),))
    for name in ("db", "store", place.name("db")):
        script = f"getent hosts {name} 2>/dev/null || nslookup {name} 127.0.0.11"
        assert name in place.output(client, "sh", "-c", f"({script}) && echo resolved {name}")
        assert "resolved" in place.output(client, "sh", "-c", f"({script}) >/dev/null && echo resolved")


def test_connecting_later_keeps_the_aliases(place: Place) -> None:
    first, second = place.network("a"), place.network("b")
    id = place.start(endpoints=(place.endpoint(first, "web"),))
    endpoint = place.endpoint(second, "web", "late")
    for _ in range(2):
        place.backend.connect_network(id, endpoint)
    found = {e.network: e for e in place.backend.container(id).endpoints}
    assert {"web", "late"} <= set(found[second].aliases)
    for _ in range(2):
        place.backend.disconnect_network(id, second)
    assert [e.network for e in place.backend.container(id).endpoints] == [first]


def test_a_network_that_is_not_there_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        id = place.create(endpoints=(place.endpoint(f"{place.project}_no", "web"),))
        place.backend.start_container(id)  # some look only now


def test_a_volume_is_made_once(place: Place) -> None:
    spec = VolumeSpec(f"{place.project}_data", place.labels(), {})
    for _ in range(2):
        assert place.backend.create_volume(spec) == spec.name
    found = place.backend.find_volume(spec.name)
    assert found is not None
    assert found.labels[PROJECT] == place.project
    assert spec.name in [volume.name for volume in place.backend.volumes()]
    for _ in range(2):
        place.backend.remove_volume(spec.name)
    assert place.backend.find_volume(spec.name) is None


def test_a_volume_in_use_stays(place: Place) -> None:
    name = place.volume()
    place.create(mounts=(MountSpec("volume", name, "/data"),))
    with pytest.raises(Conflict):
        place.backend.remove_volume(name)


def test_anonymous_volumes_go_with_their_container_where_asked(place: Place) -> None:
    mounts = (MountSpec("volume", None, "/anonymous"), MountSpec("volume", place.volume(), "/named"))
    id = place.create(mounts=mounts)
    seen = {m.target: m.name for m in place.backend.container(id).mounts}
    assert seen["/named"] == f"{place.project}_data"
    assert place.backend.find_volume(seen["/anonymous"]) is not None
    place.backend.remove_container(id, volumes=True)
    assert place.backend.find_volume(seen["/anonymous"]) is None
    assert place.backend.find_volume(seen["/named"]) is not None


def test_what_is_to_go_when_it_has_ended_goes_with_its_anonymous_volumes(place: Place) -> None:
    mounts = (MountSpec("volume", None, "/anonymous"), MountSpec("volume", place.volume(), "/named"))
    id = place.start(mounts=mounts, auto_remove=True)
    seen = {m.target: m.name for m in place.backend.container(id).mounts}
    place.backend.kill_container(id, "SIGKILL")
    eventually(lambda: not place.backend.observe(place.project).containers, what="its removal")
    eventually(lambda: place.backend.find_volume(seen["/anonymous"]) is None, what="its volume's removal")
    assert place.backend.find_volume(seen["/named"]) is not None
    place.backend.remove_container(id, force=True)  # nothing is left to do
    place.start(mounts=mounts)  # its name is free


def test_a_restart_is_not_the_end_of_what_is_to_go_when_it_has_ended(place: Place) -> None:
    id = place.start(mounts=(MountSpec("volume", None, "/anonymous"),), auto_remove=True)
    before = place.backend.container(id)
    place.backend.restart_container(id, timeout_s=0)
    after = place.backend.container(id)
    assert after.state is ContainerState.RUNNING and after.started_ns > before.started_ns
    assert after.mounts == before.mounts
    assert place.backend.find_volume(str(after.mounts[0].name)) is not None
    place.backend.kill_container(id, "SIGKILL")
    eventually(lambda: not place.backend.observe(place.project).containers, what="its removal")


def test_an_anonymous_volume_that_another_container_has_stays(place: Place) -> None:
    id = place.start(mounts=(MountSpec("volume", None, "/anonymous"),))
    (seen,) = place.backend.container(id).mounts
    other = place.start("other", mounts=(MountSpec("volume", seen.name, "/theirs"),))
    place.backend.remove_container(id, force=True, volumes=True)
    assert place.backend.find_volume(str(seen.name)) is not None
    place.backend.remove_container(other, force=True)
    place.backend.remove_volume(str(seen.name))  # which has no label of this place


@pytest.mark.real
def test_data_outlives_the_container(place: Place) -> None:
    mounts = (MountSpec("volume", place.volume(), "/data"),)
    writer = place.start("writer", "echo kept > /data/file", mounts=mounts)
    assert place.backend.wait_container(writer) == 0
    place.backend.remove_container(writer, volumes=True)
    reader = place.start("reader", mounts=mounts)
    assert place.output(reader, "cat", "/data/file") == "kept\n"


@pytest.mark.real
def test_mounts_of_each_kind(place: Place, tmp_path) -> None:
    (tmp_path / "file").write_text("from the host\n")
    mounts = (
        MountSpec("bind", str(tmp_path), "/bound", read_only=True),
        MountSpec("tmpfs", None, "/scratch", options={"size": "1m", "mode": 0o700}),
    )
    id = place.start(mounts=mounts)
    assert place.output(id, "cat", "/bound/file") == "from the host\n"
    assert "ead-only" in place.output(id, "sh", "-c", "touch /bound/new 2>&1")
    assert place.output(id, "stat", "-c", "%a", "/scratch") == "700\n"


@pytest.mark.real
def test_configs_and_secrets_are_files(place: Place, tmp_path) -> None:
    (tmp_path / "secret").write_text("hidden\n")
    files = (
        FileSpec("secret", "key", "/run/secrets/key", source=str(tmp_path / "secret")),
        FileSpec("config", "page", "/srv/deep/page", content=b"text\n", uid="7", gid="8", mode=0o440),
    )
    id = place.start(files=files)
    assert place.output(id, "cat", "/run/secrets/key", "/srv/deep/page") == "hidden\ntext\n"
    assert place.output(id, "stat", "-c", "%u %g %a", "/srv/deep/page") == "7 8 440\n"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_published_port_is_seen_and_taken(place: Place) -> None:
    port = _free_port()
    ports = [{"target": 80, "published": str(port), "protocol": "tcp", "host_ip": "127.0.0.1"}]
    network = place.network()
    first = place.start("a", ports=ports, endpoints=(place.endpoint(network, "a"),))
    seen = [(p.protocol, p.container_port, p.host_port) for p in place.backend.container(first).ports]
    assert ("tcp", 80, port) in seen
    second = place.create("b", ports=ports, endpoints=(place.endpoint(network, "b"),))
    with pytest.raises(Conflict) as caught:
        place.backend.start_container(second)
    assert str(port) in str(caught.value)


def test_an_image_is_found_by_name_and_id(place: Place) -> None:
    found = place.backend.find_image(place.image)
    assert found is not None
    by_id = place.backend.find_image(found.id)
    assert by_id is not None
    assert by_id.id == found.id
    if place.image != "host":  # which is this machine, and not in the store
        assert found.id in [image.id for image in place.backend.images()]
