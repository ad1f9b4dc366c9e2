"""The plan as people and machines get it, in a file and back, and the lock on a project."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from composer.session import locks as lock
from tests.unit.cli.console import Console, states


def test_the_tree_says_what_and_why_and_counts(stack: Console) -> None:
    head = '~ container app-web-1   environment.DEBUG: "0" → "1" (compose.yaml:11:26, environment variable DEBUG)'
    tail = [". container app-db-1    needed by web", "1 change: 1 to replace; 1 unchanged"]
    assert stack("plan", DEBUG="1").out.splitlines() == [head, *tail]
    assert stack("plan", "-v", DEBUG="1").out == (
        f"{head}\n"
        "    create as {old}_app-web-1\n"
        "    stop\n"
        "    rename app-web-1 to app-web-1_{old}\n"
        "    rename {old}_app-web-1 to app-web-1\n"
        "    start after db is healthy\n"
        "    remove the old one\n"
        f"{tail[0]}\n{tail[1]}\n"
    ).replace("{old}", stack.backend.container("app-web-1").id[:12])


def test_nothing_to_do_and_destroy(stack: Console) -> None:
    assert stack("plan").out == "nothing to do: 2 unchanged\n"
    out = stack("plan", "--destroy", "--volumes").out
    assert out.splitlines()[0].startswith("- container app-web-1")
    assert "- volume app_data" in out
    assert out.splitlines()[-1] == "4 changes: 4 to remove"
    assert states(stack) == {"app-db-1": "running", "app-web-1": "running"}
    assert stack("plan", "--destroy", "--detailed-exitcode").code == 2


def test_dry_run_shows_what_plan_shows(stack: Console) -> None:
    assert stack("--dry-run", "up", "-d", DEBUG="1").out == stack("plan", DEBUG="1").out


def test_the_document_is_versioned(stack: Console) -> None:
    found = json.loads(stack("plan", "--json", DEBUG="1").out)
    assert {key: found[key] for key in ("version", "command", "project", "changes", "unchanged")} == {
        "version": 1,
        "command": "up",
        "project": "app",
        "changes": True,
        "unchanged": ["app-db-1"],
    }
    assert all("digest" not in operation for operation in found["operations"])


def test_a_plan_is_applied_from_anywhere(stack: Console, tmp_path: Path) -> None:
    assert stack("plan", "--out", "plan.json", DEBUG="1").code == 0
    path = tmp_path / "app" / "plan.json"
    path = path if path.exists() else next(tmp_path.rglob("plan.json"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert stack("apply", str(path), DEBUG="1").code == 0
    assert stack.backend.by_id[stack.backend.container("app-web-1").id].spec.attributes["environment"] == {
        "DEBUG": "1"
    }
    assert stack("plan", DEBUG="1").out.startswith("nothing to do")


def test_a_plan_is_refused_when_the_world_has_moved(stack: Console) -> None:
    stack("plan", "--out", "plan.json", DEBUG="1")
    stack.backend.stop_container("app-db-1")
    calls = list(stack.backend.calls)
    result = stack("apply", "plan.json", DEBUG="1")
    assert result.code == 1
    assert result.err.startswith("error: the saved plan is stale")
    assert "+ start container app-db-1: it exited with code 143" in result.err
    assert stack.backend.calls == calls


def test_a_plan_is_refused_when_a_value_that_is_not_shown_changed(console: Console) -> None:
    console.write("services: {db: {image: db, environment: {PASSWORD: $PW}}}")
    console("up", "-d", PW="0ne-secret")
    console("plan", "--out", "plan.json", PW="tw0-secret")
    text = next(Path(console.directory).rglob("plan.json")).read_text()
    assert "secret" not in text
    result = console("apply", "plan.json", PW="three")
    assert result.code == 1
    assert "a value that is not shown has changed" in result.err
    assert console("apply", "plan.json", PW="tw0-secret").code == 0


def test_a_plan_of_down_is_applied(stack: Console) -> None:
    stack("plan", "--destroy", "--out", "plan.json")
    assert stack("--dry-run", "apply", "plan.json").out == stack("plan", "--destroy").out
    assert stack("apply", "plan.json").code == 0
    assert states(stack) == {}


def test_what_is_no_plan_is_told(stack: Console) -> None:
    for text, words in (
        ("{", "is not a composer plan file"),
        ("[]", "is not a composer plan file"),
        ('{"version": 7}', "unsupported plan version 7"),
        (stack("plan", "--json").out.replace("[]", '[{"text": ""}]', 1), "cannot be applied"),
    ):
        (Path(stack.directory) / "x.json").write_text(text)
        result = stack("apply", "x.json")
        assert (result.code, words in result.err) == (1, True), result.err
    assert "cannot read the plan 'missing.json'" in stack("apply", "missing.json").err


def test_the_second_command_waits_and_says_for_whom(
    stack: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, take = threading.Event(), lock._lock

    def seen(descriptor: int, *, wait: bool) -> bool:
        if wait:
            waits.set()
        return take(descriptor, wait=wait)

    monkeypatch.setattr(lock, "_lock", seen)
    root = tmp_path / "state"
    (root / "locks").mkdir(parents=True)
    held = os.open(root / "locks" / "app", os.O_RDWR | os.O_CREAT)
    os.write(held, b"composer up (pid 1)")
    fcntl.flock(held, fcntl.LOCK_EX)
    results = []
    waiting = threading.Thread(target=lambda: results.append(stack("stop", COMPOSER_ROOT=str(root))))
    waiting.start()
    assert waits.wait(30)
    # another project is not kept waiting
    other = stack("-p", "other", "stop", COMPOSER_ROOT=str(root))
    assert other.code == 0 and "waiting" not in other.err
    assert waiting.is_alive() and states(stack)["app-db-1"] == "running"
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)
    waiting.join(30)
    assert "project 'app' is being changed by composer up (pid 1): waiting for it to finish" in results[0].err
    assert states(stack) == {"app-db-1": "exited", "app-web-1": "exited"}
