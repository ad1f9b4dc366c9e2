"""A stage for the engine's tests: a project from YAML, the memory backend, and the engine between them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

from composer.backends.memory import MemoryBackend
from composer.engine import actions
from composer.engine.engine import Engine
from composer.engine.operations.row import Resource
from composer.engine.options import Options
from composer.engine.plan import Plan
from composer.engine.progress import Cancellation, Progress
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project

KEY = b"k" * 32
PLAIN = Options()


class Recorder:
    """Events, kept."""

    def __init__(self) -> None:
        self.events: list[Progress] = []
        self.warnings: list[str] = []
        self.begun: list[str] = []

    def begin(self, resources: Sequence[Resource]) -> None:
        self.begun = [str(resource) for resource in resources]

    def progress(self, event: Progress) -> None:
        self.events.append(event)

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def of(self, name: str) -> list[str]:
        return [event.text for event in self.events if event.resource.name == name]


class Stage:
    """``up(yaml)`` runs a project, ``plan(yaml)`` says what that would do; the directory is ``/app`` in texts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "app"
        self.directory.mkdir(exist_ok=True)
        ticks = itertools.count(1_000_000_000, 1_000_000)
        self.backend = MemoryBackend(clock=lambda: next(ticks))
        self.recorder = Recorder()
        self.cancel = Cancellation()

    @property
    def engine(self) -> Engine:
        return Engine(self.backend, self.recorder, KEY, cancel=self.cancel)

    def project(self, text: str, *, profiles: tuple[str, ...] = (), **environment: str) -> Project:
        (self.directory / "compose.yaml").write_text(dedent(text))
        return load(
            LoadOptions(
                working_dir=str(self.directory), environment=environment, profiles=profiles, name="app"
            )
        )

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def plan(self, text: str, options: Options = PLAIN, **environment: str) -> Plan:
        return actions.plan_up(self.engine, self.project(text, profiles=(), **environment), options)

    def up(self, text: str, options: Options = PLAIN, **environment: str) -> Plan:
        return actions.up(self.engine, self.project(text, profiles=(), **environment), options)

    def when_running(self, names: Sequence[str], do: Callable[[], None]) -> None:
        """Do something, in a thread of its own, once all of these containers run."""

        def wait() -> None:
            with self.backend.changed:
                self.backend.changed.wait_for(
                    lambda: {"running"} == {self.states().get(n) for n in names}, 60
                )
            do()

        threading.Thread(target=wait, daemon=True).start()

    def names(self) -> list[str]:
        return sorted(c.name for c in self.backend.observe("app").containers)

    def states(self) -> dict[str, str]:
        return {c.name: c.state.value for c in self.backend.observe("app").containers}
