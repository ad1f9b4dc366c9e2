"""What has changed in a tree of files: found by looking, whatever the notices said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from composer.watching.sources import Tree


class Looked:
    """A tree, and what changed, by names relative to it; with ``!`` where another kind was there."""

    def __init__(self, root: Path, passes_over: str = "?") -> None:
        self.root = root
        self.tree = Tree(str(root), lambda path: passes_over in path.split("/"))
        self.tree.look()

    def _names(self, found: dict[str, bool]) -> list[str]:
        return sorted(os.path.relpath(path, self.root) + "!" * replaced for path, replaced in found.items())

    def all(self) -> list[str]:
        return self._names(self.tree.look())

    def at(self, *names: str) -> list[str]:
        return self._names(self.tree.look_at(str(self.root / name) for name in names))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = Path(os.path.realpath(tmp_path)) / "root"
    (root / "d/e").mkdir(parents=True)
    (root / "a").write_text("a")
    (root / "d/b").write_text("b")
    (root / "d/e/c").write_text("c")
    return root


def test_nothing_has_changed(root: Path) -> None:
    assert Looked(root).all() == []


def test_a_file_that_was_told_has_changed_and_is_not_looked_at_closer(root: Path) -> None:
    looked = Looked(root)
    assert looked.at("a", "d/b") == ["a", "d/b"]
    assert looked.at("d", "d/e", ".") == []


def test_writing_replacing_and_modes_are_changes(root: Path) -> None:
    looked = Looked(root)
    (root / "a").write_text("longer")
    (root / "n").write_text("b")
    (root / "n").rename(root / "d/b")
    (root / "d/e/c").chmod(0o755)
    (root / "d/e").chmod(0o700)
    assert looked.all() == ["a", "d/b", "d/e", "d/e/c"]
    assert looked.all() == []


def test_a_directory_that_comes_is_told_whole(root: Path) -> None:
    looked = Looked(root)
    (root / "n/m").mkdir(parents=True)
    (root / "n/m/x").write_text("x")
    assert looked.at("n") == ["n", "n/m", "n/m/x"]


def test_a_directory_that_goes_is_told_whole(root: Path) -> None:
    looked = Looked(root)
    (root / "d").rename(root / "z")
    assert looked.at("d", "z") == ["d", "d/b", "d/e", "d/e/c", "z", "z/b", "z/e", "z/e/c"]


def test_a_directory_under_the_name_of_another_is_compared_with_it(root: Path) -> None:
    looked = Looked(root)
    other = root.parent / "other"
    (other / "e").mkdir(parents=True)
    (other / "b").write_text("b")
    shutil.rmtree(root / "d")
    other.rename(root / "d")
    assert looked.at("d") == ["d/b", "d/e/c"]


def test_what_came_and_went_is_no_change(root: Path) -> None:
    looked = Looked(root)
    assert looked.at("temporary", "no/such/thing") == []


def test_a_file_for_a_directory_and_back(root: Path) -> None:
    looked = Looked(root)
    shutil.rmtree(root / "d")
    (root / "d").write_text("a file")
    assert looked.at("d") == ["d!", "d/b", "d/e", "d/e/c"]
    (root / "d").unlink()
    (root / "d").mkdir()
    (root / "d/n").write_text("n")
    assert looked.at("d") == ["d!", "d/n"]


def test_the_watched_directory_itself_is_never_gone(root: Path) -> None:
    looked = Looked(root)
    root.rename(root.parent / "away")
    assert looked.at(".") == ["a", "d", "d/b", "d/e", "d/e/c"]
    (root.parent / "away").rename(root)
    assert looked.all() == ["a", "d", "d/b", "d/e", "d/e/c"]


def test_a_file_as_the_watched_path(root: Path) -> None:
    looked = Looked(root / "a")
    assert looked.all() == []
    (root / "n").write_text("n")
    (root / "n").rename(root / "a")
    assert looked.all() == ["."]
    assert looked.at(".") == ["."]
    (root / "a").unlink()
    assert looked.all() == ["."]
    assert looked.all() == []


def test_what_is_passed_over_is_not_entered(root: Path) -> None:
    looked = Looked(root, passes_over="node_modules")
    (root / "d/node_modules/x").mkdir(parents=True)
    (root / "d/node_modules/x/y").write_text("y")
    assert looked.at("d/node_modules/x/y", "d/node_modules") == []
    assert looked.all() == ["d/node_modules"]


def test_links_within_are_files_and_links_out_are_followed(root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "s").mkdir(parents=True)
    (outside / "s/f").write_text("1")
    (outside / "g").write_text("1")
    (root / "inner").symlink_to("d")
    (root / "out").symlink_to(outside)
    (root / "file").symlink_to(outside / "g")
    (root / "nowhere").symlink_to("/no/such/thing")
    looked = Looked(root)
    assert sorted(os.path.relpath(path, root) for path in looked.tree.files()) == [
        "a", "d/b", "d/e/c", "file", "inner", "nowhere", "out/g", "out/s/f",
    ]  # fmt: skip
    (outside / "s/f").write_text("22")
    (outside / "g").write_text("22")
    assert looked.all() == ["file", "out/g", "out/s/f"]
    # the kernel tells of an inode by one of its names
    (root / "second").symlink_to(outside)
    assert looked.at("second") == ["second", "second/g", "second/s", "second/s/f"]
    assert looked.at("second/g") == ["out/g", "second/g"]
    assert looked.at("inner/b") == ["d/b"]
    (root / "out").unlink()
    assert looked.at("out") == ["out", "out/g", "out/s", "out/s/f"]


def test_links_into_the_kernels_file_systems_are_not_followed(root: Path) -> None:
    """Some cannot even be read: the program of a kernel thread has none."""
    (root / "exe").symlink_to("/proc/2/exe")
    (root / "proc").symlink_to("/proc")
    (root / "sys").symlink_to("/sys/kernel")
    looked = Looked(root)
    assert sorted(os.path.relpath(path, root) for path in looked.tree.files()) == [
        "a", "d/b", "d/e/c", "exe", "proc", "sys",
    ]  # fmt: skip


def test_links_that_lead_in_circles_end(root: Path) -> None:
    one, two = root.parent / "one", root.parent / "two"
    one.mkdir()
    two.mkdir()
    (one / "to_two").symlink_to(two)
    (two / "to_one").symlink_to(one)
    (one / "home").symlink_to(root)
    (root / "one").symlink_to(one)
    (root / "up").symlink_to("..")
    (root / "self").symlink_to(".")
    looked = Looked(root)
    assert sorted(os.path.relpath(path, root) for path in looked.tree.files()) == [
        "a", "d/b", "d/e/c", "one/home", "one/to_two/to_one", "self", "up",
    ]  # fmt: skip


def test_names_that_are_no_text(root: Path) -> None:
    looked = Looked(root)
    name = os.fsencode(root) + b"/\xff"
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    assert looked.all() == ["\udcff"]
