"""A program under a pseudo-terminal, as a person has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_TIMEOUT_S = 30.0


class Terminal:
    """What was typed and shown; `text` is everything that has been shown so far."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self._master = process, master
        self.text = ""
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        set_size(self._master, rows, columns)
        self.process.send_signal(signal.SIGWINCH)

    def wait_for(self, text: str) -> None:
        """Wait until a text is shown after the one that was waited for before."""
        deadline = time.monotonic() + _TIMEOUT_S
        while (at := self.text.find(text, self._seen)) < 0:
            left_s = deadline - time.monotonic()
            if left_s < 0 or not self._more(left_s):
                raise AssertionError(f"{text!r} was not shown: {self.text[self._seen :]!r}")
        self._seen = at + len(text)

    def interrupt(self) -> int:
        """Press Ctrl-C until the program has ended, thrice at most, as its users do; return the exit code."""
        for _ in range(3):
            self.type("\x03")
            try:
                self.process.wait(1)
                break
            except subprocess.TimeoutExpired:
                continue
        return self.wait()

    def _more(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return False  # the program has ended
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait(self) -> int:
        """Return the exit code; what is shown meanwhile is in `text`."""
        deadline = time.monotonic() + _TIMEOUT_S
        while self._more(max(0.0, deadline - time.monotonic())):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))


def set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a command with a terminal of 24 rows and 80 columns."""
    master, slave = pty.openpty()
    set_size(master, 24, 80)
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
