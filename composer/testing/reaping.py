"""Stacks go also when their program was killed: a process of its own waits for the program's end.

The program has the writing end of a pipe, and says which stacks it has; the pipe's end is the program's, whatever ended
it. Then what is left is taken down, and the process ends. It is in a session of its own, so that a signal for the
program's group does not reach it.

    +<JSON>     a stack: name, backend, directory and stack of its lease (or null)
    -<name>     it was taken down
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from composer.session import own_modules

_THIS = "composer.testing.reaping"


class Reaper:
    """The process that waits for ours to end; started with the first stack."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, name: str, backend: str | None, lease: tuple[str, str] | None = None) -> None:
        """Have a stack taken down at our end; with a ``lease`` only if nobody else uses it."""
        self._say("+" + json.dumps({"name": name, "backend": backend, "lease": lease}))

    def remove(self, name: str) -> None:
        self._say(f"-{name}")

    def _say(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            own_modules.command(_THIS),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Let it end: nothing is left to take down, or it is taken down now."""
        with self._lock:
            if self._process is None:
                return
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None


def main() -> None:
    """Wait for the end of standard input, and take down what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        text = line.rstrip("\n")
        if text.startswith("+"):
            found = json.loads(text[1:])
            left[found["name"]] = found
        else:
            left.pop(text[1:], None)
    threads = [threading.Thread(target=_take_down, args=(one,)) for one in left.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _take_down(one: dict[str, Any]) -> None:
    from composer.testing.leases import Lease

    if one["lease"] is None:
        _down(one)
        return
    lease = Lease(*one["lease"])
    with lease.gate():
        if not lease.is_used():
            _down(one)
            lease.remove()


def _down(one: dict[str, Any]) -> None:
    from composer.backends import choice
    from composer.engine import actions
    from composer.engine.planning.lifecycle import Teardown
    from composer.engine.progress import Silence
    from composer.engine.snapshots import keeping
    from composer.session.session import Session

    environment = dict(os.environ)
    session = Session(environment, wanted=one["backend"] or choice.configured(environment, None))
    try:
        with session.lock(one["name"], "down"):
            backend = session.backend(one["name"])
            backend.recover(one["name"])
            actions.down(session.engine(one["name"], Silence()), one["name"], Teardown((), True, "", 0))
            keeping.remove_all(backend, one["name"])
    finally:
        session.close()


if __name__ == "__main__":
    main()
