"""The command of ``sync+exec`` in a container, with its output as it comes."""

from __future__ import annotations

import os
import selectors
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from composer.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.engine.backend import Backend
    from composer.engine.progress import Cancellation
    from composer.engine.wanted import ExecSpec


class _Wake:
    """Puts a byte into a pipe when the command is to end."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def cancelled(self, level: int) -> None:
        os.write(self._writer, b"\0")

    def close(self) -> None:
        os.close(self.reader)
        os.close(self._writer)


def run(
    backend: Backend, id: str, spec: ExecSpec, output: Callable[[str, bytes], None], cancel: Cancellation
) -> int | None:
    """Run a command; return its exit code, None after a request to cancel: then it gets SIGTERM, and is left.

    ``output`` gets the stream's name and what came on it. Raises BackendError.
    """
    wake = _Wake()
    with ExitStack() as ends:
        ends.callback(wake.close)
        cancel.subscribe(wake)
        ends.callback(cancel.unsubscribe, wake)
        session = backend.exec(id, spec)
        ends.callback(session.close)
        with selectors.DefaultSelector() as selector:
            selector.register(session.fileno(), selectors.EVENT_READ)
            selector.register(wake.reader, selectors.EVENT_READ)
            while not cancel.level:
                ready = {key.fd for key, _ in selector.select()}
                if session.fileno() not in ready:
                    continue
                chunk = session.read()
                if chunk is None:
                    return session.wait()
                output(*chunk)
        with suppress(BackendError):  # it has ended meanwhile
            session.signal(signal.SIGTERM)
        return None
