"""Ctrl-C and SIGTERM as a `Cancellation`: the first asks to stop, the second does not wait."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.engine.progress import Cancellation

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM end the command as an exception, so that what is half done is taken back."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptible(cancel: Cancellation | None = None) -> Iterator[Cancellation]:
    """Deliver SIGINT and SIGTERM to a `Cancellation` as long as the block lasts."""
    found = cancel or Cancellation()

    def request(number: int, frame: object) -> None:
        found.request()

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, request) for number in numbers]
    except ValueError:
        # not the main thread: whoever runs us has the signals, and passes a Cancellation of their own
        yield found
        return
    try:
        yield found
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
