"""``~`` is the home directory that the command was given: the engine does not read the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.engine import observe
from composer.schema.load import LoadOptions, load


def test_recreate_on_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_text("one")
    text = "services: {web: {image: i, x-composer: {recreate_on: [~/file]}}}"
    (tmp_path / "compose.yaml").write_text(text)
    project = load(LoadOptions(working_dir=str(tmp_path), name="app", home=str(home)))
    first = observe.contents(project, b"key")
    (home / "file").write_text("two")
    assert first.keys() == observe.contents(project, b"key").keys() == {"file:~/file"}
    assert first != observe.contents(project, b"key")
