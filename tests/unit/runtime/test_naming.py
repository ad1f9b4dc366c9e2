"""Containers are found by ids and names, and by nothing that leads elsewhere."""

from __future__ import annotations

import os
import pathlib

import pytest

from composer.errors import NotFound
from composer.runtime.base.state import Paths
from composer.runtime.objects import naming

ID = "ab" * 32


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> Paths:
    made = Paths(str(tmp_path / "lib"), str(tmp_path / "run"))
    os.makedirs(made.container(ID))
    naming.take_name(made, "web", ID)
    return made


@pytest.mark.parametrize("text", ["web", ID, "abab", "a"])
def test_it_is_found(paths: Paths, text: str) -> None:
    assert naming.find_container(paths, text) == ID


def test_what_leads_elsewhere_is_not_found(paths: Paths, tmp_path: pathlib.Path) -> None:
    (tmp_path / "lib" / "secret").mkdir()
    outside = "../" * 2 + "lib/" + "./" * 20 + "secret"
    outside += "/" * (64 - len(outside))
    os.makedirs(f"{paths.containers()}/.new")
    assert len(outside) == 64 and os.path.isdir(paths.container(outside))
    for text in (
        outside,
        "..",
        ".",
        "",
        "/",
        "web/",
        "a\0b",
        "\ud800",
        ".new",
        ".",
        "x" * 5000,
        "../names/web",
    ):
        with pytest.raises(NotFound):
            naming.find_container(paths, text)


def test_a_rename_that_was_killed_leaves_no_name(paths: Paths) -> None:
    naming.begin_renaming(paths, ID, "web", "new")
    naming.take_name(paths, "new", ID)  # killed here
    naming.begin_renaming(paths, ID, "web", "other")
    assert sorted(os.listdir(paths.names())) == ["web"]
    naming.take_name(paths, "other", ID)  # and here
    naming.remove_container(paths, ID)
    assert "other" not in os.listdir(paths.names())


def test_a_rename_that_was_refused_frees_nothing_of_others(paths: Paths) -> None:
    other = "cd" * 32
    os.makedirs(paths.container(other))
    naming.take_name(paths, "db", other)
    naming.begin_renaming(paths, ID, "web", "db")
    assert naming.take_name(paths, "db", ID) == other
    naming.settle_renaming(paths, ID, "web")
    assert naming.find_container(paths, "web") == ID and naming.find_container(paths, "db") == other
