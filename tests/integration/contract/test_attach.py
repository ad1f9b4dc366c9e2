"""Attaching to a container's own command, pausing it, and handing published ports over: on every backend."""

from __future__ import annotations

import pytest

from composer.backends.memory import Behaviour
from composer.engine.backend import Session
from composer.engine.observed import ContainerState
from composer.errors import Conflict

from .conftest import Place


def everything(session: Session) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    while (chunk := session.read()) is not None:
        found[chunk[0]] = found.get(chunk[0], b"") + chunk[1]
    return found


def test_a_start_that_is_attached_misses_nothing(place: Place) -> None:
    id = place.create(shell="echo hello; exit 3", does=Behaviour(exits=(3,), output=("hello",)))
    session = place.backend.attach(id, start=True)
    try:
        assert everything(session) == {"stdout": b"hello\n"}
        assert session.wait() == 3
        assert not session.tty
    finally:
        session.close()


@pytest.mark.real
def test_input_reaches_the_command_and_its_end_too(place: Place) -> None:
    id = place.create(shell="cat; echo over", stdin_open=True, oneoff=True)
    session = place.backend.attach(id, stdin=True, start=True)
    try:
        session.write(b"one\n")
        assert session.read() == ("stdout", b"one\n")
        session.close_stdin()
        assert everything(session) == {"stdout": b"over\n"}
        assert session.wait() == 0
    finally:
        session.close()


def test_what_does_not_run_cannot_be_attached_to(place: Place) -> None:
    id = place.create()
    with pytest.raises(Conflict):
        place.backend.attach(id)


def test_pause_and_unpause_are_safe_to_repeat(place: Place) -> None:
    id = place.start()
    for _ in range(2):
        place.backend.pause_container(id)
        assert place.state(id) is ContainerState.PAUSED
    for _ in range(2):
        place.backend.unpause_container(id)
        assert place.state(id) is ContainerState.RUNNING
