"""A program for the tests of signals: ``composer`` on a memory backend in which stopping takes its time.

``python stack.py SECONDS ARGUMENT…``: each stop lasts that long. What the backend was asked for is the last line.
"""

from __future__ import annotations

import os
import sys
import time

from composer.backends.memory import Behaviour, MemoryBackend
from composer.cli.main import run


class Slow(MemoryBackend):
    delay_s = 0.0

    def stop_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        if timeout_s != 0:
            time.sleep(self.delay_s)
        super().stop_container(id, timeout_s=timeout_s)

    def close(self) -> None:
        """Stay, to be asked at the end."""


def main() -> None:
    backend = Slow()
    backend.delay_s = float(sys.argv[1])
    backend.behave("web", Behaviour(output=("listening",)))
    code = run(sys.argv[2:], os.environ, connect=lambda name, environment: backend)
    print("calls:", *(f"{method}={name}" for method, name in backend.calls), flush=True)
    os._exit(code)


main()
