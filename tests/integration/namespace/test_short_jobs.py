"""Jobs that end at once, with many commands looking: how one ended is never unknown while a supervisor is there."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from composer.backends import namespace
from composer.engine.observed import ContainerState
from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root

JOBS = """
services:
  keep: {image: host, command: [sleep, "600"], stop_signal: SIGKILL}
  job: {image: host, command: [sh, -c, "exit 3"]}
"""


def test_what_ends_while_the_supervisor_is_busy_is_not_unknown(stack: Stack) -> None:
    """The supervisor is stopped for a moment: the process is gone, and its end is not written yet."""
    stack.up(JOBS.replace("exit 3", "sleep 0.7; exit 3"))
    supervisor = stack.pid("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    backend = namespace.connect(stack.environment())
    try:
        time.sleep(1.2)
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
