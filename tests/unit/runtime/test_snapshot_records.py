"""Records of snapshots are read whatever a disk made of them, and say what a volume lies over."""

from __future__ import annotations

import json
import pathlib

import pytest

from composer.runtime.base import records, state
from composer.runtime.objects import filesystems
from composer.runtime.objects.volumes import Volumes


def volume(root: pathlib.Path, **more: object) -> pathlib.Path:
    directory = root / "volumes/v"
    directory.mkdir(parents=True)
    (directory / "volume.json").write_text(json.dumps({"name": "v", "options": {}, "version": 2, **more}))
    return directory


def test_a_volume_over_a_snapshot_is_an_overlay(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "a,b:c"
    directory = volume(root, over={"snapshot": "s" * 32, "part": 3, "generation": "g"})
    found = Volumes(state.Paths(str(root), "")).filesystem("v")
    lower, upper, _work = found.options
    escaped = str(root).replace(",", "\\,").replace(":", "\\:")
    assert (found.kind, found.is_mounted, found.is_bind) == ("overlay", True, False)
    assert lower == f"lowerdir={escaped}/snapshots/{'s' * 32}/3"
    assert upper == f"upperdir={escaped}/volumes/v/over/g/upper"
    record = records.volume(str(directory))
    assert record is not None
    assert filesystems.own_data(state.Paths(str(root), ""), record) == f"{directory}/over/g/upper"


@pytest.mark.parametrize(
    "over", ["x", {}, {"snapshot": "../..", "part": 0, "generation": "g"}, {"snapshot": "s", "part": "0"}, []]
)
def test_a_damaged_record_shows_no_other_data(tmp_path: pathlib.Path, over: object) -> None:
    """It is not the empty directory below the overlay, and no path that leads elsewhere."""
    volume(tmp_path, over=over)
    found = Volumes(state.Paths(str(tmp_path), "")).filesystem("v")
    assert found.is_mounted
    assert found.options[0] == f"lowerdir={tmp_path}/snapshots/damaged/0"


def test_damaged_snapshots_and_journals(tmp_path: pathlib.Path) -> None:
    (tmp_path / "snapshot.json").write_text(
        json.dumps(
            {"name": 7, "parts": ["x", {"kind": "volume", "source": "v", "about": {}}], "removed": "no"}
        )
    )
    found = records.snapshot(str(tmp_path))
    assert found is not None
    assert found["name"] == tmp_path.name[:12] and found["removed"] is False
    assert [part["kind"] for part in found["parts"]] == ["damaged", "volume"]  # each keeps its number
    for text in (
        "",
        "{}",
        '{"snapshot":"s","project":"p","targets":[[0,"../x"]],"generation":"g","way":"copy","committed":true}',
    ):
        (tmp_path / "j.json").write_text(text)
        assert records.placing(str(tmp_path / "j.json")) is None
