"""The memory backend behaves as Docker does where the engine can tell."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import threading
from pathlib import Path

import pytest

from composer.backends.memory import Behaviour, MemoryBackend, connect
from composer.engine.observed import ContainerState, Health
from composer.engine.wanted import ContainerSpec, EndpointSpec, ExecSpec, MountSpec, NetworkSpec, VolumeSpec
from composer.errors import Conflict, ImageError, NotFound, PullFailed

LABELS = {"com.docker.compose.project": "app", "com.docker.compose.service": "web"}


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(images=("nginx",))


def spec(name: str = "app-web-1", **given: object) -> ContainerSpec:
    attributes = given.pop("attributes", {})
    return ContainerSpec(name, "app", "web", 1, "nginx", LABELS, attributes, **given)  # type: ignore[arg-type]


def test_creating_again_with_the_same_labels_returns_it(backend: MemoryBackend) -> None:
    assert backend.create_container(spec()) == backend.create_container(spec())
    with pytest.raises(Conflict, match="in use"):
        backend.create_container(spec()._replace(labels={**LABELS, "x": "y"}))
    network = NetworkSpec("net", {"a": "b"}, {})
    assert backend.create_network(network) == backend.create_network(network)
    with pytest.raises(Conflict):
        backend.create_network(network._replace(labels={}))
    volume = VolumeSpec("vol", {"a": "b"}, {})
    assert backend.create_volume(volume) == backend.create_volume(volume) == "vol"
    with pytest.raises(Conflict):
        backend.create_volume(volume._replace(labels={}))


def test_removing_what_is_gone_does_nothing(backend: MemoryBackend) -> None:
    backend.remove_container("nope")
    backend.remove_network("nope")
    backend.remove_volume("nope")
    backend.remove_image("nope")


def test_what_is_in_use_is_not_removed(backend: MemoryBackend) -> None:
    backend.create_network(NetworkSpec("net", {}, {}))
    backend.create_volume(VolumeSpec("vol", {}, {}))
    id = backend.create_container(
        spec(mounts=(MountSpec("volume", "vol", "/v"),), endpoints=(EndpointSpec("net", ("web",)),))
    )
    for remove in (
        lambda: backend.remove_network("net"),
        lambda: backend.remove_volume("vol"),
        lambda: backend.remove_image("nginx"),
    ):
        with pytest.raises(Conflict, match="in use"):
            remove()
    backend.start_container(id)
    with pytest.raises(Conflict, match="is running"):
        backend.remove_container(id)
    backend.remove_container(id, force=True, volumes=True)
    assert backend.find_volume("vol") is not None, "a named volume stays"


def test_what_is_missing_is_named(backend: MemoryBackend) -> None:
    with pytest.raises(NotFound, match="no such image: gone"):
        backend.create_container(spec()._replace(image="gone"))
    with pytest.raises(NotFound, match="no such network: gone"):
        backend.create_container(spec(endpoints=(EndpointSpec("gone"),)))
    with pytest.raises(NotFound, match="no such container: gone"):
        backend.container("gone")
    closed = MemoryBackend(registry=("nginx",))
    with pytest.raises(PullFailed):
        closed.pull_image("other")
    assert closed.pull_image("nginx").references == ("nginx",)


def test_an_illegal_move_names_both_states(backend: MemoryBackend) -> None:
    id = backend.create_container(spec())
    with pytest.raises(Conflict, match="cannot change to exited while it is created"):
        backend.end(id, 0)


@pytest.mark.parametrize(
    ("policy", "exits", "state", "restarts"),
    [
        ("no", (1,), ContainerState.EXITED, 0),
        ("always", (0, None), ContainerState.RUNNING, 1),
        ("unless-stopped", (1, 1, None), ContainerState.RUNNING, 2),
        ("on-failure", (1, 0), ContainerState.EXITED, 1),
        ("on-failure:2", (1, 1, 1, 1), ContainerState.EXITED, 2),
        ("always", (1,), ContainerState.RESTARTING, 1),
    ],
)
def test_restart_policies(
    backend: MemoryBackend, policy: str, exits: tuple[int | None, ...], state: ContainerState, restarts: int
) -> None:
    backend.behave("web", Behaviour(exits=exits))
    id = backend.create_container(spec(attributes={"restart": policy}))
    backend.start_container(id)
    found = backend.container(id)
    assert (found.state, found.restarts) == (state, restarts)


def test_a_stop_is_final_whatever_the_policy(backend: MemoryBackend) -> None:
    id = backend.create_container(spec(attributes={"restart": "always"}))
    backend.start_container(id)
    backend.stop_container(id)
    assert backend.container(id).state is ContainerState.EXITED
    backend.start_container(id)
    backend.kill_container(id, "SIGHUP")
    assert backend.container(id).state is ContainerState.RUNNING
    backend.kill_container(id, "SIGKILL")
    assert backend.container(id).exit_code == 137


def test_published_ports_collide(backend: MemoryBackend) -> None:
    ports = [{"target": 80, "published": "8080-8081", "protocol": "tcp"}]
    ids = [backend.create_container(spec(f"app-web-{n}", attributes={"ports": ports})) for n in range(3)]
    for id in ids[:2]:
        backend.start_container(id)
    assert [backend.container(id).ports[0].host_port for id in ids[:2]] == [8080, 8081]
    with pytest.raises(Conflict, match="port 8080-8081/tcp is already allocated by container 'app-web-0'"):
        backend.start_container(ids[2])


def test_events_are_seen_from_the_moment_that_was_asked(backend: MemoryBackend) -> None:
    id = backend.create_container(spec())
    stream = backend.events("app")
    other = backend.events("other")
    backend.start_container(id)
    backend.end(id, 3)
    first, second = stream.next(1), stream.next(1)
    assert first is not None and second is not None
    assert (first.action, second.action) == ("start", "die")
    assert (second.attributes["exitCode"], second.attributes["willRestart"]) == ("3", "false")
    assert stream.next(0) is None
    assert other.next(0) is None
    threading.Timer(0.02, stream.close).start()
    assert stream.next(None) is None


def test_logs_follow_over_restarts_and_end_with_the_container(backend: MemoryBackend) -> None:
    backend.behave("web", Behaviour(output=("run",)))
    id = backend.create_container(spec(attributes={"restart": "on-failure"}))
    backend.start_container(id)
    stream = backend.logs([id], follow=True)
    threading.Timer(0.02, lambda: (backend.end(id, 1), backend.end(id, 0))).start()
    assert [line.data for line in stream] == [b"run\n", b"run\n"]
    endless = backend.create_container(spec("other"))
    backend.start_container(endless)
    following = backend.logs([endless], follow=True)
    threading.Timer(0.02, following.close).start()
    assert len(list(following)) == 1


def test_health_starts_anew_with_each_run(backend: MemoryBackend) -> None:
    backend.behave("web", Behaviour(health=()))
    id = backend.create_container(spec(attributes={"healthcheck": {"test": ["CMD", "x"]}}))
    assert backend.container(id).health is Health.NONE
    backend.start_container(id)
    assert backend.container(id).health is Health.STARTING
    backend.set_health(id, Health.UNHEALTHY, "refused")
    assert backend.probes(id)[-1].output == "refused"
    backend.stop_container(id)
    backend.start_container(id)
    assert backend.container(id).health is Health.STARTING


def test_failures_are_raised_in_order_and_then_no_more(backend: MemoryBackend) -> None:
    backend.fail("create_volume", "v", Conflict("one"))
    backend.fail("create_volume", "v", Conflict("two"))
    for text in ("one", "two"):
        with pytest.raises(Conflict, match=text):
            backend.create_volume(VolumeSpec("v", {}, {}))
    assert backend.create_volume(VolumeSpec("v", {}, {})) == "v"


def test_exec_runs_a_script(backend: MemoryBackend) -> None:
    backend.behave("web", Behaviour(exec=lambda command: (2, " ".join(command.command).encode())))
    id = backend.create_container(spec())
    with pytest.raises(Conflict, match="is not running"):
        backend.exec(id, ExecSpec(("ls",)))
    backend.start_container(id)
    session = backend.exec(id, ExecSpec(("ls", "-l")))
    session.write(b"input")
    session.close_stdin()
    assert (session.read(), session.read(), session.wait()) == (("stdout", b"ls -l"), None, 2)
    session.close()
    session.close()


def test_images_come_from_files(backend: MemoryBackend, tmp_path: Path) -> None:
    root = tmp_path / "root.tar"
    root.write_bytes(b"x")
    image = backend.import_image(str(root), "base", {"Volumes": {"/data": {}}})
    assert image.volumes == ("/data",)
    assert backend.find_image(image.id) == image
    manifest = json.dumps([{"RepoTags": ["a:1", "b:2"]}]).encode()
    archive = tmp_path / "images.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(manifest)
        tar.addfile(info, io.BytesIO(manifest))
    assert [i.references for i in backend.load_images(str(archive))] == [("a:1",), ("b:2",)]
    for path in (tmp_path / "gone", root):
        with pytest.raises(ImageError):
            backend.load_images(str(path))
    with pytest.raises(ImageError):
        backend.import_image(str(tmp_path / "gone"), "x", {})


def test_a_container_of_no_project_is_among_all(backend: MemoryBackend) -> None:
    id = backend.create_container(spec("alone")._replace(labels={}))
    assert [c.id for c in backend.containers()] == [id]
    assert list(backend.projects()) == []


def test_connect_makes_an_empty_one() -> None:
    backend = connect({})
    assert list(backend.images()) == list(backend.projects()) == []  # type: ignore[comparison-overlap]
    backend.close()


def _names_made_in(order: tuple[int, ...]) -> list[tuple[str, str, str]]:
    """Create three containers in an order; return id, address and anonymous volume of each, by its name."""
    backend = MemoryBackend(images=["nginx"])
    backend.create_network(NetworkSpec("net", {}, {}))
    names = ["app-a-1", "app-b-1", "app-c-1"]
    for index in order:
        mounts, endpoints = (MountSpec("volume", None, "/data"),), (EndpointSpec("net"),)
        backend.create_container(spec(names[index], mounts=mounts, endpoints=endpoints))
    seen = [backend.container(backend._find(name).seen.id) for name in names]
    return [(one.id, str(one.endpoints[0].ipv4), str(one.mounts[0].name)) for one in seen]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_identifiers_and_addresses_do_not_tell_who_came_first(order: tuple[int, ...]) -> None:
    found = _names_made_in(order)
    assert found == _names_made_in((0, 1, 2))
    for column in zip(*found, strict=True):
        assert len(set(column)) == 3


def test_what_is_made_again_has_another_identifier(backend: MemoryBackend) -> None:
    first = backend.create_container(spec())
    backend.remove_container(first)
    assert backend.create_container(spec()) != first


def test_no_address_is_given_twice(backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlib.crc32", lambda _: 0xFFFF)  # all names are alike, and the last before a turn
    backend.create_network(NetworkSpec("net", {}, {}))
    made = [
        backend.create_container(spec(f"app-web-{n}", endpoints=(EndpointSpec("net"),))) for n in range(3)
    ]
    found = [backend.container(id).endpoints[0].ipv4 for id in made]
    assert found == ["172.18.255.255", "172.18.0.2", "172.18.0.3"]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_free_ports_go_by_number_and_not_by_who_starts_first(
    backend: MemoryBackend, order: tuple[int, ...]
) -> None:
    ports: dict[str, object] = {"ports": [{"target": 80}]}
    for number in order:
        made = spec(f"app-web-{number}", attributes=ports)._replace(number=number)
        backend.start_container(backend.create_container(made))
    found = [backend._find(f"app-web-{number}").seen.ports[0].host_port for number in (1, 2, 3)]
    assert found == [49153, 49154, 49155]
