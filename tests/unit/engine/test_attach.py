"""Following containers for a reader who takes his time, goes away, or is not waited for any longer."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import LogPiece
from composer.engine.running import attach
from composer.engine.running.attach import Attachment, Death
from composer.errors import OutputFailed
from tests.unit.engine.stage import Stage

LINES = tuple(f"line {number}" for number in range(500))
JOB = "services: {job: {image: job}}"


class Reader:
    """An output that takes nothing before it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = threading.Event()
        self.lines: list[str] = []
        self.failure: Exception | None = None

    def reserve(self, names: Collection[str]) -> None:
        """Nothing to prepare."""

    def add(self, containers: Collection[tuple[str, str]]) -> None:
        """Nothing to prepare."""

    def write(self, line: LogPiece) -> None:
        self.asked.set()
        self.may.wait()
        if self.failure:
            raise self.failure
        self.lines.append(line.data.decode().rstrip())

    def say(self, id: str, sentence: str) -> None:
        self.lines.append(sentence)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def attachment(stage: Stage, reader: Reader) -> Attachment:
    """An attachment to a container that has said everything, and ended."""
    stage.backend.behave("job", Behaviour(exits=(0,), output=LINES))
    found = Attachment(stage.backend, "app", {"job"}, {"job"}, reader)
    found.open(stage.plan(JOB))
    stage.up(JOB)
    assert reader.asked.wait(20)
    return found


def test_the_end_waits_for_the_reader(
    attachment: Attachment, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "_PATIENCE_S", 0.0)
    results: list[bool] = []
    closing = threading.Thread(target=lambda: results.append(attachment.close()))
    closing.start()
    # what it waits for cannot come: whoever has patience for a limited time is gone after this
    closing.join(0.5)
    assert closing.is_alive()
    reader.may.set()
    closing.join(20)
    assert results == [True]
    assert reader.lines == [*LINES, "exited with code 0"]


def test_nobody_waits_after_a_second_interrupt(
    attachment: Attachment, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "_PATIENCE_S", 0.1)
    results: list[bool] = []
    closing = threading.Thread(target=lambda: results.append(attachment.close()))
    closing.start()
    attachment.hurry()
    closing.join(20)
    assert results == [False]
    reader.may.set()


def test_ends_are_seen_while_the_reader_sleeps(attachment: Attachment, reader: Reader) -> None:
    death = attachment.deaths.get(timeout=20)
    assert isinstance(death, Death)
    assert (death.service, death.exit_code) == ("job", 0)
    attachment.expect_all()
    assert reader.lines == []
    reader.may.set()
    assert attachment.close()


@pytest.mark.parametrize("failure", [OutputFailed("full"), BrokenPipeError()])
def test_a_failing_output_is_told(attachment: Attachment, reader: Reader, failure: Exception) -> None:
    reader.failure = failure
    reader.may.set()
    assert attachment.close()
    assert attachment.failure is failure


def test_what_was_said_before_is_not_said_again(stage: Stage, reader: Reader) -> None:
    """Nor what an engine dated when the container had ended already."""
    stage.backend.behave("job", Behaviour(exits=(0,), output=("words",)))
    stage.up(JOB)
    (container,) = stage.backend.observe("app").containers
    stage.backend.write(container.id, "last words")
    reader.may.set()
    attachment = Attachment(stage.backend, "app", {"job"}, {"job"}, reader)
    attachment.open(stage.plan(JOB))
    stage.up(JOB)
    attachment.close()
    assert reader.lines == ["words", "exited with code 0"]
