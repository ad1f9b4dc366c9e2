"""``composer cp`` beside ``docker compose cp``: the same files end up in the same places, or both refuse."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Sequence

import pytest

from tests.integration.docker.conftest import COMMAND, PEER, Stack
from tests.sampling import of_today

pytestmark = pytest.mark.docker

SERVICES = """
services:
  web: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL, user: "7:8"}
"""

PREPARE = (
    "rm -rf /srv/*; mkdir -p /srv/dir/sub; echo file > /srv/file; echo one > /srv/dir/one; ln -s dir /srv/door; "
    "ln -s file /srv/link; ln -s none /srv/broken; ln /srv/file /srv/dir/hard; chmod 4750 /srv/dir/one"
)
LISTING = (
    'cd /srv; find . | sort | while read f; do stat -c \'%n %F %a %u %g %s\' "$f"; readlink "$f"; done; '
    "cat $(find . -type f)"
)

INTO = [
    ("file", "/srv"),
    ("file", "/srv/"),
    ("file", "/srv/."),
    ("file", "/srv/new"),
    ("file", "/srv/file"),
    ("file", "/srv/file/"),
    ("file", "/srv/new/"),
    ("file", "/srv/none/new"),
    ("file", "/srv/door"),
    ("file", "/srv/door/"),
    ("file", "/srv/link"),
    ("file", "/srv/broken"),
    ("file", "srv/relative"),
    ("file", "/srv/dir/../up"),
    ("dir", "/srv"),
    ("dir", "/srv/new"),
    ("dir", "/srv/new/"),
    ("dir", "/srv/dir"),
    ("dir", "/srv/file"),
    ("dir", "/srv/door"),
    ("dir", "/srv/none/new"),
    ("dir/", "/srv/dir"),
    ("dir/.", "/srv/dir"),
    ("dir/.", "/srv/new"),
    ("dir/.", "/srv/file"),
    ("link", "/srv/new"),
    ("door", "/srv/new"),
    ("door/", "/srv/new"),
    ("door/.", "/srv"),
    ("none", "/srv"),
    ("file/", "/srv"),
    (".", "/srv/all"),
]

OUT = [
    ("/srv/file", "."),
    ("/srv/file", "new"),
    ("/srv/file", "new/"),
    ("/srv/file", "old"),
    ("/srv/file", "old/"),
    ("/srv/file", "none/new"),
    ("/srv/file", "there"),
    ("/srv/file", "door"),
    ("/srv/file", "broken"),
    ("/srv/file/", "new"),
    ("/srv/link", "new"),
    ("/srv/door", "new"),
    ("/srv/door/", "new"),
    ("/srv/door/.", "new"),
    ("/srv/broken", "new"),
    ("/srv/dir", "."),
    ("/srv/dir", "new"),
    ("/srv/dir", "new/"),
    ("/srv/dir", "there"),
    ("/srv/dir", "old"),
    ("/srv/dir/", "there"),
    ("/srv/dir/.", "there"),
    ("/srv/dir/.", "new"),
    ("srv/dir", "new"),
    ("/srv/none", "new"),
    ("/srv", "new"),
]


@pytest.fixture
def web(stack: Stack) -> Stack:
    stack.write(SERVICES)
    stack.ours("up", "-d")
    return stack


def _local(directory: pathlib.Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "dir" / "sub").mkdir(parents=True)
    (directory / "there").mkdir()
    for name in ("file", "old", "dir/one"):
        (directory / name).write_text(f"{name}\n")
    (directory / "dir/one").chmod(0o640)
    os.chown(directory / "file", 1234, 2345)
    for name, target in (("link", "file"), ("door", "dir"), ("broken", "lost"), ("dir/up", "../file")):
        os.symlink(target, directory / name)


def _tree(directory: pathlib.Path) -> list[str]:
    """Return everything below a directory. Set-id bits are left out: ours do not come out of a container."""
    found = []
    for path in sorted(directory.rglob("*")):
        state = path.lstat()
        text = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        mode = state.st_mode & ~0o6000
        found.append(f"{path.relative_to(directory)} {mode:o} {state.st_uid} {state.st_gid} {text}")
    return found


EVERY = int(os.environ.get("COMPOSER_ORACLE_EVERY", "4"))
"""Of how many cases one is tried, others each day."""


def _with_links(cases: list[tuple[str, str]]) -> list[tuple[str, str]]:
    words = ("link", "door", "broken")
    return [case for case in cases if any(word in part for part in case for word in words)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "cases"),
    [((), of_today(INTO, EVERY)), (("-a",), [*INTO[:5], ("dir", "/srv/new")]), (("-L",), _with_links(INTO))],
    ids=["plain", "archive", "follow"],
)
def test_into_a_container(web: Stack, option: tuple[str, ...], cases: Sequence[tuple[str, str]]) -> None:
    differences = []
    local = web.directory / "local"
    for source, target in cases:
        seen = []
        for command in (PEER, COMMAND):
            _local(local)
            web.engine("exec", "-u", "0", f"{web.name}-web-1", "sh", "-c", PREPARE)
            done = web.run(command, "cp", *option, f"./local/{source}", f"web:{target}", check=False)
            inside = web.engine("exec", "-u", "0", f"{web.name}-web-1", "sh", "-c", LISTING)
            seen.append((done.returncode, inside))
        if seen[0] != seen[1]:
            differences.append((source, target, *seen))
    assert not differences


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "cases"), [((), of_today(OUT, EVERY)), (("-L",), _with_links(OUT))], ids=["plain", "follow"]
)
def test_out_of_a_container(web: Stack, option: tuple[str, ...], cases: Sequence[tuple[str, str]]) -> None:
    differences = []
    local = web.directory / "local"
    web.engine("exec", "-u", "0", f"{web.name}-web-1", "sh", "-c", PREPARE)
    for source, target in cases:
        seen = []
        for command in (PEER, COMMAND):
            _local(local)
            done = web.run(command, "cp", *option, f"web:{source}", f"./local/{target}", check=False)
            seen.append((done.returncode, _tree(local)))
        if seen[0] != seen[1]:
            differences.append((source, target, *seen))
    assert not differences
