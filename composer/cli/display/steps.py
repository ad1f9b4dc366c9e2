"""The steps of a build on a terminal: those that run with the end of their output, those that have just ended before.

Read from the lines of BuildKit's plain progress, which every builder's progress here has:

    #7 [web 2/4] RUN make        a step begins
    #7 0.312 cc -c main.c        its output
    #7 DONE 3.2s                 its end; also CACHED, ERROR: …
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE = pattern(r"#(\d+) (.*)", re.DOTALL)
_OUTPUT = pattern(r"\d+\.\d+ (.*)", re.DOTALL)
_DONE = pattern(r"DONE (\d+\.\d+)s")
_MOST_LINES = 6
_MOST_ENDED = 40
RUNNING, CACHED, ENDED, FAILED = "running", "cached", "done", "failed"


class Row(NamedTuple):
    """A row to show. ``state`` is that of a step, or empty for a line of output; ``right`` is its time."""

    state: str
    text: str
    right: str = ""


class _Step:
    def __init__(self, name: str, begun_s: float) -> None:
        self.name = name
        self.begun_s = begun_s
        self.state = RUNNING
        self.seconds: float | None = None
        self.lines: deque[str] = deque(maxlen=_MOST_LINES)


class Steps:
    """The steps of one build. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: dict[int, _Step] = {}
        self._internal: set[int] = set()

    def take(self, line: str) -> None:
        """Read a line of a builder's progress. What is none of the forms above is dropped."""
        found = _LINE.fullmatch(line)
        if found is None:
            return
        number, rest = int(found[1]), found[2]
        step = self._steps.get(number)
        if step is None:
            if number in self._internal:
                return
            if "internal]" in rest:
                self._internal.add(number)
            else:
                self._steps[number] = _Step(rest, self._clock())
            return
        done, output = _DONE.fullmatch(rest), _OUTPUT.fullmatch(rest)
        if done is not None:
            step.state, step.seconds = ENDED, float(done[1])
        elif rest == "CACHED":
            step.state, step.seconds = CACHED, 0.0
        elif rest.startswith("ERROR"):
            step.state, step.seconds = FAILED, self._clock() - step.begun_s
        elif output is not None:
            step.lines.append(output[1])
        if step.state != RUNNING:
            self._forget_old()

    def _forget_old(self) -> None:
        ended = [number for number, step in self._steps.items() if step.state != RUNNING]
        for number in ended[: max(0, len(ended) - _MOST_ENDED)]:
            del self._steps[number]

    def rows(self, room: int) -> list[Row]:
        """Return at most ``room`` rows: steps in their order, the running ones and their last lines before others."""
        running = [step for step in self._steps.values() if step.state == RUNNING]
        ended = [step for step in self._steps.values() if step.state != RUNNING]
        running = running[:room]
        left = room - len(running)
        each = min(_MOST_LINES, left // len(running)) if running else 0
        shown = {id(step): list(step.lines)[-each:] if each else [] for step in running}
        left -= sum(map(len, shown.values()))
        kept = {id(step) for step in (*running, *(ended[-left:] if left > 0 else ()))}
        rows: list[Row] = []
        for step in self._steps.values():
            if id(step) in kept:
                rows.append(self._row(step))
                rows += [Row("", line) for line in shown.get(id(step), ())]
        return rows

    def _row(self, step: _Step) -> Row:
        if step.state == CACHED:
            return Row(CACHED, f"CACHED {step.name}")
        seconds = self._clock() - step.begun_s if step.seconds is None else step.seconds
        return Row(step.state, step.name, f"{seconds:.1f}s")
