"""Which processes have nothing to do until the end of a grace period: only these are not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from composer.runtime.container.resting import is_resting

pytestmark = pytest.mark.root


@contextmanager
def running(*command: str) -> Iterator[list[int]]:
    """Run a command; yield its process and those below it, once there is nothing new for a while."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        time.sleep(0.3)
        yield [process.pid, *_below(process.pid)]
    finally:
        os.killpg(process.pid, 9)
        process.communicate()


def _below(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        found = [int(word) for word in file.read().split()]
    return found + [deeper for one in found for deeper in _below(one)]


PYTHON = (sys.executable, "-S", "-c")


@pytest.mark.parametrize(
    ("command", "seconds", "rests"),
    [
        (("sleep", "infinity"), 3600, True),
        (("sleep", "600"), 10, True),
        (("sleep", "600"), 700, False),
        (("sh", "-c", "echo begun; sleep 600; echo ended"), 10, True),
        (("sh", "-c", "echo begun; sleep 3; echo ended"), 10, False),
        (("sh", "-c", "while :; do sleep 1; done"), 10, False),
        (("sh", "-c", "while :; do :; done"), 10, False),
        (("sh", "-c", "sleep 600 & sleep 2"), 10, False),
        (("timeout", "5", "sleep", "600"), 10, False),
        (("sh", "-c", "timeout 5 sleep 600; echo ended"), 10, False),
        (("tail", "-f", "/dev/null"), 10, True),
        (("tail", "-f", "/dev/null", "/etc/hostname"), 10, False),
        (("cat",), 10, False),  # whoever writes to it may have something to say
        ((*PYTHON, "import signal; signal.pause()"), 10, True),
        ((*PYTHON, "import signal; signal.signal(14, print); signal.alarm(5); signal.pause()"), 10, False),
        ((*PYTHON, "import time; time.sleep(600)"), 10, True),
        ((*PYTHON, "import time; time.sleep(5)"), 10, False),
        ((*PYTHON, "import threading; threading.Thread(target=threading.Event().wait).start()"), 10, True),
        ((*PYTHON, "import threading; threading.Event().wait(5)"), 10, False),
        ((*PYTHON, "import threading, time; threading.Thread(target=time.sleep, args=(4,)).start()"), 10, False),
        ((*PYTHON, "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.accept()"), 10, False),
        ((*PYTHON, "import select; select.epoll().poll()"), 10, False),
    ],
)  # fmt: skip
def test_only_who_sleeps_longer_rests(command: tuple[str, ...], seconds: float, rests: bool) -> None:
    with running(*command) as pids:
        assert is_resting(pids[0], pids, seconds) is rests


def test_nothing_is_concluded_from_a_part() -> None:
    with running("sh", "-c", "sleep 600; echo ended") as pids:
        assert is_resting(pids[0], pids, 10)
        assert not is_resting(pids[0], pids[:1], 10), "a child that is elsewhere may do anything"
    with running("sleep", "infinity") as pids:
        assert not is_resting(1, pids, 10)
        assert not is_resting(pids[0], [], 10)
    assert not is_resting(pids[0], pids, 10), "it has ended"
