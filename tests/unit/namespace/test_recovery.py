"""What a killed command left half done, where no container shows it, goes with the next command that changes."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from composer.backends.namespace.backend import NamespaceBackend
from composer.runtime.base import making, state, trees
from composer.runtime.base.files import append_event
from composer.runtime.base.state import Paths
from composer.runtime.objects import housekeeping, specs
from composer.runtime.objects.volumes import Volumes

ID = "c" * 64


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> Paths:
    return Paths(str(tmp_path / "lib"), str(tmp_path / "run"))


def _half_made(paths: Paths, pid: int, part: str = "containers") -> pathlib.Path:
    directory = pathlib.Path(paths.root, part, f".c0ffee.{pid}.tmp")
    (directory / "upper").mkdir(parents=True)
    (directory / "upper" / "file").write_text("of nobody")
    return directory


def _dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.parametrize("part", ["containers", "networks", "volumes"])
def test_a_directory_of_a_dead_process_goes(paths: Paths, part: str) -> None:
    left = _half_made(paths, _dead_pid(), part)
    backend = NamespaceBackend(paths)
    backend.recover("shop")
    backend.close()
    assert not left.exists()


def test_a_directory_of_a_living_process_stays(paths: Paths) -> None:
    left = _half_made(paths, os.getpid())
    backend = NamespaceBackend(paths)
    backend.recover("shop")
    backend.close()
    assert left.exists()


def test_a_directory_that_a_process_of_another_pid_namespace_makes_stays(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is nobody's here; it holds the directory all the same."""
    dead = _dead_pid()
    monkeypatch.setattr(os, "getpid", lambda: dead)
    os.makedirs(paths.volumes())
    with making.making(f"{paths.volumes()}/data") as temporary:
        making.sweep(paths)
        assert os.path.isdir(temporary)
    assert os.listdir(paths.volumes()) == ["data"]


def test_what_is_half_made_or_half_removed_has_no_name(paths: Paths) -> None:
    volumes = Volumes(paths)
    volumes.create(specs.Volume("data"))
    data = pathlib.Path(volumes.data("data"), "file")
    data.write_text("old")
    with pytest.raises(KeyboardInterrupt), making.making(f"{paths.volumes()}/other"):
        raise KeyboardInterrupt
    os.rename(
        f"{paths.volumes()}/data", f"{paths.volumes()}/.c0ffee.{_dead_pid()}.tmp"
    )  # killed after this step
    assert list(volumes.all()) == []
    volumes.create(specs.Volume("data"))
    assert not data.exists(), "a new volume has nothing of an old one"


def test_a_umask_does_not_close_a_volume_to_its_users(paths: Paths) -> None:
    before = os.umask(0o077)
    try:
        Volumes(paths).create(specs.Volume("data"))
    finally:
        os.umask(before)
    assert os.stat(Volumes(paths).data("data")).st_mode & 0o777 == 0o755


def test_the_run_state_of_a_project_without_containers_goes(paths: Paths) -> None:
    for project in ("shop", "other"):
        pathlib.Path(paths.project(project)).mkdir(parents=True)
        append_event(paths.project(project), "container", "destroy", ID, {})
    backend = NamespaceBackend(paths)
    backend.recover("shop")
    backend.close()
    assert os.listdir(f"{paths.run}/projects") == ["other"]


def test_what_removes_itself_may_go_while_a_command_looks_at_it(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = {"id": ID, "name": "job", "project": "shop", "auto_remove": True, "health": False}
    backend = NamespaceBackend(paths)
    monkeypatch.setattr(backend._core, "metas", lambda: iter([meta]))
    backend.recover("shop")
    backend.close()


@pytest.mark.parametrize(
    ("found", "ago_s", "stays"),
    [
        ({}, 0, False),
        ({"kept": True}, 0, True),
        ({"kept": True}, 3600, False),  # whoever was to start it again was killed
    ],
)
def test_what_removes_itself_stays_while_it_is_restarted(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, found: dict[str, object], ago_s: int, stays: bool
) -> None:
    meta = {"id": ID, "name": "job", "project": "shop", "auto_remove": True, "health": False}
    removed: list[str] = []
    backend = NamespaceBackend(paths)
    containers = backend._engine.containers
    monkeypatch.setattr(backend._core, "metas", lambda: iter([meta]))
    state = {**found, "finished_ns": time.time_ns() - ago_s * 10**9}
    look = SimpleNamespace(status="exited", state=state)
    monkeypatch.setattr(backend._core, "look", lambda meta, watched: look)
    monkeypatch.setattr(containers, "remove", lambda id, **how: removed.append(id))
    containers.remove_ended("shop")
    backend.close()
    assert removed == ([] if stays else [ID])


def test_a_command_that_only_looks_takes_nothing_away(paths: Paths) -> None:
    left = _half_made(paths, _dead_pid())
    backend = NamespaceBackend(paths)
    backend.observe("shop")
    backend.close()
    assert left.exists()


def test_a_volume_that_is_one_file_is_measured(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert housekeeping.tree_size(str(tmp_path / "file")) == 5


def test_a_tree_of_any_depth_is_measured_and_removed(tmp_path: pathlib.Path) -> None:
    """A container may make directories in each other until its removal fails, and with it every later command."""
    (tmp_path / "tree").mkdir()
    top = os.open(tmp_path / "tree", os.O_RDONLY)
    fd = os.dup(top)
    for _ in range(1500):
        os.mkdir("a", dir_fd=fd)
        below = os.open("a", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    os.close(top)
    (tmp_path / "tree/file").write_bytes(b"12345")
    try:
        assert housekeeping.tree_size(str(tmp_path / "tree")) == 5
        trees.remove_tree(str(tmp_path / "tree"))
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "tree")], check=True)  # pytest cannot


def test_what_is_not_ours_in_the_state_directory_is_left_alone(tmp_path: pathlib.Path) -> None:
    paths = state.Paths(f"{tmp_path}/lib", f"{tmp_path}/run")
    for name in (".stray", ".nfs0001", ".a.b.c"):
        os.makedirs(f"{paths.volumes()}/{name}")
    making.sweep(paths)
    assert len(os.listdir(paths.volumes())) == 3


def test_a_volume_of_a_container_that_is_just_being_made_is_not_pruned(paths: Paths) -> None:
    maker, pruner, volumes = NamespaceBackend(paths), NamespaceBackend(paths), Volumes(paths)
    with maker._core.store.using():
        name = volumes.create_anonymous({})
        pruning = threading.Thread(target=lambda: pruner.prune_volumes([]))
        pruning.start()
        pruning.join(0.2)
        assert volumes.find(name) is not None
        container = pathlib.Path(paths.container(ID))
        container.mkdir(parents=True)
        (container / "meta.json").write_text(
            json.dumps({"name": "web", "project": "shop", "mounts": [{"name": name}], "networks": []})
        )
    pruning.join(10)
    assert volumes.find(name) is not None
