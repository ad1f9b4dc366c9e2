"""A program for the tests of streams: each verb, on a memory backend that has a stack, with streams that are broken.

``python streams_program.py CLOSED FULL VERB…``: standard streams, as digits, that are closed, and that lead to a full
disk. The verbs are JSON lists of words. Each is a process of its own; its exit code is a line of the file ``codes``.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from composer.__main__ import open_missing
from composer.backends.memory import Behaviour, MemoryBackend
from composer.cli import main as cli
from composer.cli.main import run

STACK = "services: {web: {image: nginx, ports: ['80']}, db: {image: db, volumes: ['data:/d']}}\nvolumes: {data: {}}\n"


class Lasting(MemoryBackend):
    def close(self) -> None:
        """Stay."""


def child(arguments: list[str], closed: str, full: str, backend: MemoryBackend) -> None:
    """Be the process that Python starts: with streams that are None where they are closed."""
    for digit in closed:
        os.close(int(digit))
    for digit in full:
        os.dup2(os.open("/dev/full", os.O_WRONLY), int(digit))
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        setattr(sys, name, None if str(number) in closed else os.fdopen(number, mode, closefd=False))
    open_missing()
    assert all(os.readlink(f"/proc/self/fd/{digit}") == "/dev/null" for digit in closed)
    cli.run = lambda *given, **more: run(*given, **more, connect=lambda name, environment: backend)
    sys.argv[1:] = arguments
    cli.main()


def main() -> None:
    closed, full, *verbs = sys.argv[1:]
    with open("compose.yaml", "w") as file:
        file.write(STACK)
    backend = Lasting()
    backend.behave("web", Behaviour(output=("listening",)))
    with open(os.devnull, "w") as silent:
        run(["up", "-d"], os.environ, stdout=silent, stderr=silent, connect=lambda *_: backend)
    for verb in verbs:
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            child(json.loads(verb), closed, full, backend)
        _, status = os.waitpid(pid, 0)
        with open("codes", "a") as file:
            print(os.waitstatus_to_exitcode(status), file=file)


main()
