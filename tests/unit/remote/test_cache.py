"""Directories of the cache are there whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from composer.errors import ProjectError
from composer.session.remote.cache import Cache


def test_what_is_there_is_made_once(tmp_path: Path) -> None:
    cache, made = Cache(str(tmp_path), "git"), []

    def make(directory: str) -> None:
        made.append(directory)
        Path(directory, "compose.yaml").write_text("services: {}")

    first = cache.get("commit", make)
    assert cache.get("commit", make) == first == f"{tmp_path}/remote/git/commit"
    assert os.listdir(first) == ["compose.yaml"]
    assert len(made) == 1
    assert os.listdir(tmp_path / "remote/git") == ["commit"]
    assert os.stat(tmp_path / "remote/git").st_mode & 0o777 == 0o700


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), "git")

    def fail(directory: str) -> None:
        Path(directory, "half").write_text("")
        raise ProjectError("no")

    with pytest.raises(ProjectError, match="no"):
        cache.get("commit", fail)
    assert os.listdir(tmp_path / "remote/git") == []


def test_what_a_killed_command_left_is_removed_and_never_used(tmp_path: Path) -> None:
    left = tmp_path / "remote/git/.commit.part-abc"
    left.mkdir(parents=True)
    (left / "compose.yaml").write_text("half")
    (tmp_path / "remote/git/.other.part-def").mkdir()
    cache = Cache(str(tmp_path), "git")
    assert cache.find("commit") is None
    cache.get("commit", lambda directory: None)
    assert sorted(os.listdir(tmp_path / "remote/git")) == [".other.part-def", "commit"]


def test_several_at_once_make_it_once(tmp_path: Path) -> None:
    made, found = [], []
    begin = threading.Barrier(4)

    def make(directory: str) -> None:
        made.append(directory)
        Path(directory, "file").write_text("whole")

    def get() -> None:
        begin.wait()
        path = Cache(str(tmp_path), "git").get("commit", make)
        found.append(Path(path, "file").read_text())

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), found) == (1, ["whole"] * 4)


def test_where_nothing_can_be_kept_the_remedy_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match="cannot keep remote files") as failure:
        Cache(str(tmp_path / "file"), "git").get("commit", lambda directory: None)
    assert "XDG_CACHE_HOME" in str(failure.value.hint)
    with pytest.raises(ProjectError, match="neither HOME nor XDG_CACHE_HOME"):
        Cache(None, "git")
