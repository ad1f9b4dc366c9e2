"""Starts prepared ahead: while a condition is waited for, the backend readies the containers that come behind it.

Only where nothing but conditions, and starts behind conditions, is left before a container's start, and only a few
at a time. Preparing is a hint: it can neither fail a plan nor keep a step from running. What is prepared and not
started, because what it waited for failed, is taken back at the end.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

from composer.engine.observed import Capability
from composer.engine.operations.containers import StartContainer
from composer.engine.operations.waiting import WaitService
from composer.engine.progress import DONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.engine.backend import Backend
    from composer.engine.operations.row import ContainerRef
    from composer.engine.plan import Step

AHEAD = 4
"""How many containers wait prepared: each is a process already, and whoever runs shares the processors with it."""


class Preparations:
    """What is prepared of one plan. All methods are the coordinator's; one thread talks to the backend."""

    def __init__(
        self, backend: Backend, steps: Mapping[int, Step], followers: Mapping[int, Sequence[int]]
    ) -> None:
        self._preparer = backend if Capability.PREPARES_STARTS in backend.capabilities else None
        self._steps, self._followers = steps, followers
        self._waiting: dict[int, str] = {}
        self._asked: set[int] = set()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def look(
        self, gates: Iterable[int], state: Mapping[int, str], id_of: Callable[[ContainerRef], str]
    ) -> None:
        """Prepare what comes next behind the conditions that are being waited for (ids of their steps)."""
        if self._preparer is None:
            return
        for step_id, container in self._behind(gates, state):
            if len(self._waiting) >= AHEAD:
                return
            if step_id not in self._asked:
                self._asked.add(step_id)
                self._waiting[step_id] = id_of(container)
                self._submit(lambda step_id=step_id: self._prepare(step_id))  # type: ignore[misc]

    def _behind(self, gates: Iterable[int], state: Mapping[int, str]) -> Iterator[tuple[int, ContainerRef]]:
        """Yield the starts behind gates, nearest first: everything before them has ended or is one of these."""
        reached = set(gates)
        line = deque(reached)
        while line:
            for id in self._followers[line.popleft()]:
                step = self._steps[id]
                before = (*step.needs, *step.after)
                if id in reached or not all(o in reached or state.get(o) == DONE for o in before):
                    continue
                if isinstance(step.operation, StartContainer):
                    yield id, step.operation.container
                elif not isinstance(step.operation, WaitService):
                    continue
                reached.add(id)
                line.append(id)

    def begun(self, step_id: int) -> None:
        """Note that a step runs now: it needs no preparation any more, and uses the one that it has."""
        self._waiting.pop(step_id, None)

    def close(self, *, wait: bool) -> None:
        """Take back what was not used. Without ``wait`` that is left to the end of the backend."""
        if self._thread is None:
            return
        left = list(self._waiting.values())
        self._waiting.clear()
        for id in left:
            self._submit(lambda id=id: self._unprepare(id))  # type: ignore[misc]
        self._tasks.put(None)
        if wait and left:
            self._thread.join()

    # ------------------------------------------------------------- on the thread

    def _submit(self, task: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="preparations", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                continue  # no more than a hint was lost: the start itself says what is wrong, if anything

    def _prepare(self, step_id: int) -> None:
        id = self._waiting.get(step_id)
        if id is not None and self._preparer is not None:
            self._preparer.prepare_container(id)

    def _unprepare(self, id: str) -> None:
        if self._preparer is not None:
            self._preparer.unprepare_container(id)
