"""What a client hears of a start that comes to nothing, and what the server's process has before it has threads."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer import errors
from composer.api.containers import attachments, changing
from composer.api.http.problems import Problem
from composer.runtime.base.status import STOPPED_EARLY


class Engine:
    def __init__(self) -> None:
        self.removed: list[str] = []
        self.containers = SimpleNamespace(remove=lambda id, **how: self.removed.append(id))


def started(monkeypatch: pytest.MonkeyPatch, error: Exception, *, auto_remove: bool) -> list[str]:
    """Start a container whose start fails so; return what was removed."""

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(attachments, "start", fail)
    engine = Engine()
    world = SimpleNamespace(engine=engine, settle=lambda: None, container=lambda id: None)
    meta = {"id": "c", "auto_remove": auto_remove, "command": ["x"]}
    changing.start_it(cast("Any", world), cast("Any", meta))
    return engine.removed


@pytest.mark.parametrize("auto_remove", [False, True])
def test_one_that_was_stopped_meanwhile_has_run_for_its_client(
    monkeypatch: pytest.MonkeyPatch, auto_remove: bool
) -> None:
    error = errors.Conflict(STOPPED_EARLY)
    assert started(monkeypatch, error, auto_remove=auto_remove) == (["c"] if auto_remove else [])


def test_any_other_conflict_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.Conflict):
        started(monkeypatch, errors.Conflict("a port is taken"), auto_remove=False)
    with pytest.raises(Problem, match="OCI runtime create failed"):
        started(monkeypatch, errors.StartFailed("no such program", 127), auto_remove=False)


def test_what_has_handlers_of_forks_is_there_before_the_first_thread() -> None:
    """Imported while another thread forks, these would let go of a lock that they do not hold."""
    names = ("logging", "concurrent.futures.thread")
    code = f"import sys, composer.api.serving; print(*(name in sys.modules for name in {names}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
