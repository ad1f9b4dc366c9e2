"""Copying into and out of a container that exchanges directories for links meanwhile (CVE-2018-15664)."""

from __future__ import annotations

import os
import pathlib
import stat
import tarfile
import time

import pytest

from composer.backends import namespace
from composer.backends.namespace.backend import NamespaceBackend
from composer.engine.running import copying
from composer.errors import ComposerError
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

SWAPPER = """
    services:
      web:
        image: host
        stop_signal: SIGKILL
        command:
          - sh
          - -c
          - |
            mkdir -p /srv/real /srv/door; echo inside > /srv/real/victim
            rmdir /srv/door; cp -r /srv/real /srv/door; ln -s TARGET /srv/link
            echo ready
            while true; do
              mv /srv/door /srv/aside; mv /srv/link /srv/door
              mv /srv/door /srv/link; mv /srv/aside /srv/door
            done
"""


def _swapping(stack: Stack, target: pathlib.Path) -> NamespaceBackend:
    """Start a container that exchanges /srv/door between a directory and a link, to a path of the host, for ever."""
    stack.up(SWAPPER.replace("TARGET", str(target)))
    wait_for(lambda: "ready" in stack.out("logs", "web"), what="the swapper")
    backend = namespace.connect({"COMPOSER_ROOT": str(stack.state)})
    assert isinstance(backend, NamespaceBackend)
    return backend


def _repeat(copy: object, enough: int = 40, limit_s: float = 25) -> tuple[int, int]:
    """Copy until it went well and was refused often enough; return how often. Anything else fails."""
    good = refused = 0
    deadline_s = time.monotonic() + limit_s
    while min(good, refused) < enough and time.monotonic() < deadline_s:
        try:
            copy()  # type: ignore[operator]
            good += 1
        except ComposerError:
            refused += 1
    return good, refused


@pytest.fixture
def host(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of the host that the container knows the name of, and must not reach."""
    made = tmp_path / "host"
    made.mkdir()
    (made / "victim").write_text("the host's own")
    return made


def test_nothing_of_the_host_is_written(stack: Stack, host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    backend = _swapping(stack, host)
    try:
        (tmp_path / "new").write_text("copied in")
        id = f"{stack.name}-web-1"
        good, refused = _repeat(lambda: copying.copy_in(backend, id, f"{tmp_path}/new", "/srv/door/victim"))
        good_too, _ = _repeat(lambda: copying.copy_in(backend, id, f"{tmp_path}/new", "/srv/door/"))
    finally:
        backend.close()
    assert sorted(os.listdir(host)) == ["victim"]
    assert (host / "victim").read_text() == "the host's own"
    assert good and good_too and refused, "the race was not met: both ways must have happened"


def test_nothing_of_the_host_is_read(stack: Stack, host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    backend = _swapping(stack, host)
    out = tmp_path / "out"
    out.mkdir()
    seen = set()

    def read() -> None:
        copying.copy_out(backend, f"{stack.name}-web-1", "/srv/door/victim", f"{out}/victim")
        seen.add((out / "victim").read_text())

    try:
        good, refused = _repeat(read)
    finally:
        backend.close()
    assert seen == {"inside\n"}
    assert good and refused, "the race was not met: both ways must have happened"


def test_a_tree_that_changes_is_read_without_leaving_it(
    stack: Stack, host: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    backend = _swapping(stack, host)
    try:
        for count in range(40):
            with open(tmp_path / f"{count}.tar", "wb") as file:
                copying.stream_out(backend, f"{stack.name}-web-1", "/srv", file.write)
            with tarfile.open(tmp_path / f"{count}.tar") as archive:
                for info in archive:
                    member = archive.extractfile(info) if info.isreg() else None
                    assert member is None or member.read() == b"inside\n"
    finally:
        backend.close()


HOSTILE = """
    services:
      web:
        image: host
        stop_signal: SIGKILL
        command:
          - sh
          - -c
          - |
            cd /srv; ln -s /proc/1/root/.. up; ln -s ../../../../../.. out; mkfifo fifo; mknod null c 1 3
            cp /bin/sh rooted; chmod 6777 rooted; mkdir tree; ln rooted tree/hard; mknod -m 666 tree/disk b 8 0
            ln -s /srv/circle circle; echo ready; exec sleep 600
"""


def test_links_pipes_and_devices_do_no_harm(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.up(HOSTILE)
    wait_for(lambda: "ready" in stack.out("logs", "web"), what="the links")
    (tmp_path / "new").write_text("copied in")
    name = os.urandom(6).hex()
    stack.run("cp", f"{tmp_path}/new", f"web:/srv/out/tmp/{name}")
    assert stack.shell("web", f"cat /tmp/{name}") == "copied in"
    assert not os.path.exists(f"/tmp/{name}")
    assert stack.run("cp", f"{tmp_path}/new", f"web:/srv/up/tmp/{name}", check=False).returncode == 1
    assert stack.run("cp", f"{tmp_path}/new", "web:/srv/fifo", check=False).returncode == 1
    assert stack.run("cp", "-L", "web:/srv/circle", str(tmp_path), check=False).returncode == 1
    stack.run("cp", "web:/srv/tree", str(tmp_path))
    disk = (tmp_path / "tree" / "disk").lstat()
    assert (stat.S_ISBLK(disk.st_mode), stat.S_IMODE(disk.st_mode)) == (True, 0o600)
    shell = (tmp_path / "tree" / "hard").stat()
    assert stat.S_IMODE(shell.st_mode) == 0o777, "a program of the container's became set-uid root here"
    (tmp_path / "tree" / "disk").unlink()


def test_a_stopped_container_leaves_no_mount_behind(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.up("services: {web: {image: host, command: [sleep, '600'], stop_signal: SIGKILL}}")
    stack.run("kill")
    (tmp_path / "new").write_text("copied in")
    stack.run("cp", f"{tmp_path}/new", "web:/srv/new")
    stack.run("cp", "web:/srv/new", f"{tmp_path}/back")
    assert (tmp_path / "back").read_text() == "copied in"
    stack.run("start")
    assert stack.inside("web", "cat", "/srv/new") == "copied in"
