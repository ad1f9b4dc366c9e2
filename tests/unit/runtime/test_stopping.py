"""Which first processes would notice a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from composer.runtime.tasks.stopping import would_notice

_READY = "print('ready', flush=True)"


@contextmanager
def _running(script: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"import time; {_READY}; time.sleep(60)", False),
        (f"import signal; signal.signal(15, print); {_READY}; signal.pause()", True),
        # As tini and dumb-init wait: what is waited for is not among the blocked meanwhile.
        (f"import signal; signal.pthread_sigmask(0, {{15}}); {_READY}; signal.sigwait({{15}})", True),
    ],
)
def test_who_waits_for_a_signal_notices_it(script: str, expected: bool) -> None:
    with _running(script) as pid:
        for _ in range(50):  # it says that it is ready a moment before it waits
            assert would_notice(pid, signal.SIGTERM) is expected
        assert not would_notice(pid, signal.SIGKILL)


def test_nobody_notices_anything_who_is_gone() -> None:
    with _running(f"import time; {_READY}; time.sleep(60)") as pid:
        gone = pid
    assert not would_notice(gone, signal.SIGTERM)
