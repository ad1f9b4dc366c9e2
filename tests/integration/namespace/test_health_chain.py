"""A chain of services that wait for each other's health starts as fast as the probes are, whatever the interval."""

from __future__ import annotations

import json

import pytest

from .conftest import Stack

pytestmark = pytest.mark.root
LENGTH = 20


def chain() -> str:
    services = {}
    for n in range(LENGTH):
        services[f"s{n:02}"] = {
            "image": "host",
            "command": ["sleep", "infinity"],
            "stop_signal": "SIGKILL",
            "healthcheck": {"test": ["CMD", "true"], "interval": "1h"},
            **({"depends_on": {f"s{n - 1:02}": {"condition": "service_healthy"}}} if n else {}),
        }
    return json.dumps({"services": services})


def test_a_chain_of_health_gates_does_not_wait_for_intervals(stack: Stack) -> None:
    stack.write(chain())
    stack.run("up", "-d", "--wait", "--timeline", "times.json")
    found = json.loads((stack.directory / "times.json").read_text())
    # with Docker's first probe after a whole interval nobody would live to see this
    assert found["total_s"] < 3600
    graph = stack.out("graph")
    path = graph.splitlines()[-1]
    assert path.startswith("critical path of the last start: s00 → s01 (+")
    assert path.count("→") == LENGTH - 1
    assert "nothing to do" in stack.out("plan")
