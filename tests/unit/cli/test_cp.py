"""``composer cp``: which containers, which end is which, standard input and output."""

from __future__ import annotations

import fcntl
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest

from composer.cli.commands.cp import End, split
from tests.unit.cli.console import Console

REPLICAS = "services: {web: {image: nginx, scale: 3}, db: {image: postgres}}"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("web:/tmp/x", End("web", "/tmp/x")),
        ("web:x", End("web", "x")),
        ("/tmp/a:b", End("", "/tmp/a:b")),
        ("./a:b", End("", "./a:b")),
        ("../a:b", End("", "../a:b")),
        ("plain", End("", "plain")),
        ("-", End("", "-")),
    ],
)
def test_a_service_is_told_from_a_path(text: str, end: End) -> None:
    assert split(text) == end


@pytest.fixture
def web(console: Console) -> Console:
    console.write(REPLICAS)
    assert console("up", "-d").code == 0
    (console.directory / "file").write_text("contents")
    return console


def _has(console: Console, container: str, path: str) -> bool:
    return path in console.backend._find(container).files


def test_every_replica_gets_it(web: Console) -> None:
    result = web("cp", "file", "web:/tmp/")
    assert (result.code, result.out) == (0, "")
    assert result.err.count("Copied") == 3
    assert all(_has(web, f"app-web-{n}", "/tmp/file") for n in (1, 2, 3))
    assert not _has(web, "app-db-1", "/tmp/file")


def test_the_index_chooses_one(web: Console) -> None:
    assert web("cp", "--index", "2", "file", "web:/tmp/").code == 0
    assert [_has(web, f"app-web-{n}", "/tmp/file") for n in (1, 2, 3)] == [False, True, False]
    assert 'service "web" is not running container #7' in web("cp", "--index", "7", "file", "web:/tmp/").err
    web("cp", "--index", "2", "web:/tmp/file", "back")
    assert (web.directory / "back").read_text() == "contents"
    assert web("cp", "web:/tmp/file", "first").code == 1


def test_containers_of_run_only_when_asked(web: Console) -> None:
    web("run", "-d", "--name", "once", "web", "sleep")
    web("cp", "file", "web:/tmp/")
    assert not _has(web, "once", "/tmp/file")
    web("cp", "--all", "file", "web:/tmp/")
    assert _has(web, "once", "/tmp/file")


def test_paths_are_from_the_directory_of_the_command(web: Console) -> None:
    (web.directory / "sub").mkdir()
    web("cp", "./file", "db:/tmp/a")
    web("cp", "db:/tmp/a", "sub/")
    web("cp", "db:/tmp/a", "./sub/b")
    assert sorted(os.listdir(web.directory / "sub")) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("web:/a", "db:/b"), "copying between services is not supported"),
        (("a", "b"), "source or destination must be SERVICE:PATH"),
        (("none:/a", "b"), 'no container found for service "none"'),
        (("web:/none", "b"), "no such file or directory in the container: /none"),
        (("nothing", "web:/tmp"), "no such file or directory"),
    ],
)
def test_what_is_refused(web: Console, arguments: tuple[str, str], said: str) -> None:
    result = web("cp", *arguments)
    assert result.code == 1
    assert said in result.err


def test_nothing_is_copied_in_a_dry_run(web: Console) -> None:
    assert web("--dry-run", "cp", "file", "web:/tmp").out.count("copy file to app-web-") == 3
    assert not _has(web, "app-web-1", "/tmp/file")


class Bytes(io.StringIO):
    """A text stream with bytes below it, as the process's own are."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__()
        self.buffer = io.BytesIO(data)  # type: ignore[misc]


def test_archives_on_standard_input_and_output(web: Console, tmp_path: Path) -> None:
    from composer.cli.main import run

    def play(*arguments: str, data: bytes = b"") -> tuple[int, bytes, str]:
        out, err = Bytes(), io.StringIO()
        code = run(
            arguments,
            web.environment,
            stdin=Bytes(data),
            stdout=out,
            stderr=err,
            working_dir=str(web.directory),
            connect=web.connect,
        )
        return code, out.buffer.getvalue(), err.getvalue()  # type: ignore[attr-defined]

    web("cp", "file", "web:/tmp/")
    code, data, err = play("cp", "web:/tmp/file", "-")
    copy = "app-web-1:/tmp/file to -"
    assert (code, err) == (0, f" app-web-1 Copying {copy}\n app-web-1 Copied {copy}\n")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["file"]
    assert play("cp", "-", "web:/srv", data=data)[0] == 0
    assert all(_has(web, f"app-web-{n}", "/srv/file") for n in (1, 2, 3))
    assert "must be an existing directory" in play("cp", "-", "web:/srv/file", data=data)[2]


def test_a_container_that_does_not_run_is_not_started_meanwhile(web: Console, tmp_path: Path) -> None:
    root = tmp_path / "state"
    (root / "locks").mkdir(parents=True)
    web("stop", "db", COMPOSER_ROOT=str(root))
    held = os.open(root / "locks" / "app", os.O_RDWR | os.O_CREAT)
    os.write(held, b"composer up (pid 1)")
    fcntl.flock(held, fcntl.LOCK_EX)
    assert web("cp", "file", "web:/tmp/", COMPOSER_ROOT=str(root)).code == 0, "it runs: nobody waits"
    results = []
    copying = threading.Thread(
        target=lambda: results.append(web("cp", "file", "db:/tmp/", COMPOSER_ROOT=str(root)))
    )
    copying.start()
    copying.join(0.3)
    assert copying.is_alive() and not _has(web, "app-db-1", "/tmp/file")
    os.close(held)
    copying.join(10)
    assert "waiting for it to finish" in results[0].err and _has(web, "app-db-1", "/tmp/file")
