"""Volumes with a file system of their own: mounted while somebody runs who has them, shared, and never left behind."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess

import pytest

from .conftest import COMMAND, Stack, wait_for

pytestmark = pytest.mark.root

SCRATCH = """
services:
  writer: {image: host, command: [sleep, inf], init: true, volumes: ["scratch:/scratch"]}
  reader: {image: host, command: [sleep, inf], init: true, volumes: ["scratch:/seen:ro"]}
volumes:
  scratch: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=7,mode=750"}}
"""


def mounted(stack: Stack) -> list[str]:
    text = pathlib.Path("/proc/self/mountinfo").read_text()
    return [line.split()[4] for line in text.splitlines() if f"{stack.state}/lib/volumes/" in line]


def test_a_tmpfs_is_shared_while_somebody_uses_it_and_gone_after(stack: Stack) -> None:
    stack.up(SCRATCH)
    assert (
        stack.shell("writer", "stat -c '%u %a' /scratch; stat -f -c '%T %b' /scratch") == "7 750\ntmpfs 256"
    )
    stack.shell("writer", "echo here > /scratch/file")
    assert stack.shell("reader", "cat /seen/file") == "here"
    assert len(mounted(stack)) == 1
    stack.run("restart", "writer")
    assert stack.shell("writer", "cat /scratch/file") == "here"  # the reader kept it
    stack.run("stop")
    assert mounted(stack) == []
    stack.run("start")
    assert stack.shell("writer", "ls -A /scratch") == ""
    stack.run("down", "-v")
    assert mounted(stack) == []


def test_a_volume_is_filled_by_a_new_container_only(stack: Stack) -> None:
    """Its owner and content stay what somebody made of them, in a restart and where the image has no such directory."""
    stack.up(
        "services: {a: {image: host, command: [sleep, inf], init: true, volumes: ['one:/not/there', 'two:/etc']}}\n"
        "volumes: {one: {}, two: {}}\n"
    )
    assert stack.shell("a", "test -e /etc/passwd && echo filled") == "filled"
    stack.shell("a", "chown 7 /not/there; rm -rf /etc/*; chown 8 /etc")
    stack.run("restart")
    assert stack.shell("a", "stat -c %u /not/there /etc; test ! -e /etc/passwd") == "7\n8"
    stack.run("up", "-d", "--force-recreate")
    assert stack.shell("a", "stat -c %u /not/there") == "7"


def test_what_a_killed_command_or_a_container_that_ended_left_mounted_goes(stack: Stack) -> None:
    stack.up(SCRATCH)
    for file in stack.state.glob("lib/containers/*/state.json"):
        os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)  # by no command of ours: that would look
    wait_for(lambda: stack.out("ps", "-q") == "", what="the end of both")
    assert len(mounted(stack)) == 1  # nobody was there to take it away
    stack.run("stop")
    assert mounted(stack) == []


def test_one_that_cannot_be_mounted_is_named(stack: Stack) -> None:
    stack.write(SCRATCH.replace("type: tmpfs", "type: nosuchfs"))
    failed = stack.run("up", "-d", check=False)
    assert failed.returncode == 1
    assert f"cannot mount volume '{stack.name}_scratch', tmpfs as nosuchfs" in failed.stderr
    assert "kernel does not support file system 'nosuchfs'" in failed.stderr
    stack.run("down", "-v")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("{o: bind, device: /tmp}", "'type' is required in driver_opts"),
        ("{type: tmpfs}", "'device' is required in driver_opts"),
        ("{size: 1g}", "quotas are not supported"),
        ("{type: tmpfs, device: tmpfs, colour: blue}", "unknown option 'colour' of driver local"),
    ],
)
def test_what_dockers_local_driver_refuses_is_refused(stack: Stack, options: str, reason: str) -> None:
    stack.write(
        "services: {a: {image: host, command: [sleep, inf], volumes: ['vol:/v']}}\n"
        f"volumes: {{vol: {{driver_opts: {options}}}}}\n"
    )
    failed = stack.run("up", "-d", check=False)
    assert failed.returncode == 1
    assert reason in failed.stderr


def test_a_disk_that_somebody_mounted_on_a_volume_stays(stack: Stack) -> None:
    """Such a volume has no file system of its own, as far as we know: its data would be gone for its container."""
    stack.up(
        "services: {a: {image: host, command: [sleep, inf], init: true, volumes: ['vol:/v']}}\n"
        "volumes: {vol: {}}\n"
    )
    stack.run("stop")
    data = stack.state / "lib/volumes" / f"{stack.name}_vol/_data"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "somebodys", str(data)], check=True)
    try:
        (data / "file").write_text("theirs")
        stack.run("start")
        assert stack.shell("a", "cat /v/file") == "theirs"
        stack.run("stop")
        assert data.is_mount()
    finally:
        subprocess.run(["umount", str(data)], check=True)


def test_a_volume_with_somebodys_disk_on_it_is_not_removed(stack: Stack) -> None:
    stack.up(
        "services: {a: {image: host, command: [sleep, inf], init: true, volumes: ['vol:/v']}}\nvolumes: {vol: {}}\n"
    )
    stack.run("down")
    data = stack.state / "lib/volumes" / f"{stack.name}_vol" / "_data"
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(data)], check=True)
    try:
        (data / "file").write_text("kept")
        failed = stack.run("volume", "rm", f"{stack.name}_vol", check=False)
        assert failed.returncode == 1
        assert "another file system is mounted on" in failed.stderr
        assert (data / "file").read_text() == "kept"
    finally:
        subprocess.run(["umount", str(data)], check=True)
    stack.run("volume", "rm", f"{stack.name}_vol")


def test_the_name_of_a_server_is_looked_up_for_a_copy_too(stack: Stack) -> None:
    """What the kernel then says depends on the machine; that it was asked does not."""
    stack.write(
        "services: {a: {image: host, command: [sleep, inf], network_mode: none, volumes: ['vol:/v']}}\n"
        "volumes: {vol: {driver_opts: {type: nfs, o: 'addr=localhost,nolock,soft', device: ':/none'}}}\n"
    )
    stack.run("create")
    failed = stack.run("cp", "a:/v", "-", check=False)
    assert "cannot mount volume" in failed.stderr


def test_a_directory_can_be_bound_read_only(stack: Stack, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown/file").write_text("text")
    stack.up(
        "services: {a: {image: host, command: [sleep, inf], init: true, volumes: ['vol:/v']}}\n"
        f"volumes: {{vol: {{driver_opts: {{type: none, o: 'bind,ro', device: {tmp_path}/shown}}}}}}\n"
    )
    assert stack.shell("a", "cat /v/file") == "text"
    assert "ead-only" in stack.run("exec", "-T", "a", "touch", "/v/new", check=False).stderr


def test_files_are_copied_in_and_out_of_one_that_is_not_mounted(stack: Stack, tmp_path: pathlib.Path) -> None:
    """They are in the file system that the container would see, and never in the directory below it."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        stack.up(
            "services: {a: {image: host, command: [sleep, inf], init: true, volumes: ['vol:/v']}}\n"
            f"volumes: {{vol: {{driver_opts: {{type: ext4, device: {loop}}}}}}}\n"
        )
        stack.shell("a", "echo inside > /v/file")
        stack.run("stop")
        assert mounted(stack) == []
        assert stack.out("cp", "a:/v/file", "-")
        (tmp_path / "more").write_text("from outside")
        stack.run("cp", str(tmp_path / "more"), "a:/v/more")
        below = stack.state / "lib/volumes" / f"{stack.name}_vol" / "_data"
        assert os.listdir(below) == []
        stack.run("start")
        assert stack.shell("a", "cat /v/file /v/more") == "inside\nfrom outside"
        stack.run("down", "-v")
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_a_command_in_another_mount_namespace_does_not_lose_what_is_written(stack: Stack) -> None:
    """What it mounts is not there for the supervisor: said, in place of a start with the directory below."""
    stack.up(SCRATCH, "reader")
    stack.run("stop")
    assert mounted(stack) == []
    stack.up(
        SCRATCH.replace("writer:", "idle: {image: host, command: [sleep, inf], init: true}\n  writer:"),
        "idle",
    )
    apart = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "slave",
            COMMAND,
            "--backend",
            "namespace",
            "up",
            "-d",
            "writer",
        ],
        cwd=stack.directory,
        env=stack.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert apart.returncode == 1
    assert "is not mounted in the mount namespace of this project's supervisor" in apart.stderr
    stack.run("up", "-d")
    assert stack.shell("writer", "stat -f -c %T /scratch") == "tmpfs"


def test_both_of_our_processes_killed_it_stays_until_the_containers_end(stack: Stack) -> None:
    stack.up(SCRATCH)
    stack.shell("writer", "echo here > /scratch/file")
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    os.kill(keeper, signal.SIGSTOP)
    for victim in (supervisor, keeper):
        os.kill(victim, signal.SIGKILL)
    stack.run("up", "-d")
    assert stack.shell("reader", "cat /seen/file") == "here"
