"""Programs of others, called and listened to: what they say is bounded, and what outlives them holds nobody up."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from composer import userconfig
from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PIECE_BYTES = 1 << 16
_TAIL_BYTES = 1 << 14
_TAIL_LINES = 10
_MOST_AFTER_THE_END = 1 << 20
"""How many bytes are read of a pipe once the program has ended: more than a pipe holds comes from a child of it."""
_MOST_ANSWER_BYTES = 4 << 20


def plugin(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of a plugin of Docker's command line; None where there is none."""
    for path in userconfig.plugin_paths(environment, name):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


class Answer(NamedTuple):
    """What a program printed: ``tail`` is the end of its output on standard error. ``code`` as in `subprocess`."""

    code: int
    output: bytes
    tail: bytes


def ask(words: Sequence[str], environment: Mapping[str, str], *, timeout_s: float | None) -> Answer:
    """Run a program to its end; return what it printed. Raises ProviderFailed where there is no end of either."""
    output = bytearray()
    with Call(words, environment) as call:
        for piece in call.pieces(timeout_s):
            output += piece
            if len(output) > _MOST_ANSWER_BYTES:
                raise ProviderFailed(
                    f"'{' '.join(words)}' printed more than {_MOST_ANSWER_BYTES >> 20} MiB",
                    hint="run this command to see why",
                )
    return Answer(call.code, bytes(output), call.tail)


class Call:
    """A program that runs until the end of the block, where it is killed if it still does."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises ProviderFailed."""
        self._words = words
        self.tail = b""
        """The end of what it printed on standard error."""
        try:
            self._process = subprocess.Popen(
                words,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ProviderFailed(
                f"cannot run '{words[0]}': {reason}", hint="check that it is a program for this machine"
            ) from error

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    @property
    def code(self) -> int:
        """How it ended, once the pieces have: an exit code, or minus the number of a signal."""
        return self._process.wait()

    def pieces(self, timeout_s: float | None = None) -> Iterator[bytes]:
        """Yield its standard output until it has ended. Raises ProviderFailed where it has not in time.

        A child that it leaves may keep the pipes open: of these only what is in them by then is read.
        """
        assert self._process.stdout is not None and self._process.stderr is not None
        output, errors = self._process.stdout.fileno(), self._process.stderr.fileno()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        ended = os.pidfd_open(self._process.pid)
        pipes, left = {output, errors}, _MOST_AFTER_THE_END
        watched = pipes | {ended}
        try:
            while watched & pipes and left > 0:
                is_over = ended not in watched
                ready = _ready(watched, 0 if is_over else _left(until))
                if not ready and is_over:
                    break
                if not ready:
                    raise self._late(timeout_s)
                for fd in ready & pipes:
                    piece = os.read(fd, _PIECE_BYTES)
                    left -= len(piece) if is_over else 0
                    if not piece:
                        watched.discard(fd)
                    elif fd == output:
                        yield piece
                    else:
                        self.tail = (self.tail + piece)[-_TAIL_BYTES:]
                watched -= ready & {ended}
            if ended in watched and not _ready({ended}, _left(until)):
                raise self._late(timeout_s)
        finally:
            os.close(ended)

    def _late(self, timeout_s: float | None) -> ProviderFailed:
        return ProviderFailed(
            f"'{' '.join(self._words)}' did not end within {timeout_s:g} s",
            hint="run this command to see why",
        )


def _ready(watched: set[int], wait_s: float | None) -> set[int]:
    poll = select.poll()
    for fd in watched:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(None if wait_s is None else wait_s * 1000)}


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def how_it_ended(code: int) -> str:
    """Return an exit code or a signal in words, those of Go: scripts read them."""
    if code >= 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


def with_tail(error: ProviderFailed, tail: bytes) -> ProviderFailed:
    """Add the last lines of what a program printed."""
    for line in tail.decode(errors="replace").splitlines()[-_TAIL_LINES:]:
        error.add_note(f"  > {line.rstrip()}")
    return error
