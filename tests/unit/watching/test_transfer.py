"""Files into one container: one archive, removals before it, and nothing that a change meanwhile would break."""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from composer.backends.memory import Behaviour
from composer.engine.wanted import ExecSpec
from composer.errors import CopyFailed
from composer.watching import transfer as transferring
from composer.watching.transfer import transfer
from composer.watching.work import Entry
from tests.unit.engine.stage import Stage

WEB = "services: {web: {image: web, user: '7:8'}}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = Path(os.path.realpath(tmp_path)) / "root"
    root.mkdir()
    return root


@pytest.fixture
def removed(stage: Stage) -> Iterator[list[ExecSpec]]:
    """A service that runs; the commands that were executed in it."""
    specs: list[ExecSpec] = []

    def execute(spec: ExecSpec) -> tuple[int, bytes]:
        specs.append(spec)
        return 0, b""

    stage.backend.behave("web", Behaviour(exec=execute))
    stage.up(WEB)
    yield specs


def container(stage: Stage) -> str:
    [found] = stage.backend.observe("app").containers
    return found.id


def entries(root: Path, *names: str, replaces: bool = False) -> dict[str, Entry]:
    return {f"/app/{name}": Entry(str(root / name), str(root), replaces) for name in names}


def inside(stage: Stage) -> dict[str, bytes]:
    files = stage.backend.by_id[container(stage)].files
    return {path: data for path, (info, data) in files.items() if not info.isdir()}


def test_five_thousand_files_are_one_archive(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    names = [str(number) for number in range(5000)]
    for name in names:
        (root / name).write_text(name)
    done = transfer(stage.backend, container(stage), entries(root, *names))
    assert len(done.paths) == 5000
    assert [call for call in stage.backend.calls if call[0] == "write_path"] == [("write_path", "app-web-1")]
    assert inside(stage) == {f"/app/{name}": name.encode() for name in names}
    assert removed == []


def test_modes_stay_and_the_owner_is_the_containers_user(
    stage: Stage, root: Path, removed: list[ExecSpec]
) -> None:
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o750)
    (root / "d").mkdir(mode=0o700)
    (root / "link").symlink_to("run")
    transfer(stage.backend, container(stage), entries(root, "run", "d", "link"))
    files = stage.backend.by_id[container(stage)].files
    assert {path: oct(info.mode) for path, (info, _) in files.items() if path.startswith("/app/")} == {
        "/app/run": "0o750",
        "/app/d": "0o700",
        "/app/link": "0o777",
    }
    assert files["/app/link"][0].linkname == "run"
    assert (files["/app/run"][0].uid, files["/app/run"][0].gid) == (7, 8)


def test_a_watched_file_that_is_gone_takes_no_directory_along(
    stage: Stage, root: Path, removed: list[ExecSpec]
) -> None:
    file = str(root / "gone")
    transfer(stage.backend, container(stage), {"/app": Entry(file, file)})
    assert [list(spec.command) for spec in removed] == [["rm", "-f", "--", "/app"]]


def test_what_is_mounted_is_not_removed(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    found = entries(root, "gone", "data", "data/old", "above", "above/deep")
    found["/"] = Entry(str(root / "nothing"), str(root))
    mounts = ("/app/data", "/app/above/deep/volume")
    done = transfer(stage.backend, container(stage), found, mounts=mounts)
    assert [list(spec.command) for spec in removed] == [["rm", "-rf", "--", "/app/data/old", "/app/gone"]]
    assert [warning.partition("'")[2].partition("'")[0] for warning in done.warnings] == [
        "/",
        "/app/above",
        "/app/above/deep",
        "/app/data",
    ]
    assert done.paths == frozenset(found)


def test_what_is_gone_here_is_removed_there_first(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    (root / "was_directory").write_text("a file now")
    found = {
        **entries(root, "gone", "d", "d/below", "-rf", "d.txt"),
        **entries(root, "was_directory", replaces=True),
    }
    transfer(stage.backend, container(stage), found)
    [spec] = removed
    assert list(spec.command) == [
        "rm",
        "-rf",
        "--",
        "/app/-rf",
        "/app/d",
        "/app/d.txt",
        "/app/gone",
        "/app/was_directory",
    ]
    assert spec.user == "0"
    order = [method for method, _ in stage.backend.calls if method in ("exec", "write_path")]
    assert order == ["exec", "write_path"]


def test_many_removals_fit_into_commands(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    names = [f"{'long' * 20}{number}" for number in range(2000)]
    transfer(stage.backend, container(stage), entries(root, *names))
    assert len(removed) > 1
    assert max(len("".join(spec.command)) for spec in removed) < 1 << 17
    assert sum(len(spec.command) - 3 for spec in removed) == 2000


def test_who_does_not_run_gets_files_and_keeps_what_is_to_go(
    stage: Stage, root: Path, removed: list[ExecSpec]
) -> None:
    (root / "a").write_text("a")
    done = transfer(stage.backend, container(stage), entries(root, "a", "gone"), running=False)
    assert done.paths == {"/app/a"}
    assert removed == []
    assert inside(stage) == {"/app/a": b"a"}


def test_a_container_without_rm_says_so(stage: Stage, root: Path) -> None:
    stage.backend.behave("web", Behaviour(exec=lambda spec: (127, b"rm: not found\n")))
    stage.up(WEB)
    with pytest.raises(CopyFailed, match="cannot remove '/app/gone': rm exited with code 127: rm: not found"):
        transfer(stage.backend, container(stage), entries(root, "gone"))


def test_links_that_lead_out_are_what_they_lead_to(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    (root.parent / "outside").write_text("outside")
    (root / "out").symlink_to(root.parent / "outside")
    (root / "broken").symlink_to("/no/such/thing")
    transfer(stage.backend, container(stage), entries(root, "out", "broken"))
    files = stage.backend.by_id[container(stage)].files
    assert files["/app/out"][1] == b"outside"
    assert files["/app/broken"][0].issym()


def test_pipes_and_devices_are_left_alone(stage: Stage, root: Path, removed: list[ExecSpec]) -> None:
    os.mkfifo(root / "pipe")
    done = transfer(stage.backend, container(stage), entries(root, "pipe"))
    assert done.paths == {"/app/pipe"}
    assert not removed and not inside(stage)


def test_a_file_that_shrinks_or_goes_while_it_is_read_breaks_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent stays a whole archive; the change that follows sends the file again."""
    monkeypatch.setattr(transferring, "_WHOLE_BYTES", 10)
    monkeypatch.setattr(transferring, "_PIECE_BYTES", 512)
    for name in ("a", "b", "c"):
        (root / name).write_bytes(b"x" * 4096)
    items = [transferring._look(f"/{name}", Entry(str(root / name), str(root))) for name in ("a", "b", "c")]
    pieces = transferring._archive([item for item in items if item], "/", [])
    begun = next(pieces) + next(pieces)
    os.truncate(root / "a", 1024)
    (root / "b").unlink()
    data = begun + b"".join(pieces)
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        assert [(info.name, info.size) for info in archive] == [("a", 4096), ("c", 4096)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError(errno.ESTALE, "Stale file handle"), "stale file handle"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links"), "too many levels of symbolic links"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), ""),  # its removal is the next change
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    stage: Stage,
    root: Path,
    removed: list[ExecSpec],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    said: str,
) -> None:
    """Root may read everything: it is the system that says no here."""
    opened = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).endswith("secret"):
            raise error
        return opened(path, flags, mode, dir_fd=dir_fd)

    (root / "secret").write_text("s")
    (root / "a").write_text("a")
    monkeypatch.setattr(os, "open", refuse)
    done = transfer(stage.backend, container(stage), entries(root, "secret", "a"))
    assert done.warnings == ((f"cannot read '{root}/secret': {said}",) if said else ())
    assert inside(stage) == {"/app/a": b"a"}
