"""What a plan says: project before, project now, what happened in between → the text of the plan.

A case is a file in ``plans/``. Its parts begin with ``=== NAME``: ``before`` is brought up first, ``events`` happen
(one per line: ``end web-1 0``, ``stop web-1``, ``remove web-1``, ``image nginx``, ``rm-image nginx``), ``now`` is
planned with ``options`` (JSON), and ``plan`` is the expected text: warnings, then steps. A part ``file NAME`` is
written beside the compose file, before ``before``; ``file+ NAME`` before ``now``.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from composer.backends.memory import Behaviour, MemoryBackend
from composer.engine import actions
from composer.engine.engine import Engine
from composer.engine.options import Options
from tests.unit.engine.stage import Stage

PLANS = Path(__file__).parent / "plans"


class Counting(MemoryBackend):
    """Identifiers and addresses by one count, as those in the plans that are kept here are."""

    count = 0

    def _new_id(self, kind: str, name: str) -> str:
        self.count += 1
        return f"{(self.count * 0x9E3779B97F4A7C15) & 0xFFFF_FFFF_FFFF_FFFF:016x}" * 4

    def _free_address(self, owner: str, network: str) -> str:
        self.count += 1
        return f"172.18.{self.count >> 8 & 255}.{self.count & 255}"


class OneByOne(Stage):
    """A stage on which one thing happens after the other, so that a count is the same in every run."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        ticks = itertools.count(1_000_000_000, 1_000_000)
        self.backend = Counting(clock=lambda: next(ticks))

    @property
    def engine(self) -> Engine:
        return super().engine._replace(parallel=1)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = OneByOne(tmp_path)
    yield made
    made.backend.close()


def parts_of(path: Path) -> dict[str, str]:
    pieces = re.split(r"^=== (.*)\n", path.read_text(), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def play(stage: Stage, line: str) -> None:
    """Carry out one line of ``events``."""
    word, *rest = line.split()
    backend = stage.backend
    if word == "behave":
        service, *codes = rest
        backend.behave(service, Behaviour(exits=tuple(None if c == "-" else int(c) for c in codes)))
    elif word == "end":
        backend.end(f"app-{rest[0]}", int(rest[1]))
    elif word == "stop":
        backend.stop_container(f"app-{rest[0]}")
    elif word == "remove":
        backend.remove_container(f"app-{rest[0]}", force=True)
    elif word == "start":
        backend.start_container(f"app-{rest[0]}")
    elif word == "rename":
        backend.rename_container(rest[0], rest[1])
    elif word == "disconnect":
        backend.disconnect_network(f"app-{rest[0]}", rest[1])
    elif word == "image":
        backend.add_image(rest[0], volumes=tuple(rest[1:]))
    elif word == "rm-image":
        backend.remove_image(rest[0], force=True)
    elif word == "unlabel":
        unlabel(stage, *rest)
    else:
        raise AssertionError(f"no such event: {line}")


def unlabel(stage: Stage, name: str, *labels: str) -> None:
    """Make a container look as if another tool had made it."""
    container = stage.backend.by_id[stage.backend.container(f"app-{name}").id]
    kept = {k: v for k, v in container.seen.labels.items() if k not in labels}
    container.seen = container.seen._replace(labels=kept)


def options_of(text: str) -> Options:
    given = json.loads(text)
    if "services" in given:
        given["services"] = tuple(given["services"])
    return Options(**given)


def outcome(stage: Stage, parts: dict[str, str]) -> str:
    """Play a case; return the warnings and the plan, or the error."""
    for name, text in parts.items():
        if name.startswith("file "):
            stage.write(name.removeprefix("file "), text)
    for line in parts.get("script", "").splitlines():
        play(stage, line)
    if "before" in parts:
        stage.up(parts["before"], options_of(parts.get("options before", "{}")))
    for line in parts.get("events", "").splitlines():
        play(stage, line)
    for name, text in parts.items():
        if name.startswith("file+ "):
            stage.write(name.removeprefix("file+ "), text)
    options = options_of(parts.get("options", "{}"))
    try:
        plan = stage.plan(parts["now"], options)
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace(f"{stage.directory}/", "") + "\n"
    if options == Options() and not plan.steps:
        assert not plan.has_changes
    lines = [f"warning: {sentence}" for sentence in plan.warnings]
    text = "\n".join([*lines, str(plan)] if plan.steps else lines)
    return f"{text}\n" if text else ""


CASES = sorted(PLANS.glob("*.txt"))
ERROR = re.compile(r"[A-Z]\w+: ")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan(stage: Stage, path: Path) -> None:
    parts = parts_of(path)
    assert outcome(stage, parts) == parts["plan"]


@pytest.mark.parametrize(
    "path", [path for path in CASES if not ERROR.match(parts_of(path)["plan"])], ids=lambda path: path.stem
)
def test_carrying_out_the_plan_leaves_nothing_to_do(stage: Stage, path: Path) -> None:
    parts = parts_of(path)
    outcome(stage, parts)
    options = options_of(parts.get("options", "{}"))
    actions.up(stage.engine, stage.project(parts["now"]), options)
    again = options._replace(recreate="diverged", recreate_dependencies="diverged", wait=False, services=())
    if "unsettled" not in parts:
        assert str(stage.plan(parts["now"], again)) == ""
