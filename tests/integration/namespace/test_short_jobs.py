"""Jobs that end at once, with many commands looking: how one ended is never unknown while a supervisor is there."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from composer.backends import namespace
from composer.engine.observed import ContainerState
from tests.integration.namespace import ends
from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root

JOBS = """
services:
  keep: {image: host, command: [sleep, "600"], stop_signal: SIGKILL}
  job: {image: host, command: [sh, -c, "exit 3"]}
"""


def test_what_ends_while_the_supervisor_is_busy_is_not_unknown(stack: Stack) -> None:
    """The supervisor is stopped for a moment: the process is gone, and its end is not written yet."""
    waits = "while ! [ -e /project/go ]; do sleep 0.01; done; exit 3"
    stack.up(
        JOBS.replace("exit 3", waits).replace(
            "image: host, command: [sh", "image: host, volumes: ['.:/project'], command: [sh"
        )
    )
    supervisor, job = stack.pid("supervisor"), ends.state_of(stack, "job")["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    backend = namespace.connect(stack.environment())
    try:
        (stack.directory / "go").touch()
        ends.wait_for_end(job)
        (seen,) = [c for c in backend.observe(stack.name).containers if c.name.endswith("-job-1")]
        assert not seen.exit_unknown
        assert seen.state is ContainerState.RUNNING
        threading.Timer(0.3, os.kill, (supervisor, signal.SIGCONT)).start()
        assert backend.wait_container(seen.id) == 3
    finally:
        os.kill(supervisor, signal.SIGCONT)
        backend.close()
    states = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    assert [one["ExitCode"] for one in states if one["Service"] == "job"] == [3]
