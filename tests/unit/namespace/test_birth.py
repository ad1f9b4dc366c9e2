"""A helper that lets a process be born may be killed at any moment: by a stop, or for want of memory."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest

from composer.backends.namespace.runtime import birth, launching, process, syscalls


def _killed_right_after(note: birth.Note) -> None:
    """In a helper: clone, and die of a kill before the next instruction."""
    clone = syscalls.clone_sibling

    def killed(*arguments: object) -> int:
        pid = clone(*arguments)  # type: ignore[arg-type]
        if pid:
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    syscalls.clone_sibling = killed
    try:
        birth.give(note)
    finally:
        os._exit(0)


def test_a_process_is_known_whose_helper_was_killed_as_soon_as_it_was_born() -> None:
    # One that nobody knows of is never reaped, and its container's first process waits for that for ever.
    note = birth.Note()
    helper = os.fork()
    if helper == 0:
        _killed_right_after(note)
    assert os.WIFSIGNALED(os.waitpid(helper, 0)[1])
    said = note.read()
    born = int(said.get("pid", 0))
    if not born:
        os.waitpid(-1, 0)
    assert born
    assert os.waitpid(born, 0)[0] == born


def test_a_start_that_comes_to_nothing_takes_along_what_was_born_meanwhile() -> None:
    # Whoever has SYS_PTRACE in the namespace may make it fail at that moment, and would then not be stopped.
    note = birth.Note()
    helper = os.fork()
    if helper == 0:
        if not birth.give(note):
            signal.pause()
        os._exit(0)
    os.waitpid(helper, 0)
    launching.bury(SimpleNamespace(note=note))  # type: ignore[arg-type]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_a_helper_says_comes_to_its_parent() -> None:
    note = birth.Note()
    helper = os.fork()
    if helper == 0:
        note.write(error="x" * 10_000, exit_code=126)
        os._exit(0)
    os.waitpid(helper, 0)
    said = note.read()
    assert said["exit_code"] == 126
    assert set(said["error"]) == {"x"}


def test_a_process_that_cannot_be_made_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(syscalls, "clone_sibling", refused)
    note = birth.Note()
    with pytest.raises(process.ProcessFailed, match="seccomp profile"):
        birth.give(note)
    assert note.read() == {}
