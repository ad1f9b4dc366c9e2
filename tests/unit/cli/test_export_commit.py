"""``composer export`` and ``commit``: options, output, and what is left when something fails."""

from __future__ import annotations

import os
import tarfile

from tests.unit.cli.console import Console


def test_an_archive_is_written(stack: Console) -> None:
    (stack.directory / "file").write_text("contents")
    stack("cp", "file", "web:/srv/")
    result = stack("export", "web", "-o", "web.tar")
    assert (result.code, result.out) == (0, "")
    with tarfile.open(stack.directory / "web.tar") as archive:
        assert any(name.endswith("srv/file") for name in archive.getnames())
    assert stack("export", "-o", "none/web.tar", "web").code == 1
    assert "refusing to write a tar archive to a terminal" in stack("export", "web", terminal=True).err
    assert stack("export", "web", "--index", "7", "-o", "x").code == 1
    assert not [name for name in os.listdir(stack.directory) if name.endswith(".part") or name == "x"]


def test_a_pipe_is_written_to_and_a_link_stays(stack: Console) -> None:
    """Under root, giving the archive the name of /dev/null would take that from the machine."""
    os.mkfifo(stack.directory / "pipe")
    (stack.directory / "link").symlink_to("web.tar")
    reader = os.open(stack.directory / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("pipe", "link"):
        assert stack("export", "web", "-o", name).code == 0
    assert os.read(reader, 1 << 16)
    os.close(reader)
    assert (stack.directory / "pipe").is_fifo() and (stack.directory / "link").is_symlink()
    assert tarfile.is_tarfile(stack.directory / "web.tar")
    assert stack("plan", "--destroy", "--out", "/dev/null").code == 0
    assert not os.path.isfile("/dev/null")


def test_a_commit_says_all_that_was_given(stack: Console) -> None:
    options = ("-a", "me", "-m", "why", "-c", "ENV A=1", "-c", 'CMD ["x"]', "--pause=false")
    result = stack("commit", *options, "web", "repo:tag")
    image = stack.backend.find_image("repo:tag")
    assert image is not None and result.out == f"{image.id}\n"
    ((name, spec),) = stack.backend.commits
    assert (name, spec.reference, spec.author, spec.message, spec.pause) == (
        *("app-web-1", "repo:tag", "me", "why", False),
    )
    assert spec.changes == {"Env": ["A=1"], "Cmd": ["x"]}


def test_it_stands_still_unless_told_otherwise(stack: Console) -> None:
    for arguments, pause in (
        ((), True),
        (("-p",), True),
        (("--pause=true",), True),
        (("-p=false",), False),
        (("--no-pause",), False),
    ):
        stack("commit", *arguments, "web")
        assert stack.backend.commits[-1][1].pause is pause
    assert stack("commit", "-c", "NONSENSE", "web").code == 1
    assert stack("commit", "none").code == 1
    count = len(stack.backend.commits)
    assert stack("--dry-run", "commit", "web", "r").out == "commit app-web-1 as r\n"
    assert len(stack.backend.commits) == count
