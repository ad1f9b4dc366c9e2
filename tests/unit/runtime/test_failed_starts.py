"""A start that comes to nothing leaves no process, no descriptor and no check of its health, wherever it failed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from composer.runtime.base import files, loop, records, syscalls
from composer.runtime.base.record_types import Config
from composer.runtime.container import birth, cgroups, seccomp
from composer.runtime.container.cgroups import Cgroup
from composer.runtime.network.endpoints import Networks
from composer.runtime.network.names import NameServer
from composer.runtime.tasks import launching
from composer.runtime.tasks.cgroup_removal import CgroupRemoval
from composer.runtime.tasks.keeping import KeeperLink
from composer.runtime.tasks.launching import Born
from composer.runtime.tasks.neighbours import Neighbours
from composer.runtime.tasks.reaping import Reaper
from composer.runtime.tasks.services import Services
from composer.runtime.tasks.starters import Starter
from composer.runtime.tasks.task import Task
from tests.no_effects import NoCgroup, NoNetworks, Nothing

ID = "a" * 64


class Keeper(Nothing):
    """Fails to hold a key that ends like this."""

    refuses = "nothing"

    def hold(self, descriptors: Mapping[str, int], pid: int = 0) -> None:
        if any(key.endswith(self.refuses) for key in descriptors):
            raise OSError(28, "no room")


class Stage:
    """A task without any effect outside of its directory; its first process is a child that only waits."""

    def __init__(self, directory: Path) -> None:
        bundle = directory / "containers" / ID
        bundle.mkdir(parents=True)
        own: dict[str, Any] = {
            "id": ID,
            "name": "one",
            "names": ["one"],
            "project": "p",
            "event": {},
            "stop": {"signal": 15, "timeout_s": 10},
            "network": {"endpoints": [], "ports": []},
        }
        process = {"args": ["true"], "env": [], "cwd": "/", "terminal": False, "user": {"name": "0"}}
        linux = {"namespaces": [{"type": "pid"}, {"type": "network"}], "resources": {}}
        config = {"composer": own, "process": process, "linux": linux, "mounts": []} | {
            "hostname": "one",
            "root": {"path": "rootfs"},
        }
        records.write_config(str(bundle), cast(Config, config))
        self.errors: list[BaseException] = []
        self.loop = loop.Loop(self.errors.append)
        self.keeper = Keeper()
        self.children: list[int] = []
        self.sockets: list[socket.socket] = []
        self.is_shared = False
        self.answers: list[dict[str, Any]] = []
        services = Services(
            root=str(directory),
            boot=files.boot_id(),
            loop=self.loop,
            keeper=cast(KeeperLink, self.keeper),
            reaper=Reaper(str(directory / "exits"), files.boot_id()),
            networks=cast(Networks, NoNetworks()),
            names=cast(NameServer, Nothing()),
            hierarchies=cgroups.detect(),
            cgroup_removal=CgroupRemoval(self.loop, lambda: None),
            filters=seccomp.FilterCache(str(directory / "cache")),
            emit=lambda kind, action, id, attributes: None,
            on_error=self.errors.append,
        )
        others = Neighbours(
            find=lambda id: self.task,
            forget=lambda id: None,
            on_ended=lambda: None,
            on_changed=lambda id: None,
        )
        found = records.config(str(bundle))
        assert found is not None
        self.task = Task(services, others, ID, str(bundle), found)
        self.task.process.cgroup = cast(Cgroup, NoCgroup())

    def child(self) -> tuple[int, int]:
        """Return the number and a descriptor of a process that only waits."""
        pid, pidfd = syscalls.clone(0)
        if pid == 0:
            signal.pause()
        self.children.append(pid)
        return pid, pidfd

    def clone(self, services: Services, record: Any, cgroup: Any, stdin: int) -> Born:
        """Stand for `launching.clone`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid, pidfd = self.child()
        self.sockets.append(theirs)  # it does not end by itself when the conversation is over
        return Born(pid, pidfd, ours, birth.Note() if self.is_shared else None)

    def start(self) -> None:
        self.task.start(Starter(lambda answer, descriptors: self.answers.append(answer)))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(tmp_path)
    monkeypatch.setattr(launching, "clone", made.clone)
    yield made
    for theirs in made.sockets:
        theirs.close()
    for pid in made.children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # as it should be
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    made.loop.close()


def unwatched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel have no room for another watch, of whatever descriptor of the new process."""

    def watch(fd: int, call: Callable[[int], None], events: int = 1) -> None:
        raise OSError(28, "no room")

    monkeypatch.setattr(stage.loop, "watch", watch)


def unheld(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.keeper.refuses = "/pidfd"


def unadvised(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel refuse to keep the note from later children."""

    def refuse(note: birth.Note) -> None:
        raise OSError(12, "no memory")

    stage.is_shared = True
    monkeypatch.setattr(birth.Note, "keep_from_children", refuse)


@pytest.mark.parametrize("fault", [unwatched, unheld, unadvised])
@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_process_that_was_born_is_ended_and_reaped(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Stage, pytest.MonkeyPatch], None],
    is_prepared: bool,
) -> None:
    fault(stage, monkeypatch)
    if is_prepared:
        stage.task.prepare(object())
    else:
        stage.start()
        assert [answer["kind"] for answer in stage.answers] == ["StartFailed"]
    (pid,) = stage.children
    assert not os.path.exists(f"/proc/{pid}")
    assert (stage.task.process.pid, stage.task.process.pidfd) == (0, -1)
    state = records.state(stage.task.record.bundle)
    assert state is not None
    assert state["status"] == "created" and "prepared" not in state


def test_a_successor_that_cannot_be_had_in_hand_is_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process in another's pid namespace that nobody knows would keep that container from its end."""
    first, child = stage.task.process, stage.child()
    first.take(*stage.child())
    os.kill(first.pid, signal.SIGKILL)
    first.reap(wait=True)

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(24, "too many open files")

    os.close(child[1])
    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="too many"):
        first.succeed(child[0])
    assert not os.path.exists(f"/proc/{child[0]}")
    assert (first.pid, first.pidfd) == (0, -1)


def test_a_check_whose_file_cannot_be_removed_is_over_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be done once keeps no later end from being recorded."""
    stage.task.record.extras["health"] = {"test": ["CMD", "true"]}
    stage.task.record.update(started_ns=1)
    stage.task.start_health(None)

    def refuse(path: str) -> None:
        raise OSError(30, "read-only")

    monkeypatch.setattr(files, "remove_file", refuse)
    with pytest.raises(OSError, match="read-only"):
        stage.task.fail("it failed", 125)
    stage.task.fail("it failed", 125)
    assert stage.task.record.state["error"] == "it failed"
