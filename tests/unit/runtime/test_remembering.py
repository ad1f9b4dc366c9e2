"""A record is read once, and again when it is another file."""

from __future__ import annotations

import os
from pathlib import Path

from composer.runtime.base.remembering import Remembered


def test_a_record_is_read_again_when_it_is_another_file(tmp_path: Path) -> None:
    read: list[str] = []

    def reading(directory: str) -> str | None:
        read.append(os.path.basename(directory))
        path = Path(directory, "r.json")
        return path.read_text() if path.exists() else None

    records = Remembered("r.json", reading)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "r.json").write_text(name)
    assert [*records.all(str(tmp_path), ["a", "b"])] == ["a", "b"]
    assert [*records.all(str(tmp_path), ["a", "b"])] == ["a", "b"]
    assert read == ["a", "b"]
    (tmp_path / "new").write_text("c")
    os.replace(tmp_path / "new", tmp_path / "a/r.json")  # of the same length
    assert records.record(f"{tmp_path}/a") == "c"
    assert read == ["a", "b", "a"]


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    records = Remembered("r.json", lambda directory: Path(directory, "r.json").read_text())
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "r.json").write_text(str(number))
    assert len([*records.all(str(tmp_path), [str(number) for number in range(20)])]) == 20
    assert [*records.all(str(tmp_path), ["7"])] == ["7"]
    assert list(records._known) == [f"{tmp_path}/7"]


def test_without_its_file_nothing_is_kept(tmp_path: Path) -> None:
    answers = iter((None, "made of another file"))
    records = Remembered[str]("r.json", lambda _: next(answers))
    assert records.record(str(tmp_path)) is None
    assert records.record(str(tmp_path)) == "made of another file"


def test_records_that_nobody_lists_do_not_pile_up(tmp_path: Path) -> None:
    records = Remembered("r.json", lambda directory: Path(directory, "r.json").read_text())
    for number in range(2000):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "r.json").write_text("x")
        assert records.record(str(directory)) == "x"
        (directory / "r.json").unlink()
        directory.rmdir()
    assert len(records._known) < 300
