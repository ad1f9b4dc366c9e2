"""The report of a failed session."""

from __future__ import annotations

import pathlib
import re

import composer
from composer.testing.report import Failure, Phase, Picture, critical_path, page, write

EVIL = "<script>alert('x')</script>\"&"


def picture() -> Picture:
    return Picture(
        EVIL,
        EVIL,
        (Phase("Container", "p-db-1", "creating", 0.5), Phase("Container", "p-db-1", EVIL, 1.0)),
        (("db", 1.0), ("web", 2.0)),
        ((EVIL, EVIL),),
        ((1_700_000_000.25, EVIL, EVIL, EVIL),),
    )


def test_nothing_of_a_stack_is_markup() -> None:
    text = page([Failure(EVIL, EVIL)], [picture()])
    assert "<script>alert" not in text and text.count("<script>") == 1
    assert "1 test failed" in text and "22:13:20.250" in text and "db (1.00 s) → web (2.00 s)" in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = page([], [picture()])
    assert not re.search(r"(src|href)\s*=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_bars_are_where_things_happened() -> None:
    assert 'class="bar" style="left:50.00%;width:50.00%"' in page([], [picture()])
    assert "was not started by this run" in page([], [picture()._replace(phases=())])


def test_the_critical_path_is_what_the_last_one_waited_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text("""
services:
  web: {image: x, depends_on: [api, cache]}
  api: {image: x, depends_on: [db]}
  cache: {image: x}
  db: {image: x}
""")
    project = composer.load(tmp_path / "compose.yaml")
    ready = {"db": 1.0, "api": 3.0, "cache": 2.0, "web": 4.0}
    assert critical_path(project, ready) == [("db", 1.0), ("api", 3.0), ("web", 4.0)]
    assert critical_path(project, {}) == []


def test_each_worker_has_a_file(tmp_path: pathlib.Path) -> None:
    paths = [write(str(tmp_path / "new"), worker, [], []) for worker in ("", "gw1")]
    assert [pathlib.Path(path).name for path in paths] == ["composer.html", "composer-gw1.html"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "composer-gw1.html",
        "composer.html",
    ]
