"""What the supervisor does for one container more does not depend on how many there are: counted, not timed."""

from __future__ import annotations

import pathlib

import pytest

from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root

_FEW, _MORE, _MANY = 4, 12, 36


def _calls(stack: Stack) -> int:
    """Return how many reads and writes the supervisor has made: proc(5), io."""
    text = pathlib.Path(f"/proc/{stack.pid('supervisor')}/io").read_text()
    found = dict(line.split(": ") for line in text.splitlines())
    return int(found["syscr"]) + int(found["syscw"])


def _services(first: int, last: int) -> list[str]:
    return [f"s{number:02}" for number in range(first, last)]


def test_reads_and_writes_of_the_supervisor(stack: Stack) -> None:
    service = "{image: host, command: [sleep, infinity], stop_signal: SIGKILL, ports: ['127.0.0.1::80']}"
    stack.write("services:\n" + "".join(f"  {name}: {service}\n" for name in _services(0, _MANY)))
    marks = []
    stack.run("up", "-d", *_services(0, _FEW))
    for first, last in ((_FEW, _MORE), (_MORE, _MANY)):
        before = _calls(stack)
        stack.run("up", "-d", *_services(first, last))
        marks.append((_calls(stack) - before) / (last - first))
    few, many = marks
    assert few > 10, "it has seen the work"
    assert many < 1.5 * few
    ends = []
    for first, last in ((_MORE, _MANY), (_FEW, _MORE)):
        before = _calls(stack)
        stack.run("stop", *_services(first, last))
        ends.append((_calls(stack) - before) / (last - first))
    many, few = ends
    assert many < 1.5 * few
