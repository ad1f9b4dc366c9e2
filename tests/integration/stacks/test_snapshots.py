"""Snapshots and forks of a stack's data, on each backend."""

from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import Iterator

import pytest

import composer
from composer.engine.observed import SnapshotPart
from composer.engine.wanted import VolumeSpec
from composer.session.session import Session
from composer.stacks import ports
from tests.integration.stacks.conftest import IMAGE

FILE = f"""
services:
  db:
    image: {IMAGE}
    command: sh -c 'trap exit TERM; while true; do date >>/data/log; date >>/more/log; sleep 0.02; done'
    healthcheck: {{test: ["CMD", "true"], interval: 1s, start_interval: 100ms, start_period: 5s}}
    volumes: ["data:/data", "/more", "./:/here"]
  reader:
    image: {IMAGE}
    command: sh -c 'trap exit TERM; while true; do sleep 0.05; done'
    ports: ["18098:80"]
    volumes: ["data:/data:ro", "fixed:/fixed"]
    depends_on: [db]
volumes: {{data: {{}}, fixed: {{name: "{{name}}-fixed"}}}}
"""


def _volumes(backend: str) -> list[str]:
    session = Session(dict(os.environ), wanted=backend)
    try:
        return [volume.name for volume in session.backend().volumes()]
    finally:
        session.close()


@pytest.fixture
def stack(directory: pathlib.Path, backend: str) -> Iterator[composer.Stack]:
    (directory / "compose.yaml").write_text(FILE.replace("{name}", directory.name))
    with composer.Stack(ports.apart(composer.load(directory / "compose.yaml")), backend=backend) as made:
        made.up(timeout=60)
        yield made
        taken = {one.id for one in made.snapshots()}
        made.remove_snapshots()
    left = [name for name in _volumes(backend) if directory.name in name or any(id in name for id in taken)]
    assert left == []


def shell(stack: composer.Stack, text: str, service: str = "db") -> str:
    return stack[service].exec(["sh", "-c", text]).stdout.strip()


WRITE = "cd /data; echo old >a; mkdir -p sub; echo deep >sub/b; ln -sf a link; chmod 640 a; chown 7:8 a"


@pytest.mark.parametrize("stop", [False, True], ids=["frozen", "stopped"])
def test_data_comes_back_whole(stack: composer.Stack, stop: bool) -> None:
    shell(stack, f"{WRITE}; echo anonymous >/more/a")
    shell(stack, "echo other >/fixed/a", "reader")
    taken = stack.snapshot("first", stop=stop)
    assert (taken.name, taken.quiet) == ("first", "stopped" if stop else "frozen")
    assert [text.partition(":")[0] for text in taken.left_out] == [str(pathlib.Path(stack.project.directory))]
    assert all(one.state.value == "running" for one in stack.ps(all=True))
    shell(stack, "echo new >/data/a; rm -r /data/sub; echo new >/data/.added; echo new >/more/a")
    shell(stack, "echo new >/fixed/a", "reader")
    way = stack.restore("first")
    assert way in ("overlay", "copy", "reflink")
    assert shell(
        stack, "cd /data; cat a sub/b; readlink link; stat -c '%a %u %g' a; ls -A | sort | tr '\n' ' '"
    ) == ("old\ndeep\na\n640 7 8\na link log sub")
    assert shell(stack, "cat /more/a; wc -l </more/log").splitlines()[0] == "anonymous"
    assert shell(stack, "cat /fixed/a", "reader") == "other"
    assert [one.state.value for one in stack.ps()] == ["running", "running"]
    assert not stack.plan().steps
    # and once more: a snapshot does not change by what is made of it
    shell(stack, "echo again >/data/a")
    stack.restore(taken)
    assert shell(stack, "cat /data/a") == "old"


def test_both_volumes_are_of_one_moment(stack: composer.Stack, tmp_path: pathlib.Path) -> None:
    """One writer puts a line into each in turn: frozen together they differ by one; the fork's own writer adds one."""
    for _ in range(3):
        stack.snapshot("moment", stop=False, replace=True)
        with stack.fork(snapshot="moment") as fork:
            fork["db"].pause()
            counts = []
            for name in ("data", "more"):
                fork["db"].copy_out(f"/{name}/log", tmp_path / name)
                counts.append(len((tmp_path / name).read_text().splitlines()))
                (tmp_path / name).unlink()
            assert 0 <= counts[0] - counts[1] <= 2 and counts[1]
            fork["db"].unpause()
    assert [one.name for one in stack.snapshots()] == ["moment"]


def test_a_fork_is_a_stack_of_its_own(stack: composer.Stack) -> None:
    shell(stack, WRITE)
    shell(stack, "echo mine >/fixed/a", "reader")
    with stack.fork() as fork:
        assert fork.name != stack.name and stack.snapshots() == []
        assert shell(fork, "cat /data/a /data/sub/b") == "old\ndeep"
        assert shell(fork, "cat /fixed/a", "reader") == "mine"
        assert fork["reader"].port(80) != stack["reader"].port(80)
        shell(fork, "echo fork >/data/a; echo fork >>/data/sub/b")
        shell(fork, "echo fork >/fixed/a", "reader")
        shell(stack, "rm /data/sub/b")
        assert shell(stack, "cat /data/a") == "old" and shell(stack, "cat /fixed/a", "reader") == "mine"
        assert shell(fork, "cat /data/a /data/sub/b") == "fork\ndeep\nfork"
        fork["db"].restart(0)
        assert shell(fork, "cat /data/a") == "fork"
        stack.down()  # what it lies over is not its source's
        fork["db"].restart(0)
        assert shell(fork, "cat /data/a /data/sub/b") == "fork\ndeep\nfork"
    assert fork.ps(all=True) == []
    fork.close()  # it was opened once more
    fork.close()


def test_one_service_and_wrong_names(stack: composer.Stack) -> None:
    shell(stack, "echo old >/data/a")
    shell(stack, "echo old >/fixed/a", "reader")
    stack.snapshot("one", services=["db"])
    with pytest.raises(composer.errors.Conflict, match="has a snapshot 'one' already"):
        stack.snapshot("one")
    with pytest.raises(composer.errors.Conflict, match="invalid snapshot name"):
        stack.snapshot("../x")
    with pytest.raises(composer.errors.NotFound, match="no snapshot 'two'"):
        stack.restore("two")
    with pytest.raises(composer.errors.UnknownService):
        stack.snapshot("three", services=["nobody"])
    shell(stack, "echo new >/data/a")
    shell(stack, "echo new >/fixed/a", "reader")
    stack.restore("one")
    assert shell(stack, "cat /data/a") == "old" and shell(stack, "cat /fixed/a", "reader") == "new"
    for service in ("reader", "db"):
        stack[service].stop(0)
    stack.restore("one")
    assert [one.state.value for one in stack["db"].containers] == ["exited"]  # it did not run before


def test_it_is_stopped_as_long_as_another_project_has_its_volume(stack: composer.Stack) -> None:
    taken = stack.snapshot("shared", services=["db"])
    name = next(mount.name for mount in stack["db"].container().mounts if mount.target == "/data")
    other = composer.load(
        overrides=None,
        files=[_other_file(pathlib.Path(stack.project.directory), name)],
        name=f"{stack.name}x",
    )
    with composer.Stack(other, backend=stack.backend.name) as beside:
        beside.up(timeout=60)
        with pytest.raises(composer.errors.Conflict, match="containers of other projects"):
            stack.restore(taken)
        assert len(stack.ps()) == 2
        with pytest.raises(composer.errors.Conflict, match="containers of other projects"):
            stack.snapshot("again", stop=True)
        assert stack.snapshot("frozen", stop=False).quiet == "frozen"
        assert [one.state.value for one in beside.ps()] == ["running"]


def _other_file(directory: pathlib.Path, volume: str) -> pathlib.Path:
    found = directory / "other.yaml"
    found.write_text(
        f"services: {{a: {{image: {IMAGE}, command: [sleep, '600'], stop_signal: SIGKILL, volumes: ['vol:/w']}}}}\n"
        f"volumes: {{vol: {{name: {volume}, external: true}}}}\n"
    )
    return found


def test_asyncio(stack: composer.Stack, directory: pathlib.Path) -> None:
    shell(stack, "echo old >/data/a")

    async def use() -> str:
        beside = composer.AsyncStack(stack.project, backend=stack.backend.name)
        taken = await beside.snapshot("a")
        async with await beside.fork(snapshot=taken) as fork:
            found = await fork["db"].exec(["cat", "/data/a"])
        await beside.restore(taken)
        await beside.close()
        return str(found.stdout)

    assert asyncio.run(use()) == "old\n"


@pytest.mark.parametrize("backend", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True)
def test_an_interrupted_restore_on_an_engine_is_finished(stack: composer.Stack, backend: str) -> None:
    """What a kill leaves: a journal, and a volume that is half of both."""
    import json

    from composer.engine import labels
    from composer.engine.moving import volumes

    shell(stack, "echo old >/data/a")
    taken = stack.snapshot("x", services=["db"])
    target = next(mount.name for mount in stack["db"].container().mounts if mount.target == "/data")
    shell(stack, "echo half >/data/a; echo half >/data/b")
    for service in ("db", "reader"):
        stack[service].stop(0)
    index = next(i for i, part in enumerate(_parts(stack, taken.id)) if part.source == target)
    journal = {
        labels.PROJECT: stack.name,
        labels.PLACING: json.dumps({"id": taken.id, "targets": [[index, target]]}),
        volumes.LABEL: f"{volumes.own().partition(':')[0]}:{2**22 - 1}:1",
    }
    stack.backend.create_volume(VolumeSpec("composer-snapshot-placing_test", journal, {}))
    for act in (stack["db"].start, stack.up):
        with pytest.raises((composer.errors.Conflict, composer.StackFailed), match="was interrupted"):
            act()
    stack.restore("x")
    stack["db"].start()
    assert shell(stack, "cat /data/a; ls /data | tr '\n' ' '") == "old\na log"


def _parts(stack: composer.Stack, id: str) -> tuple[SnapshotPart, ...]:
    from composer.engine.snapshots import keeping

    return next(one.parts for one in keeping.keeper_of(stack.backend).snapshots() if one.id == id)
