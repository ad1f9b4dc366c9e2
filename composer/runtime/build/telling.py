"""What a build tells while it goes on: its steps by number, their output, how they ended. Safe for threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from composer.runtime.build.requests import News, Vertex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[News], None]

_MOST_LINES = 200
_LONGEST_LINE = 16 << 10
_MOST_TOLD_BYTES = 2 << 20
"""BuildKit's limit for the output of a step. What comes after it is kept for the message of a failure, its end."""
_TAIL_BYTES = 64 << 10


class Teller:
    """Numbers the steps of a build in the order in which they begin."""

    def __init__(self, tell: Tell, *, tells_all: bool = False) -> None:
        self._tell, self.tells_all = tell, tells_all
        self._lock = threading.Lock()
        self._numbers = 0

    def step(self, name: str, platform: str = "") -> Showing:
        """Return a step to be shown; one of several platforms has its own before its stage: ``[linux/arm64 2/4] …``."""
        return Showing(self, f"[{platform} {name[1:]}" if platform and name.startswith("[") else name)

    def warn(self, text: str) -> None:
        """Tell what everybody wants to read, and stops nothing."""
        self.news(News(Vertex(self.next_number(), ""), "warning", text))

    def planned(self, count: int) -> None:
        """Tell how many instructions there are, where everything is told."""
        if self.tells_all:
            self.news(News(Vertex(0, ""), "planned", str(count)))

    def next_number(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def news(self, news: News) -> None:
        with self._lock:
            self._tell(news)


class Showing:
    """One step as it is shown. Nothing is told of it before `running` or `cached`."""

    def __init__(self, teller: Teller, name: str) -> None:
        self._teller, self._name = teller, name
        self._vertex: Vertex | None = None
        self._begun_s = 0.0
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._halves: dict[str, bytes] = {}
        self._told_bytes = 0

    def _say(self, kind: str, text: str = "") -> None:
        assert self._vertex is not None
        self._teller.news(News(self._vertex, kind, text, time.monotonic() - self._begun_s))

    def _begin(self) -> None:
        if self._vertex is None:
            self._vertex = Vertex(self._teller.next_number(), self._name)
            self._begun_s = time.monotonic()
            self._say("begun")

    def cached(self) -> None:
        self._begin()
        self._say("cached")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Tell of the begin and of the end of the block."""
        self._begin()
        try:
            yield
        except BaseException as error:
            self._flush()
            self._say("failed", str(error) or "cancelled")
            raise
        self._flush()
        self._say("done")

    def result(self, key: str) -> None:
        """Tell what the files are called after the step, where everything is told."""
        if self._teller.tells_all:
            self._begin()
            self._say("result", key)

    def line(self, text: str) -> None:
        """Tell a line of the builder's own."""
        self._lines.append(text)
        self._say("line", text)

    def output(self, stream: str, data: bytes) -> None:
        """Tell output as it comes, line by line; half a line waits for the rest of it."""
        if self._told_bytes >= _MOST_TOLD_BYTES:
            self._halves[stream] = (self._halves.get(stream, b"") + data)[-_TAIL_BYTES:]
            return
        self._told_bytes += len(data)
        *whole, half = (self._halves.get(stream, b"") + data).split(b"\n")
        self._halves[stream] = half[-_LONGEST_LINE:]
        for line in whole:
            self.line(_text(line))
        if self._told_bytes >= _MOST_TOLD_BYTES:
            self._say("line", f"[output clipped, log limit {_MOST_TOLD_BYTES >> 20}MiB reached]")

    def _flush(self) -> None:
        for half in self._halves.values():
            for line in half.removesuffix(b"\n").split(b"\n") if half else ():
                if self._told_bytes < _MOST_TOLD_BYTES:
                    self.line(_text(line))
                else:
                    self._lines.append(_text(line))
        self._halves.clear()

    def tail(self, count: int) -> list[str]:
        """Return the last lines."""
        self._flush()
        return list(self._lines)[-count:]


def _text(line: bytes) -> str:
    # what overwrote itself (a progress bar) is shown as it was at last
    return line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r").rpartition("\r")[2].expandtabs()
