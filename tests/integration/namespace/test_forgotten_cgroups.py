"""A cgroup that is busy when its container ends goes all the same, also where the supervisor that knew it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from composer.runtime.container import cgroups
from tests.integration.namespace.conftest import Stack, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PLAIN = "{image: host, command: [sleep, inf], stop_signal: SIGKILL}"
PARENT = "composer-forgotten/inner"


def directories(id: str, parent: str = cgroups.PARENT) -> list[pathlib.Path]:
    found = [pathlib.Path(base, parent, id) for base in cgroups.detect().parents()]
    return [one for one in found if one.exists()]


@contextlib.contextmanager
def kept_busy(places: list[pathlib.Path]) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process of ours in a container's cgroups: it stays when the container ends."""
    with subprocess.Popen(["sleep", "inf"]) as intruder:
        try:
            for place in places:
                (place / "cgroup.procs").write_text(str(intruder.pid))
            yield intruder
        finally:
            intruder.kill()


def end(stack: Stack, id: str) -> None:
    """End its program from outside: a stop would kill all that is in its cgroup."""
    state = json.loads((stack.state / f"lib/containers/{id}/state.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)


def kill_supervisor(stack: Stack) -> None:
    old = stack.pid("supervisor")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: stack.pid("supervisor") != old, what="a new supervisor")


@pytest.mark.parametrize(
    ("extra", "parent"),
    [("", cgroups.PARENT), (", cpuset: '0'", cgroups.PARENT), (f", cgroup_parent: {PARENT}", PARENT)],
    ids=["plain", "cpuset", "parent"],
)
def test_the_command_that_removes_it_waits_for_its_cgroup(stack: Stack, extra: str, parent: str) -> None:
    stack.up(f"services: {{a: {PLAIN}, b: {PLAIN[:-1]}{extra}}}}}")
    (id,) = stack.out("ps", "-q", "--no-trunc", "b").split()
    places = directories(id, parent)
    assert places
    assert (len([place for place in places if "cpuset" in str(place)]) == 1) == ("cpuset" in extra)
    with kept_busy(places) as intruder:
        end(stack, id)
        wait_for(lambda: stack.out("ps", "-q", "--status", "exited"), what="its end")
        kill_supervisor(stack)
        assert intruder.poll() is None and directories(id, parent)
        threading.Timer(0.5, intruder.kill).start()
        stack.run("rm", "-f", "b")
    assert not directories(id, parent)
    assert parent == cgroups.PARENT or not directories("", parent)


def test_what_removes_itself_leaves_none_either(stack: Stack) -> None:
    stack.up(f"services: {{a: {PLAIN}, b: {PLAIN}}}")
    id = stack.out("run", "--rm", "-d", "b", "sleep", "inf").strip()
    with kept_busy(directories(id)) as intruder:
        end(stack, id)
        wait_for(lambda: not (stack.state / "lib/containers" / id).exists(), what="the removal")
        kill_supervisor(stack)
        assert intruder.poll() is None and directories(id)
    wait_for(lambda: not directories(id), what="the end of its cgroup")
