"""`image: host`: what of this machine's programs a container can see, and what not even its root can read."""

from __future__ import annotations

import os
import pathlib
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.namespace.conftest import COMMAND, Stack
from tests.integration.namespace.test_escapes import IDLE

pytestmark = pytest.mark.root

PLACE = pathlib.Path("/usr/local/share")


class Closed:
    """Files and a directory below /usr that others cannot read, and one that they can."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.write("open", 0o644)
        for name, mode in (("key", 0o600), ("group", 0o640), ("unreadable", 0o711)):
            self.write(name, mode)
        (directory / "room").mkdir(0o700)
        self.write("room/inside", 0o644)

    def write(self, name: str, mode: int) -> None:
        path = self.directory / name
        path.write_text(f"content of {name}")
        path.chmod(mode)

    def remove(self) -> None:
        for path in sorted(self.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.directory.rmdir()


@pytest.fixture
def closed() -> Iterator[Closed]:
    directory = PLACE / f"composer-test-{secrets.token_hex(4)}"
    directory.mkdir()
    made = Closed(directory)
    yield made
    made.remove()


def readable(stack: Stack, service: str, *paths: pathlib.Path) -> list[str]:
    """Return which of these a process in the container reads something of."""
    found = []
    for path in paths:
        command = ["ls", "-A", str(path)] if path.is_dir() else ["cat", str(path)]
        if stack.run("exec", "-T", service, *command, check=False).stdout:
            found.append(path.name)
    return found


@pytest.mark.parametrize(
    "options", ["", "    privileged: true\n", "    cap_add: [ALL]\n", "    read_only: true\n"]
)
def test_what_others_cannot_read_the_containers_root_cannot_either(
    stack: Stack, closed: Closed, options: str
) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n{options}")
    here = closed.directory
    private = [here / name for name in ("key", "group", "unreadable", "room", "room/inside")]
    assert readable(stack, "a", *private, here / "open") == ["open"]
    closed.write("later", 0o600)
    closed.write("later-open", 0o644)
    assert readable(stack, "a", here / "later", here / "later-open") == ["later-open"]


def test_no_change_of_its_mode_or_name_opens_it(stack: Stack, closed: Closed) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    key = closed.directory / "key"
    for script in (
        f"chmod 644 {key}; cat {key}",
        f"mv {key} /tmp/key; cat /tmp/key",
        f"ln {key} /tmp/linked; cat /tmp/linked",
        f"chown 0:0 {key}; dd if={key}",
        f"cp -a {closed.directory} /tmp/copy; cat /tmp/copy/key",
        f"chmod 755 {closed.directory}/room; cat {closed.directory}/room/inside",
        f"mv {closed.directory}/room /tmp/room; cat /tmp/room/inside",
        "umount /usr; umount -l /usr; cat " + str(key),
    ):
        done = stack.run("exec", "-T", "a", "sh", "-c", script, check=False)
        assert "content of" not in done.stdout, script
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() == "content of key"


def test_its_programs_are_its_own_to_change(stack: Stack, closed: Closed) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    here = closed.directory
    script = (
        f"echo changed > {here}/open; echo new > /usr/local/bin/new; rm {here}/key; mkdir /usr/share/made;"
        f"cat {here}/open /usr/local/bin/new; ls {here}; stat -c %u:%g:%a /usr/bin /usr/local/bin/new"
    )
    shown = stack.shell("a", script).split("\n")
    assert shown[:2] == ["changed", "new"]
    assert "key" not in shown and shown[-2:] == ["0:0:755", "0:0:644"]
    assert (here / "open").read_text() == "content of open"
    assert (here / "key").exists()
    assert not pathlib.Path("/usr/local/bin/new").exists()


def test_other_ways_to_its_files_are_closed_too(stack: Stack, closed: Closed, tmp_path: pathlib.Path) -> None:
    """A volume that is filled from them; `cp`, from one that runs and from one that does not."""
    here = closed.directory
    stack.up(f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:{here}']\nvolumes: {{vol: }}\n")
    (data,) = stack.state.glob("lib/volumes/*/_data")
    assert sorted(path.name for path in data.iterdir()) == ["open", "room"]
    assert list((data / "room").iterdir()) == []
    stack.run("down", "-v", "-t", "0")
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    for _ in range(2):
        for name in ("key", "room/inside"):
            done = stack.run("cp", f"a:{here}/{name}", str(tmp_path / "copy"), check=False)
            assert done.returncode != 0 and not (tmp_path / "copy").exists()
        stack.run("cp", f"a:{here}/open", str(tmp_path / "open"))
        stack.run("stop", "-t", "0")


def test_on_an_overlay_of_its_own_the_programs_are_read_only_and_as_closed(
    stack: Stack, closed: Closed, tmp_path: pathlib.Path
) -> None:
    """As in a container that composer runs in: the kernel puts no third overlay on two."""
    (tmp_path / "empty").mkdir()
    stack.write(f"services:\n  a:\n    {IDLE}\n")
    here = closed.directory
    script = (
        f"mount -t overlay overlay -o lowerdir=/usr:{tmp_path}/empty /usr || exit 77\n"
        f"{COMMAND} --backend namespace up -d || exit 1\n"
        f"{COMMAND} exec -T a cat {here}/open\n"
        f"{COMMAND} exec -T a cat {here}/key\n"
        f"{COMMAND} exec -T a sh -c 'echo x > /usr/new' && echo WRITTEN\n"
        f"cat {stack.state}/lib/containers/*/state.json\n"
        f"{COMMAND} down -t 0\n"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=stack.directory,
        env={**stack.environment(), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this machine's /usr cannot be put on an overlay")
    assert done.stdout.startswith("content of open"), done.stderr
    assert "content of key" not in done.stdout and "WRITTEN" not in done.stdout
    assert "/usr is mounted read-only" in done.stdout, "nothing says so"
