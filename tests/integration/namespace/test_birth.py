"""The process that a helper lets be born: known to whoever waits, also when the helper dies in that moment."""

from __future__ import annotations

import os
import pathlib
import signal

import pytest

from composer.runtime.base import syscalls
from composer.runtime.container import birth
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root


def test_a_process_whose_helper_is_killed_at_once_is_known() -> None:
    note = birth.Note()
    helper = os.fork()
    if helper == 0:
        if birth.give(note):
            os.kill(os.getpid(), signal.SIGKILL)  # before it could say anything
        signal.pause()
        os._exit(0)
    note.keep_from_children()
    assert os.waitpid(helper, 0)[1] == signal.SIGKILL
    number, said = note.read()
    assert number > 0 and said == {}
    pidfd = os.pidfd_open(number)
    syscalls.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert os.waitpid(number, 0) == (number, signal.SIGKILL)
    os.close(pidfd)


def test_why_there_is_none_is_said_and_cut_where_it_is_long() -> None:
    for text in ("short", "long " * 4000):
        note = birth.Note()
        note.fail(text, 126)
        number, said = note.read()
        assert number == 0 and said["exit_code"] == 126 and text.startswith(said["error"])


def test_nobody_is_forgotten_when_a_container_ends_around_who_comes_in(stack: Stack) -> None:
    stack.up(
        "services:\n  a: {image: host, command: sleep 1000, stop_grace_period: 0s}\n"
        "  b: {image: host, command: sleep 1000, stop_grace_period: 0s}\n"
    )
    supervisor = stack.pid("supervisor")
    for _ in range(6):
        coming = [stack.popen("exec", "-T", "a", "sleep", "5") for _ in range(4)]
        stack.run("kill", "a")
        for one in coming:
            one.communicate(timeout=60)
        stack.run("up", "-d", "a")
    wait_for(lambda: not _zombies_of(supervisor), what="an end of all who came in")


def _zombies_of(parent: int) -> list[str]:
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z" and int(fields[1]) == parent:
            found.append(str(path))
    return found
