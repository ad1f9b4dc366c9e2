"""What has become of a container's files, and other limits for a container that runs: the same on every backend."""

from __future__ import annotations

import pathlib
import secrets
import shutil
import tarfile
import time
from collections.abc import Iterator

import pytest

from composer.backends.memory import MemoryBackend
from composer.engine.inspected import Change
from composer.engine.observed import ContainerState
from composer.errors import BackendError, NotFound
from tests.integration.contract.conftest import Place, eventually

IMAGE = f"composer-changing-{secrets.token_hex(4)}"
DIRECTORIES = (
    "bin",
    "etc",
    "tmp",
    "keep",
    "gone",
    "gone/inner",
    "again",
    "again/inner",
    "mode",
    "turned",
    "srv",
)
FILES = (
    "keep/one",
    "keep/two",
    "gone/inner/a",
    "again/old",
    "again/same",
    "again/inner/b",
    "turned/x",
    "plain",
    "time",
)


def archive(directory: pathlib.Path) -> str:
    """Return a root file system with something of each kind that a container can do something to."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static for a small image")
    path = directory / "changing.tar"
    with tarfile.open(path, "w") as made:
        for name in DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
            made.addfile(entry)
        made.add(busybox, "bin/busybox")
        for applet in ("cat", "chmod", "ln", "mkdir", "rm", "rmdir", "sh", "sleep", "touch"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            made.addfile(entry)
        for name in FILES:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = 0o644, 1_700_000_000
            made.addfile(entry)
    return str(path)


@pytest.fixture
def stored(place: Place, tmp_path: pathlib.Path) -> Iterator[Place]:
    if not isinstance(place.backend, MemoryBackend):
        place.backend.import_image(archive(tmp_path), IMAGE, {"Env": ["PATH=/bin"]})
        place.image = IMAGE
    yield place
    if place.is_real:
        place.clean()
        place.backend.remove_image(IMAGE)


def shell(place: Place, script: str) -> str:
    """Return the id of a container that has run a script."""
    id = place.create(shell=script)
    place.backend.start_container(id)
    assert place.backend.wait_container(id) == 0
    return id


COMMANDS = """
set -e
cd /
echo more > keep/one
rm -r gone
rm -r again; mkdir again; echo > again/same; echo > again/new
chmod 700 mode
rm -r turned; echo > turned
rm plain; mkdir plain; echo > plain/in
mkdir -p fresh/deep; echo > fresh/deep/file
mkdir passing; rmdir passing
touch -d @1700000000 time
ln -s /keep/one link
mkdir srv/sub; rmdir srv/sub
echo 1 > /etc/added
"""
EXPECTED = [
    (0, "/again"),
    (2, "/again/inner"),
    (1, "/again/new"),
    (2, "/again/old"),
    (0, "/again/same"),
    (0, "/etc"),
    (1, "/etc/added"),
    (1, "/fresh"),
    (1, "/fresh/deep"),
    (1, "/fresh/deep/file"),
    (2, "/gone"),
    (0, "/keep"),
    (0, "/keep/one"),
    (1, "/link"),
    (0, "/mode"),
    (0, "/plain"),
    (1, "/plain/in"),
    (0, "/turned"),
]


@pytest.mark.real
def test_what_a_container_did_to_its_files_is_told_as_docker_tells_it(stored: Place) -> None:
    id = shell(stored, COMMANDS)
    assert stored.backend.changes(id) == [Change(*one) for one in EXPECTED]


@pytest.mark.real
def test_changes_of_a_container_that_runs(stored: Place) -> None:
    id = stored.start(shell="echo > /keep/one; echo > /tmp/ready; sleep 600")
    eventually(lambda: Change(1, "/tmp/ready") in stored.backend.changes(id), what="the change")
    assert stored.backend.changes(id) == [
        Change(0, "/keep"),
        Change(0, "/keep/one"),
        Change(0, "/tmp"),
        Change(1, "/tmp/ready"),
    ]


def test_a_container_that_did_nothing_has_no_changes(stored: Place) -> None:
    id = stored.create()
    assert list(stored.backend.changes(id)) == []
    with pytest.raises(NotFound):
        stored.backend.changes("no-such-container")


# ------------------------------------------------------------------ limits


def limit_files(place: Place, id: str, *names: str) -> str:
    """Return the first of the files of a running container's cgroup that is there, whichever version it is of."""
    top = pathlib.Path("/sys/fs/cgroup")
    for found in (*top.glob(f"*/*/{id}"), *top.glob(f"*/{id}")):
        for name in names:
            if (found / name).is_file():
                return (found / name).read_text().strip()
    pytest.skip("this machine has no such limit")


def test_limits_of_a_container_that_runs(place: Place) -> None:
    id = place.start(mem_limit="64m", pids_limit=100)
    assert (
        list(place.backend.update_container(id, {"mem_limit": "96m", "pids_limit": 50, "cpu_shares": 512}))
        == []
    )
    if not place.is_real:
        assert place.backend.calls[-1][0] == "update_container"  # type: ignore[attr-defined]
        return
    assert limit_files(place, id, "memory.limit_in_bytes", "memory.max") == str(96 << 20)
    assert limit_files(place, id, "pids.max") == "50"
    assert limit_files(place, id, "cpu.shares", "cpu.weight") in ("512", "59", "20")
    place.backend.stop_container(id, timeout_s=0)
    place.backend.start_container(id)
    assert limit_files(place, id, "memory.limit_in_bytes", "memory.max") == str(96 << 20), "it stays"


@pytest.mark.real
def test_more_memory_than_memory_and_swap_were_is_refused_and_changes_nothing(place: Place) -> None:
    id = place.start(mem_limit="64m", memswap_limit="64m")
    with pytest.raises(BackendError, match=r"(?i)memory"):
        place.backend.update_container(id, {"mem_limit": "96m"})
    assert limit_files(place, id, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    place.backend.update_container(id, {"mem_limit": "96m", "memswap_limit": "96m"})
    assert limit_files(place, id, "memory.limit_in_bytes", "memory.max") == str(96 << 20)
    place.backend.update_container(id, {"mem_limit": "32m", "memswap_limit": "32m"})
    assert limit_files(place, id, "memory.limit_in_bytes", "memory.max") == str(32 << 20)


@pytest.mark.real
def test_a_cpuset_of_a_container_that_had_none(place: Place) -> None:
    id = place.start()
    place.backend.update_container(id, {"cpuset": "0"})
    session_says = place.output(id, "cat", "/proc/1/status")
    assert "Cpus_allowed_list:\t0\n" in session_says
    with pytest.raises(BackendError):
        place.backend.update_container(id, {"cpuset": "4095"})
    assert place.backend.container(id).state is ContainerState.RUNNING
    place.backend.stop_container(id, timeout_s=0)
    place.backend.start_container(id)
    assert "Cpus_allowed_list:\t0\n" in place.output(id, "cat", "/proc/1/status")


def test_another_restart_policy_counts_from_the_next_end_on(place: Place) -> None:
    id = place.start(shell="sleep 0.2; exit 3")
    place.backend.update_container(id, {"restart": "always"})
    if isinstance(place.backend, MemoryBackend):
        place.backend.end(place.backend.container(id).name, 3)
    eventually(lambda: place.backend.container(id).restarts > 0, what="a restart")
    place.backend.update_container(id, {"restart": "no"})
    if isinstance(place.backend, MemoryBackend):
        place.backend.end(place.backend.container(id).name, 3)
    eventually(lambda: place.backend.container(id).state is ContainerState.EXITED, what="its end")
    restarts = place.backend.container(id).restarts
    time.sleep(0.3)
    assert place.backend.container(id).restarts == restarts
    assert place.backend.settings(id).restart in ("", "no")
