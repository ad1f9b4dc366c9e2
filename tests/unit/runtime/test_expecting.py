"""Getting ready for starts: where this process is in a version 1 hierarchy, and when a supervisor is started."""

from __future__ import annotations

import pathlib
from typing import cast

import pytest

from composer.backends.memory import MemoryBackend
from composer.cli.context import Context
from composer.engine.observed import Capability
from composer.errors import Unavailable
from composer.runtime.objects import expecting

HYBRID = """\
31 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:28 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:30 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
"""
UNIFIED = "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("mounts", "cgroups", "expected"),
    [
        (HYBRID, "12:cpu,cpuacct:/\n9:pids:/docker/abc\n0::/\n", "/sys/fs/cgroup/cpu,cpuacct"),
        (HYBRID, "12:cpu,cpuacct:/user/1\n0::/\n", "/sys/fs/cgroup/cpu,cpuacct/user/1"),
        (HYBRID, "9:pids:/docker/abc/inner\n0::/\n", "/sys/fs/cgroup/pids/inner"),
        (HYBRID, "9:pids:/elsewhere\n0::/\n", ""),
        (HYBRID, "9:pids:/docker/abcdef\n0::/\n", ""),
        (HYBRID, "9:pids:/docker/abc\n0::/\n", "/sys/fs/cgroup/pids"),
        (UNIFIED, "0::/user.slice\n", ""),
        ("", "", ""),
    ],
)
def test_where_this_process_is(tmp_path: pathlib.Path, mounts: str, cgroups: str, expected: str) -> None:
    (tmp_path / "mountinfo").write_text(mounts)
    (tmp_path / "cgroup").write_text(cgroups)
    assert expecting.own_cgroup(str(tmp_path)) == expected


class _Client:
    def __init__(self) -> None:
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expecting, "_keep_moves_fast", lambda: None)


@pytest.mark.usefixtures("quiet")
def test_a_new_project_gets_its_supervisor_ahead(tmp_path: pathlib.Path) -> None:
    client = _Client()
    expecting.expect_starts(str(tmp_path), "app", lambda: client)  # type: ignore[arg-type, return-value]
    (tmp_path / "supervision" / "app").mkdir(parents=True)  # of a command that was killed in this moment
    expecting.expect_starts(str(tmp_path), "app", lambda: client)  # type: ignore[arg-type, return-value]
    assert client.begun == 2


@pytest.mark.usefixtures("quiet")
def test_one_that_has_containers_is_left_alone(tmp_path: pathlib.Path) -> None:
    """Its supervisor would go on with them, start what a reboot has stopped, while the command still looks."""
    (tmp_path / "supervision" / "app").mkdir(parents=True)
    (tmp_path / "supervision" / "app" / "keeper").touch()
    expecting.expect_starts(str(tmp_path), "app", lambda: pytest.fail("it was asked for"))
    expecting.expect_starts(str(tmp_path), "other", None)


def test_what_a_thread_does_needs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt may leave the lock of imports to the main thread: a thread that imports would wait for ever."""
    moved: list[bool] = []
    monkeypatch.setattr(expecting, "own_cgroup", lambda: moved.append(True) or "")

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("it imports")

    monkeypatch.setattr("builtins.__import__", refuse)
    expecting._keep_moves_fast()
    assert moved


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), OSError(24, "no descriptors"), Unavailable("no")]
)
def test_what_cannot_be_got_ready_is_no_failure_of_the_command(error: Exception) -> None:
    class Backend(MemoryBackend):
        capabilities = MemoryBackend.capabilities | {Capability.PREPARES_STARTS}
        asked = 0

        def expect_starts(self, project: str, *, creates: bool) -> None:
            self.asked += 1
            raise error

    backend = Backend()
    Context.expect_starts(cast("Context", None), backend, "app", creates=True)
    assert backend.asked == 1
