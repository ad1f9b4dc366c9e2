"""Starts of commands that come to nothing: the record of a command never says that it runs when nobody follows it."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer import errors
from composer.api.containers import execs, executing, pictures
from composer.api.http.call import Call
from composer.api.http.problems import Problem
from composer.api.http.wire import Gone
from composer.runtime.base.state import Paths

META = {"id": "c" * 64, "name": "one", "project": "nobody", "event": {}}


class Session:
    """A command that has ended once somebody reads its output to the end."""

    def __init__(self) -> None:
        self.is_read, self.is_closed = threading.Event(), threading.Event()

    def close_stdin(self) -> None:
        pass

    def wait(self) -> int:
        self.is_read.set()
        return 7

    def close(self) -> None:
        self.is_closed.set()


class House:
    """A server with one running container, in which a start of a command comes to ``outcome``."""

    def __init__(self, directory: str, outcome: Session | Exception) -> None:
        self.actions: list[str] = []
        self.outcome = outcome
        running = execs.Running()
        os.makedirs(f"{directory}/containers/{META['id']}")
        found: Any = SimpleNamespace(
            paths=Paths(directory, directory),
            kept=lambda name, make: running,
            container=lambda name: META,
            engine=SimpleNamespace(containers=SimpleNamespace(exec=self._exec)),
            core=SimpleNamespace(
                look=lambda meta, watched: None,
                emit_of=lambda owner, about, kind, action, *rest: self.actions.append(action),
            ),
        )
        self.world: Any = found
        empty = dict.fromkeys(("user", "working_dir", "keys"), "")
        flags = dict.fromkeys(("tty", "privileged", "stdin", "stdout", "stderr"), False)
        record = {"container": META["id"], "command": ["x"], "environment": [], **empty, **flags}
        self.id = execs.add(found, record)

    def _exec(self, id: str, spec: Any) -> Session:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def start(self, body: dict[str, Any], take_over: Any = None) -> Any:
        call = SimpleNamespace(
            world=self.world,
            parameters={"id": self.id},
            document=lambda: body,
            rest=lambda: b"",
            take_over=take_over,
            version=(1, 51),
        )
        return executing.start(cast("Call", call))

    def record(self) -> dict[str, Any]:
        return execs.read(self.world, self.id)


@pytest.fixture(autouse=True)
def _it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "status_of", lambda look: "running")


def test_a_start_with_a_bad_body_can_be_asked_for_again(tmp_path: Any) -> None:
    session = Session()
    house = House(str(tmp_path), session)
    with pytest.raises(Problem) as caught:
        house.start({"Detach": "x"})
    assert caught.value.status == 400
    assert house.start({"Detach": True}) == (200, None)
    assert session.is_closed.wait(30)
    for thread in threading.enumerate():
        if thread.name == "exec":
            thread.join(30)  # it writes what became of the command


def test_a_command_goes_on_alone_where_its_client_goes_before_the_answer(tmp_path: Any) -> None:
    session = Session()
    house = House(str(tmp_path), session)

    def gone(kind: str) -> None:
        raise Gone

    with pytest.raises(Gone):
        house.start({}, gone)
    assert session.is_read.wait(30) and session.is_closed.wait(30)
    for thread in threading.enumerate():
        if thread.name == "exec":
            thread.join(30)
    assert house.record()["running"] is False and house.record()["exit_code"] == 7
    assert house.actions[-1] == "exec_die"


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("error", [errors.Conflict("it has just ended"), OSError(24, "too many files")])
def test_what_could_not_be_started_does_not_run(tmp_path: Any, error: Exception, detach: bool) -> None:
    house = House(str(tmp_path), error)
    with pytest.raises(type(error)):
        house.start({"Detach": detach})
    assert house.record()["running"] is False
    assert house.actions == ["exec_start: x ", "exec_die"]


def test_a_container_that_is_removed_meanwhile_leaves_no_command_that_runs(tmp_path: Any) -> None:
    house = House(str(tmp_path), Session())

    def look(meta: Any, watched: Any) -> None:
        raise errors.NotFound("no such container")

    house.world.core.look = look
    with pytest.raises(errors.NotFound):
        house.start({"Detach": True})
    assert not house.record().get("running")
