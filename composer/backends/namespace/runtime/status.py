"""The states of a container and the moves between them; read by the supervisor and by whoever observes."""

from __future__ import annotations

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
