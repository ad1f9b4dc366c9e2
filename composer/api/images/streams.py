"""Work that tells a client how far it is: lines of JSON while it goes on, and an end as soon as the client has gone.

The work is done by a thread of its own, which writes the lines; the request's thread watches the connection meanwhile.
A client that reads slowly holds the work up, and nothing is kept for it.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING, Any

from composer.api.http.call import JSON
from composer.api.http.problems import problem_of
from composer.api.http.wire import Gone
from composer.errors import Cancelled
from composer.parallel import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.api.http.call import Call, Sink

    Translate = Callable[[Exception], Exception]


class Lines:
    """The lines of one answer, whose head goes out with the first of them. Safe for threads."""

    def __init__(self, call: Call, stop: Stop) -> None:
        self._call, self._stop = call, stop
        self._lock = threading.Lock()
        self._sink: Sink | None = None
        self.is_gone = False

    @property
    def has_begun(self) -> bool:
        return self._sink is not None

    def write(self, document: Any) -> None:
        """Send a line. Raises Cancelled once the client has gone."""
        with self._lock:
            if self.is_gone:
                raise Cancelled("the client has gone")
            try:
                if self._sink is None:
                    self._sink = self._call.begin(200, JSON)
                self._sink.write_line(document)
                return
            except Gone:
                self.is_gone = True
        # not under the lock: whoever ends may have something to say
        self._stop.set()
        raise Cancelled("the client has gone")

    def begin(self) -> None:
        """Send the head, if it has not gone out yet."""
        with self._lock:
            if self._sink is None:
                self._sink = self._call.begin(200, JSON)

    def end(self) -> None:
        assert self._sink is not None
        self._sink.end()


def run(
    call: Call,
    work: Callable[[Lines, Stop], None],
    translate: Translate = lambda error: error,
    *,
    stop: Stop | None = None,
) -> None:
    """Do the work and send its lines. Raises what it failed with before the first of them; later that is the last line.

    ``translate`` returns an error in Docker's words. ``stop`` is said when the client goes; others may say it, too.
    Raises Gone where the client has gone, once the work has ended.
    """
    stop = stop or Stop()
    lines = Lines(call, stop)
    failure = _beside(call, lambda: work(lines, stop), lines, stop)
    if lines.is_gone:
        raise Gone
    if failure is not None:
        if not isinstance(failure, Exception):
            raise failure
        failure = translate(failure)
        if not lines.has_begun:
            raise failure
        lines.write(error_line(failure))
    lines.begin()
    lines.end()


def error_line(failure: Exception) -> dict[str, Any]:
    """Return an error as the line of a stream."""
    problem = problem_of(failure)
    detail: dict[str, Any] = {"message": problem.message}
    code = getattr(failure, "code", None)
    if code is not None:
        detail = {"code": code, **detail}
    return {"errorDetail": detail, "error": problem.message}


def _beside(call: Call, work: Callable[[], None], lines: Lines, stop: Stop) -> BaseException | None:
    """Do the work in a thread; say ``stop`` when the client goes. Return what it failed with, when it has ended."""
    failures: list[BaseException] = []
    ended = os.eventfd(0, os.EFD_CLOEXEC)

    def carry_out() -> None:
        try:
            work()
        except BaseException as error:  # told by the request's thread
            failures.append(error)
        finally:
            os.eventfd_write(ended, 1)

    thread = threading.Thread(target=carry_out, name="answer-work", daemon=True)
    thread.start()
    try:
        watched = select.poll()
        watched.register(ended, select.POLLIN)
        watched.register(call.wire.fileno(), select.POLLRDHUP)
        if not any(fd == ended for fd, _ in watched.poll()):
            lines.is_gone = True
            stop.set()
        thread.join()
    finally:
        os.close(ended)
    return failures[0] if failures else None
