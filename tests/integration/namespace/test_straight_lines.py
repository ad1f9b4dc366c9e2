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
    """Of three rounds the fewest: what it looks after every few seconds is counted, too, on a busy machine."""
    service = "{image: host, command: [sleep, infinity], stop_signal: SIGKILL, ports: ['127.0.0.1::80']}"
    stack.write("services:\n" + "".join(f"  {name}: {service}\n" for name in _services(0, _MANY)))
    stack.run("up", "-d", *_services(0, _FEW))
    fewest: dict[tuple[str, int], float] = {}

    def play(verb: tuple[str, ...], first: int, last: int) -> None:
        before = _calls(stack)
        stack.run(*verb, *_services(first, last))
        each = (_calls(stack) - before) / (last - first)
        key = (verb[0], last - first)
        fewest[key] = min(each, fewest.get(key, each))

    for _ in range(3):
        play(("up", "-d"), _FEW, _MORE)
        play(("up", "-d"), _MORE, _MANY)
        play(("stop",), _MORE, _MANY)
        play(("stop",), _FEW, _MORE)
    few, many = _MORE - _FEW, _MANY - _MORE
    assert fewest["up", few] > 10, "it has seen the work"
    assert fewest["up", many] < 1.5 * fewest["up", few]
    assert fewest["stop", many] < 1.5 * fewest["stop", few]
