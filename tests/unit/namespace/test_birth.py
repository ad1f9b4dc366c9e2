"""The report of a helper that lets a process be born in a container."""

from __future__ import annotations

import os
import signal
from typing import Any

from composer.backends.namespace.runtime import birth


def helper(note: birth.Note, *, is_killed: bool) -> int:
    """Fork a helper that lets a process be born, which exits with 7; return how the helper ended."""
    pid = os.fork()
    if pid == 0:
        note.write = kill  # type: ignore[method-assign]
        if not birth.give(note):
            os._exit(7)
        if is_killed:
            kill()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(**_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_helper_that_is_killed_right_after_the_birth_has_reported_it() -> None:
    """Otherwise nobody reaps the new process, and the container whose pid namespace it is in never ends."""
    note = birth.Note()
    assert helper(note, is_killed=True) == -signal.SIGKILL
    pid = note.read().get("pid", 0)
    assert pid > 0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_birth_is_reported_by_the_kernel_alone() -> None:
    note = birth.Note()
    assert helper(note, is_killed=False) == 0
    pid = note.read()["pid"]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_a_report_that_was_cut_off_counts_as_none() -> None:
    note = birth.Note()
    note.write(error="no such user", exit_code=126)
    assert note.read() == {"error": "no such user", "exit_code": 126}
    cut = birth.Note()
    cut.write(error="x" * 100_000, exit_code=126)
    cut._memory[40:] = bytes(len(cut._memory) - 40)
    assert cut.read() == {}
    assert birth.Note().read() == {}
