"""Faults in the containers of a stack: each holds as long as whoever made it wants, and lives."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.engine import labels
from composer.faults import rules
from composer.faults.wishes import Wish, check
from composer.session import own_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer

_AGENT = "composer.faults.agent"


class Fault:
    """One fault, in one or several containers. Heal it, or use it as a context manager."""

    def __init__(self, wishes: Sequence[Wish], state: str, environment: Mapping[str, str]) -> None:
        """Make it. Raises BackendError where that cannot be; then nothing of it stays."""
        self.wishes = tuple(wishes)
        self._agents: list[subprocess.Popen[str]] = []
        try:
            for wish in wishes:
                self._agents.append(_start(state, environment))
                _tell(self._agents[-1], wish)
        except BaseException:
            self.heal()
            raise

    def heal(self) -> None:
        """Undo it; once more is no error."""
        agents, self._agents = self._agents, []
        for agent in agents:
            assert agent.stdin is not None
            agent.stdin.close()
        for agent in agents:
            agent.wait()
            for stream in (agent.stdout, agent.stderr):
                assert stream is not None
                stream.close()

    def __enter__(self) -> Fault:
        return self

    def __exit__(self, *error: object) -> None:
        self.heal()

    def __str__(self) -> str:
        return "; ".join(map(str, self.wishes))


def _start(state: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        own_modules.command(_AGENT, state),
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def _tell(agent: subprocess.Popen[str], wish: Wish) -> None:
    assert agent.stdin is not None and agent.stdout is not None
    agent.stdin.write(json.dumps(wish._asdict()) + "\n")
    agent.stdin.flush()
    line = agent.stdout.readline()
    answer = json.loads(line) if line else {"error": f"its agent has ended: {_last_line(agent)}"}
    if "error" in answer:
        raise errors.BackendError(f"cannot make the fault '{wish}': {answer['error']}")


def _last_line(agent: subprocess.Popen[str]) -> str:
    assert agent.stderr is not None
    lines = agent.stderr.read().strip().splitlines()
    return lines[-1] if lines else f"exit code {agent.wait()}"


def wishes_of(
    backend: Backend, containers: Iterable[ObservedContainer], kind: str, values: dict[str, Any]
) -> list[Wish]:
    """Return a wish for each running container. Raises ProjectError for bad values, Conflict where none runs."""
    check(kind, values)
    found = []
    for container in containers:
        if container.state.value not in ("running", "paused"):
            continue
        rows = backend.processes(container.id)
        pid = int(rows.rows[0][rows.titles.index("PID")])
        found.append(
            Wish(
                rules.new_id(),
                kind,
                labels.project_of(container),
                labels.service_of(container),
                container.name,
                pid,
                values,
            )
        )
    if not found:
        raise errors.Conflict(
            "no container is running that could have the fault", hint="start it with stack.up()"
        )
    return found


def addresses_of(containers: Iterable[ObservedContainer]) -> list[str]:
    """Return the addresses of containers in all of their networks."""
    return [
        address
        for container in containers
        for endpoint in container.endpoints
        for address in (endpoint.ipv4, endpoint.ipv6)
        if address
    ]
