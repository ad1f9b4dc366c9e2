"""``--progress tty``: one line per resource, redrawn in place, with the time that it took.

Calm: lines keep their places, and a redraw happens when something changed or a time goes on, never more often
than ten times a second. In a window that is too small only the lines that matter are shown (failed, working, then
the last that finished) under a count; when all is over every line is printed once, so nothing is lost.
Cursor movement: ECMA-48 CUU and ED.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.cli import safe
from composer.cli.display.advance import text
from composer.cli.display.steps import Steps
from composer.engine.progress import DONE, FAILED, SKIPPED, WARNING, WORKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from composer.cli.display.steps import Row
    from composer.cli.safe import Safe
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress

_SIGNS = {WORKING: "⠿", DONE: "✔", FAILED: "✘", SKIPPED: "–", WARNING: "!"}
_COLORS = {WORKING: "36", DONE: "32", FAILED: "31", SKIPPED: "33", WARNING: "33"}
_FASTEST_S = 0.1
_RANK = {FAILED: 0, WORKING: 1, WARNING: 2, SKIPPED: 3, DONE: 4}


_SHORTEST_NAME = 12
_CAME_UP = frozenset(("started", "healthy", "exited"))
_RECREATION = frozenset(("recreate", "recreated"))


def _cut(name: str, width: int) -> str:
    """Return a name in a column: one that is too long keeps its end, which tells it from others."""
    return name.ljust(width) if len(name) <= width else f"…{name[len(name) - width + 1 :]}"


class _Line(NamedTuple):
    status: str
    text: str
    detail: str
    began: float
    ended: float | None
    shown: str


class TtyDisplay:
    """``size`` returns (columns, rows) of the window; ``clock`` counts seconds."""

    def __init__(
        self,
        stream: TextIO | Safe,
        *,
        color: bool = True,
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._stream, self._color, self._title, self._clock = safe.safe(stream), color, title, clock
        self._size = size or self._window
        self._lines: dict[Resource, _Line] = {}
        self._places: dict[Resource, int] = {}
        self._changes: dict[Resource, int] = {}
        """How many changes of phase there had been when each had its last."""
        self._counter = itertools.count()
        self._steps: dict[Resource, Steps] = {}
        """Of each build, what it is doing."""
        self.shown: tuple[str, ...] = ()  # a narrow window cuts every detail
        self._drawn: list[int] = []
        """The lengths of the lines that are to be written over."""
        self._settled = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def _window(self) -> tuple[int, int]:
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return found.columns or 80, found.lines or 24

    # ------------------------------------------------------------- Events

    def begin(self, resources: Sequence[Resource]) -> None:
        with self._lock:
            for resource in resources:
                self._places.setdefault(resource, len(self._places))

    def progress(self, event: Progress) -> None:
        if event.advance is not None and event.advance.is_warning:
            self.warn(event.advance.line)
            return
        if event.advance is not None and event.advance.line:
            with self._lock:
                self._steps.setdefault(event.resource, Steps(self._clock)).take(event.advance.line)
            if not event.advance.what:
                self._wake.set()
                return
        with self._lock:
            now = self._clock()
            self._places.setdefault(event.resource, len(self._places))
            old = self._lines.get(event.resource)
            # after settling, what begins is another story: a stop hours after the start did not take hours
            is_anew = self._settled and event.status == WORKING and old is not None and old.ended is not None
            began = now if old is None or is_anew else old.began
            ended = None if event.status == WORKING else now
            detail = text(event.advance) if event.advance is not None else event.detail
            line = _Line(event.status, event.text, detail, began, ended, event.shown)
            if old is not None and old.text in _CAME_UP and event.text in _RECREATION and not self._settled:
                # what it replaced is removed: that it is up is what people want to read
                line = old._replace(status=event.status, ended=ended)
            if self._settled:
                if old is None or (old.status, old.text) != (event.status, event.text):
                    self._stream.write(self._render(event.resource, line, self._size()[0]) + "\n")
                    self._stream.flush()
                self._lines[event.resource] = line
                return
            if old is None or (old.status, old.text) != (line.status, line.text):
                self._changes[event.resource] = next(self._counter)
            self._lines[event.resource] = line
            self._tick()
        self._wake.set()

    def warn(self, sentence: str) -> None:
        with self._lock:
            self._replace([self._paint("33", "warning: ") + safe.line(sentence)])
            if not self._settled:
                self._draw()

    def settle(self) -> None:
        """Print every line for good; what comes later is appended."""
        with self._lock:
            if self._settled:
                return
            self._settled = True
            columns, _ = self._size()
            self._replace([self._render(resource, line, columns) for resource, line in self._in_place()])
        self._over.set()
        self._wake.set()

    def close(self) -> None:
        self.settle()
        if self._ticker is not None:
            self._ticker.join()

    # ------------------------------------------------------------- drawing

    def _tick(self) -> None:
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._redraw, name="display", daemon=True)
            self._ticker.start()

    def _redraw(self) -> None:
        while not self._over.wait(_FASTEST_S):
            with self._lock:
                if self._settled:
                    return
                self._draw()
                is_working = any(line.status == WORKING for line in self._lines.values())
            if not is_working:
                self._wake.wait()
            self._wake.clear()

    def _replace(self, lines: list[str]) -> None:
        """Write lines over what was drawn, and forget that anything was.

        Line by line: erasing the whole window at once makes some terminals keep a copy of it each time.
        """
        if self._drawn:
            self._stream.control(f"\x1b[{self._rows_drawn()}A\r")
        down = f"{safe.ESCAPE}[J" if self._drawn else ""
        self._stream.write("".join(f"{line}{safe.ESCAPE}[K\n" for line in lines) + down)
        self._stream.flush()
        self._drawn = []

    def _rows_drawn(self) -> int:
        """Return how many rows the last drawing takes now: a window made narrower has wrapped its lines."""
        columns, rows = self._size()
        return min(sum(max(1, -(-length // columns)) for length in self._drawn), rows - 1)

    def _draw(self) -> None:
        if not self._lines:
            return
        columns, rows = self._size()
        finished = sum(line.status != WORKING for line in self._lines.values())
        header = f"[+] {self._title} {finished}/{len(self._places)}"
        shown = self._in_place()
        room = max(1, rows - 2)
        if len(shown) > room:
            # of what is the same, the latest: that is where something happens
            order = sorted(
                range(len(shown)), key=lambda i: (_RANK[shown[i][1].status], -self._changes[shown[i][0]])
            )
            keep = set(order[:room])
            shown = [entry for index, entry in enumerate(shown) if index in keep]
        body, lengths = [header[: columns - 1]], [len(header)]
        spare = room - len(shown)
        for resource, line in shown:
            below = self._below(resource, line, columns, spare)
            spare -= len(below)
            body += [self._render(resource, line, columns), *below]
            lengths += [columns - 1] * (1 + len(below))
        self._replace(body)
        self._drawn = lengths

    def _below(self, resource: Resource, line: _Line, columns: int, spare: int) -> list[str]:
        """Return what is shown of a build that goes on, in its share of the rows that are left."""
        building = [one for one in self._steps if self._lines.get(one, line).status == WORKING]
        if line.status != WORKING or resource not in building or spare <= 0:
            return []
        after = building[building.index(resource) :]
        rows = self._steps[resource].rows(max(1, spare // len(after)))
        return [self._step(row, columns) for row in rows]

    def _step(self, row: Row, columns: int) -> str:
        room = max(0, columns - 1 - len("   =>  ") - len(row.right))
        text = safe.line(row.text)[:room].ljust(room)
        if not row.state:
            return self._dim(f"   |   {text}")
        color = {"failed": "31", "running": "36"}.get(row.state)
        shown = self._paint(color, text) if color else self._dim(text)
        return f"   =>  {shown}{self._dim(row.right)}"

    def _in_place(self) -> list[tuple[Resource, _Line]]:
        """Return the lines in the order of the plan, whatever came first."""
        return sorted(self._lines.items(), key=lambda entry: self._places[entry[0]])

    def _render(self, resource: Resource, line: _Line, columns: int) -> str:
        seconds = (self._clock() if line.ended is None else line.ended) - line.began
        detail = safe.line(line.detail.splitlines()[0]) if line.detail else ""
        text = safe.line(line.shown)
        right = f"{seconds:5.1f}s"
        width = max(len(safe.line(str(r))) for r in self._places)
        # a narrow window cuts names: what a resource is in is what people look for
        width = max(_SHORTEST_NAME, min(width, columns - len(f" ✔   {text} {right} ")))
        left = f" {_SIGNS[line.status]} {_cut(safe.line(str(resource)), width)}  "
        # one column stays free: a full line would wrap in some terminals, and the count of lines would be wrong
        room = columns - 1 - len(left) - len(right) - 1
        middle = f"{text} {detail}".rstrip()[: max(0, room)].ljust(max(0, room))
        plain = f"{left}{middle} {right}"
        if len(plain) > columns - 1:
            return plain[: columns - 1]
        shown = (
            middle.replace(text, self._paint(_COLORS[line.status], text), 1) if len(text) <= room else middle
        )
        return (
            f" {self._paint(_COLORS[line.status], _SIGNS[line.status])}{left[2:]}{shown} {self._dim(right)}"
        )

    def _paint(self, code: str, text: str) -> str:
        return safe.paint(code, text) if self._color else text

    def _dim(self, text: str) -> str:
        return self._paint("2", text)
