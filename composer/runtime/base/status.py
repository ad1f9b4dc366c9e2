"""The states of a container and the moves between them; read by the supervisor and by whoever observes."""

from __future__ import annotations

import os

CREATED, STARTING, RUNNING, PAUSED, RESTARTING, EXITED = (
    "created",
    "starting",
    "running",
    "paused",
    "restarting",
    "exited",
)
ACTIVE = frozenset({STARTING, RUNNING, PAUSED, RESTARTING})
MOVES = {
    CREATED: {STARTING},
    STARTING: {RUNNING, CREATED, EXITED, RESTARTING},
    RUNNING: {PAUSED, EXITED, RESTARTING},
    PAUSED: {RUNNING, EXITED, RESTARTING},
    RESTARTING: {STARTING, EXITED},
    EXITED: {STARTING},
}


def exit_code_of(status: int) -> int:
    """Return the code of a wait status as shells and Docker count it: 128 + signal for a killed process."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


STOPPED_EARLY = "the container was stopped while it was being started"
"""What who asked for the start is told."""
