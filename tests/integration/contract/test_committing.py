"""Images and archives of what containers have become, the same on every backend."""

from __future__ import annotations

import io
import pathlib
import stat
import tarfile

import pytest

from composer.backends.memory import MemoryBackend
from composer.engine.observed import ContainerState
from composer.engine.running import copying
from composer.engine.wanted import CommitSpec, ExecSpec, MountSpec
from composer.errors import ComposerError
from tests.integration.contract.conftest import IMAGE, SERVICE, Place, eventually, root_archive


@pytest.fixture
def stored(place: Place, tmp_path: pathlib.Path) -> Place:
    """A place whose containers are of an image that can be committed: the programs of this machine cannot."""
    if isinstance(place.backend, MemoryBackend):
        return place
    if place.backend.find_image(IMAGE) is None:
        place.backend.import_image(root_archive(tmp_path), IMAGE, {"Env": ["PATH=/bin"]})
    place.image = IMAGE
    return place


def members(place: Place, id: str) -> dict[str, tarfile.TarInfo]:
    pieces = place.backend.export_container(id)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return {info.name: info for info in archive}


def shell(place: Place, id: str, script: str) -> str:
    session = place.backend.exec(id, ExecSpec(("sh", "-c", script), interactive=False))
    try:
        data = b""
        while (chunk := session.read()) is not None:
            data += chunk[1]
        assert session.wait() == 0, data
        return data.decode()
    finally:
        session.close()


def test_a_commit_has_a_name_and_lets_the_container_go_on(stored: Place) -> None:
    id = stored.start()
    name = f"{stored.project}-committed:one"
    try:
        image = stored.backend.commit_container(id, CommitSpec(name, "somebody", "why"))
        found = stored.backend.find_image(name)
        assert found is not None and found.id == image.id
        assert stored.state(id) is ContainerState.RUNNING
    finally:
        stored.backend.remove_image(name)


@pytest.mark.real
def test_a_commit_of_a_commit_has_lost_what_was_removed(stored: Place) -> None:
    names = [f"{stored.project}-committed:{n}" for n in (1, 2)]
    try:
        first = stored.start("first")
        shell(
            stored,
            first,
            "mkdir -p /srv/tree/sub; echo a > /srv/tree/a; echo b > /srv/gone; ln -s a /srv/tree/l",
        )
        stored.backend.commit_container(first, CommitSpec(names[0]))
        stored.image = names[0]
        second = stored.start("second")
        script = "rm -rf /srv/tree /srv/gone; mkdir /srv/tree; echo c > /srv/tree/c; chmod 4711 /srv/tree/c"
        shell(stored, second, f"{script}; rm /bin/tac; chown 7:8 /srv/tree")
        stored.backend.commit_container(second, CommitSpec(names[1], pause=False))
        stored.image = names[1]
        third = stored.start("third")
        assert shell(stored, third, "cd /srv; find . | sort; test -e /bin/tac || echo no tac").split(
            "\n"
        ) == [*(".", "./tree", "./tree/c", "no tac", "")]
        found = stored.backend.stat_path(third, "/srv/tree/c")
        assert stat.S_IMODE(found.mode) == 0o4711
        tree = members(stored, third)["srv/tree"]
        assert (tree.uid, tree.gid) == (7, 8)
    finally:
        for id in [c.id for c in stored.backend.observe(stored.project).containers]:
            stored.backend.remove_container(id, force=True)
        for name in reversed(names):
            if stored.backend.find_image(name) is not None:
                stored.backend.remove_image(name)


@pytest.mark.real
def test_an_image_runs_as_its_container_did_with_what_was_changed(stored: Place) -> None:
    name = f"{stored.project}-committed:run"
    labels = stored.labels(x="y", **{SERVICE: "web"})
    environment = {"A": "of the service", "B": "kept"}
    id = stored.start(environment=environment, user="65534", working_dir="/srv", labels=labels)
    changes = {"Env": ["A=changed"], "Cmd": ["sh", "-c", "echo $A $B $(id -u) $(pwd); sleep 600"]}
    try:
        image = stored.backend.commit_container(id, CommitSpec(name, changes=changes))
        assert "com.docker.compose.project" not in image.labels or stored.backend.name == "docker"
        stored.image = name
        spec = stored.spec("again")
        again = stored.backend.create_container(spec._replace(attributes={"stop_signal": "SIGKILL"}))
        stored.backend.start_container(again)
        lines = eventually(lambda: list(stored.backend.logs([again])), what="a line")
        assert lines[0].data == b"changed kept 65534 /srv\n"
    finally:
        for container in stored.backend.observe(stored.project).containers:
            stored.backend.remove_container(container.id, force=True)
        stored.backend.remove_image(name)


def test_an_export_is_what_was_written(stored: Place, tmp_path: pathlib.Path) -> None:
    (tmp_path / "new").write_text("new\n")
    for state in ("running", "created"):
        id = stored.start(state) if state == "running" else stored.create(state)
        copying.copy_in(stored.backend, id, f"{tmp_path}/new", "/srv")
        found = {name.lstrip("./"): info for name, info in members(stored, id).items()}
        assert found["srv/new"].size == 4


@pytest.mark.real
@pytest.mark.parametrize("running", [True, False])
def test_an_export_leaves_out_what_is_mounted(stored: Place, tmp_path: pathlib.Path, running: bool) -> None:
    (tmp_path / "new").write_text("new\n")
    mounts = (MountSpec("volume", stored.volume(), "/data"),)
    id = stored.create(mounts=mounts)
    if running:
        stored.backend.start_container(id)
    copying.copy_in(stored.backend, id, f"{tmp_path}/new", "/data")
    copying.copy_in(stored.backend, id, f"{tmp_path}/new", "/srv")
    if running:
        shell(stored, id, "rm /bin/tac")
    found = members(stored, id)
    assert "srv/new" in found and "data/new" not in found
    assert found["data"].isdir()
    assert ("bin/tac" in found) is not running
    assert not [name for name in found if name.startswith(("proc/", "sys/"))]
    first, second = (b"".join(stored.backend.export_container(id)) for _ in range(2))
    assert first == second


@pytest.mark.real
def test_the_programs_of_this_machine_are_not_committed(place: Place) -> None:
    if place.backend.name == "namespace":
        id = place.start()
        with pytest.raises(ComposerError, match="containers of image 'host' cannot be committed"):
            place.backend.commit_container(id, CommitSpec("x"))
        assert place.state(id) is ContainerState.RUNNING
