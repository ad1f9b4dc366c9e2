"""Volumes as archives and copies: ``volume export``, ``import`` and ``clone``, on both backends."""

from __future__ import annotations

import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.archives import archive, directory, file, symlink
from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  db: {image: IMAGE, command: [sleep, "600"], volumes: [data:/d], stop_signal: SIGKILL}
  other: {image: IMAGE, command: [sleep, "600"], volumes: [new:/d], stop_signal: SIGKILL, profiles: [other]}
volumes: {data: {labels: {kept: "yes"}}, new: {name: NAME_new, external: true}}
"""
FILL = (
    "cd /d && mkdir -p a/b && echo text > a/f && ln a/f a/g && ln -s /nowhere a/l && mkfifo a/p && chown 5:6 a/f"
    " && chmod 4751 a/f && dd if=/dev/urandom of=big bs=1M count=3 2>/dev/null && chown 70:71 /d && chmod 2700 /d"
)
SUM = (
    'cd /d && find . | sort | while read -r p; do stat -c \'%n %F %a %u %g %h %Y\' "$p"; readlink "$p"; done;'
    " find . -type f | sort | xargs md5sum; true"
)


@pytest.fixture
def stack(empty: Stack) -> Iterator[Stack]:
    empty.write(PROJECT)
    empty.run("up", "-d")
    empty.run("exec", "-T", "db", "sh", "-c", FILL)
    yield empty
    empty.run("--profile", "*", "down", "-t", "0")
    for name in (f"{empty.name}_new", f"{empty.name}_data"):
        empty.run("volume", "rm", "-f", name)


def contents(stack: Stack, service: str) -> str:
    if service == "other":
        stack.run("up", "-d", "other")
    return stack.run("exec", "-T", service, "sh", "-c", SUM).stdout


def test_an_archive_brings_everything_back(stack: Stack, tmp_path: pathlib.Path) -> None:
    before = contents(stack, "db")
    data, new, path = f"{stack.name}_data", f"{stack.name}_new", str(tmp_path / "volume.tar")
    refused = stack.run("volume", "export", "-o", path, data, code=1)
    assert f"volume '{data}' is used by running containers: {stack.name}-db-1" in refused.stderr
    assert "--live" in refused.stderr
    stack.run("volume", "export", "--live", "-o", path, data)
    stack.run("stop", "db")
    with subprocess.Popen(**stack.command("volume", "export", data), stdout=subprocess.PIPE) as source:
        command = {**stack.command("volume", "import", new, "-"), "stdin": source.stdout}
        subprocess.run(**command, check=True, stdout=subprocess.DEVNULL, timeout=90)
    assert source.returncode == 0
    assert contents(stack, "other") == before
    refused = stack.run("volume", "import", new, path, code=1)
    assert "is used by running containers" in refused.stderr
    stack.run("exec", "-T", "other", "sh", "-c", "echo changed > /d/a/f; rm /d/big; echo stays > /d/more")
    stack.run("stop", "other")
    stack.run("volume", "import", new, path)
    assert contents(stack, "other").splitlines() != before.splitlines()
    assert stack.run("exec", "-T", "other", "cat", "/d/a/f", "/d/more").stdout == "text\nstays\n"


def test_a_clone_has_the_same_files(stack: Stack) -> None:
    before = contents(stack, "db")
    data, new = f"{stack.name}_data", f"{stack.name}_new"
    assert "is used by running containers" in stack.run("volume", "clone", data, new, code=1).stderr
    stack.run("stop", "db")
    assert stack.run("volume", "clone", data, new).stdout.strip() == new
    assert "kept" not in stack.run("volume", "inspect", new).stdout
    assert contents(stack, "other") == before
    assert "exists already" in stack.run("volume", "clone", data, new, code=1).stderr
    assert "no such volume: nothing" in stack.run("volume", "clone", "nothing", "more", code=1).stderr


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no archive", "as a tar archive"),
        (archive(), "it is empty"),
        (archive(file("volume", b"x")), "its entry 'volume' is not in the directory 'volume'"),
        (archive(directory("volume"), file("etc/passwd", b"x")), "its entry 'etc/passwd'"),
        (archive(directory("volume"), file("volume/../etc/x", b"x")), "its entry 'volume/../etc/x'"),
        (archive(directory("volume"), file("/volume/x", b"x")), "its entry '/volume/x'"),
    ],
    ids=["noise", "empty", "file", "elsewhere", "above", "absolute"],
)
def test_what_is_no_archive_of_a_volume_is_refused_whole(
    stack: Stack, tmp_path: pathlib.Path, data: bytes, reason: str
) -> None:
    path, new = tmp_path / "x.tar", f"{stack.name}_new"
    path.write_bytes(data)
    refused = stack.run("volume", "import", new, str(path), code=1)
    assert reason in refused.stderr
    assert "hint: make one with composer volume export" in refused.stderr
    assert stack.run("volume", "ls", "-q").stdout.split().count(new) == 0


def test_a_link_of_an_archive_leads_nowhere(stack: Stack, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = tmp_path / "x.tar"
    path.write_bytes(
        archive(directory("volume"), symlink("volume/l", str(outside)), file("volume/l/x", b"escaped"))
    )
    refused = stack.run("volume", "import", f"{stack.name}_new", str(path), code=1)
    assert "its entry 'volume/l/x' is not in the directory 'volume'" in refused.stderr
    assert list(outside.iterdir()) == []


WHOLE = archive(directory("volume"), *(file(f"volume/{n}", bytes(1 << 10)) for n in range(6)))


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[: 512 + 3 * 1536 + 700],
        WHOLE[: 512 + 3 * 1536 + 200],
        WHOLE[: 512 + 3 * 1536],
        WHOLE[: 512 + 3 * 1536] + b"!" + WHOLE[512 + 3 * 1536 + 1 :],
    ],
    ids=["in a file", "in a header", "between files", "a damaged header"],
)
def test_a_cut_or_damaged_archive_is_refused(stack: Stack, tmp_path: pathlib.Path, data: bytes) -> None:
    path, new = tmp_path / "x.tar", f"{stack.name}_new"
    path.write_bytes(data)
    refused = stack.run("volume", "import", new, str(path), code=1)
    assert "as a tar archive: " in refused.stderr
    assert new not in stack.run("volume", "ls", "-q").stdout.split()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_import_that_is_ended_leaves_no_half_of_a_volume(
    stack: Stack, tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    path, new = tmp_path / "x.tar", f"{stack.name}_new"
    names = [file(f"volume/{n}", b"x") for n in range(50_000)]
    path.write_bytes(archive(directory("volume"), *names))
    with subprocess.Popen(**stack.command("volume", "import", new, str(path))) as process:
        wait_for(lambda: new in stack.run("volume", "ls", "-q").stdout.split(), what="the volume")
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
    assert new not in stack.run("volume", "ls", "-q").stdout.split()
