"""Lines of a listing are made once, and again when a record is another one; their times go on."""

from __future__ import annotations

import json
import pathlib
import time
from types import SimpleNamespace
from typing import Any

import pytest

from composer.api.containers import lines
from composer.api.containers.lines import Lines
from composer.runtime.engine.core import Look

META: Any = {
    "id": "a" * 64,
    "name": "web",
    "image": "web:1",
    "image_id": "sha256:x",
    "command": ["sleep", "1"],
    "created_ns": 5_000_000_000,
    "labels": {"a": "ü\ud800"},
    "mounts": [],
    "networks": [("bridge", "n1")],
    "aliases": {},
    "exposed": ["80/tcp"],
    "health": {},
}
STATE: Any = {"status": "running", "started_ns": time.time_ns() - 5_000_000_000, "pid": 1}


def written(known: Lines, look: Look, directory: pathlib.Path) -> list[dict[str, Any]]:
    world: Any = SimpleNamespace(paths=SimpleNamespace(container=lambda id: f"{directory}/{id}"))
    found = json.loads(known.written(world, [look]))
    assert isinstance(found, list)
    return found


def test_a_line_is_the_document_with_its_text(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: STATE["started_ns"] + 5_000_000_000)
    look = Look(META, STATE, None)
    (line,) = written(Lines(), look, tmp_path)
    assert list(line) == list(lines.document_of(look, lines._NONE)) and line["Status"] == "Up 5 seconds"
    assert line["Labels"] == {"a": "ü\ud800"}


def test_it_is_made_again_when_a_record_is_another(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, made = Lines(), []
    document_of = lines.document_of
    monkeypatch.setattr(lines, "document_of", lambda *given: made.append(1) or document_of(*given))
    look = Look(META, STATE, None)
    written(known, look, tmp_path)
    monkeypatch.setattr(time, "time_ns", lambda: STATE["started_ns"] + 90_000_000_000)
    assert written(known, look, tmp_path)[0]["Status"] == "Up About a minute" and len(made) == 1
    state: Any = {**STATE, "status": "exited", "finished_ns": STATE["started_ns"], "exit_code": 3}
    ended = look._replace(state=state)
    (line,) = written(known, ended, tmp_path)
    assert (line["State"], line["Status"].split(" ago")[0]) == ("exited", "Exited (3) About a minute")
    renamed: Any = {**META, "name": "db"}
    assert written(known, look._replace(meta=renamed), tmp_path)[0]["Names"] == ["/db"]
    known.forget_others([])
    assert not known._known
