"""What is done for one container, port or network more does not depend on how many there are: counted, not timed.

The figures are those of today and a tenth more. Who needs more of them changes them here, and says why.
"""

from __future__ import annotations

import pathlib
import shutil

import pytest

from tests.counting import Count, count_command, counting
from tests.integration.namespace.conftest import COMMAND, Stack

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


# ------------------------------------------------------------------ calls, up to four hundred of a kind

_STRACED = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
_SERVICE = "image: host, command: [sleep, infinity], stop_signal: SIGKILL"


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run the counted commands once: what they import is in one file from then on."""
    if shutil.which("strace") is None:
        return
    place = tmp_path_factory.mktemp("compiled")
    stack = Stack(place, place / "state", "compiled")
    stack.write(f"services:\n  a: {{{_SERVICE}, ports: ['127.0.0.1::80']}}\n")
    for arguments in (("up", "-d"), ("up", "-d"), ("stop",), ("rm", "-sf"), ("down",)):
        with stack.popen(*arguments) as process:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said


def _played(stack: Stack, *arguments: str) -> tuple[Count, Count]:
    """Run a command; return what it called, and what the supervisor did meanwhile."""
    with counting(stack.pid("supervisor")) as supervisor:
        command = [COMMAND, "--backend", "namespace", *arguments]
        counted = count_command(command, stack.directory, stack.environment())
    return counted, supervisor.result


def _check(count: Count, number: int, **most: float) -> None:
    """Check the counts for one of so many. What has no figure here depends on how long it took."""
    each = count.each(number)
    assert not {name: each[name] for name in most if each[name] > most[name]}, (most, each)


@_STRACED
def test_containers(stack: Stack) -> None:
    def write(number: int) -> None:
        stack.write("services:\n" + "".join(f"  s{one:03}: {{{_SERVICE}}}\n" for one in range(number)))

    write(25)
    stack.run("up", "-d")
    for before, after in ((25, 50), (50, 100), (100, 200), (200, 400)):
        write(after)
        command, supervisor = _played(stack, "up", "-d")
        # twice as many as before each time: what is read of those that are there is in it
        _check(command, after - before, files=42, requests=0, listings=0.5, transactions=0, forks=0.8)
        _check(supervisor, after - before, files=38, requests=3, transactions=0, forks=1)
        assert supervisor.forks == after - before, "it has seen the work"
    command, supervisor = _played(stack, "up", "-d")
    _check(command, 400, files=6, requests=0, listings=0.1, forks=0.1)
    _check(supervisor, 400, files=0.5, requests=0, forks=0)
    command, supervisor = _played(stack, "stop")
    _check(command, 400, files=5, requests=0, listings=0.1, forks=0.1)
    _check(supervisor, 400, files=12.5, requests=0.1, forks=0)


@_STRACED
def test_ports(stack: Stack) -> None:
    def write(number: int) -> None:
        ports = ", ".join(f"'127.0.0.1::{9000 + one}'" for one in range(number))
        stack.write(f"services:\n  idle: {{{_SERVICE}}}\n  a: {{{_SERVICE}, ports: [{ports}]}}\n")

    write(1)
    stack.run("up", "-d")
    for number in (50, 100, 200, 400):
        write(number)
        stack.run("rm", "-sf", "a")
        command, supervisor = _played(stack, "up", "-d")
        _check(command, 1, files=230, requests=0, listings=12, transactions=0, forks=4)
        _check(supervisor, 1, files=80, requests=8, transactions=1, forks=1)
        command, supervisor = _played(stack, "rm", "-sf", "a")
        _check(command, 1, files=230, requests=0, listings=4, transactions=0, forks=4)
        # the connections of each port are ended, those of both families
        _check(supervisor, number, files=0.5, requests=2.2, transactions=1 / number, forks=0)
        assert supervisor.transactions == 1, "it has seen the work"


@_STRACED
def test_networks(stack: Stack) -> None:
    def write(number: int) -> None:
        names = [f"n{one:03}" for one in range(number)]
        services = (
            f"  idle: {{{_SERVICE}, networks: [n000]}}\n  a: {{{_SERVICE}, networks: [{', '.join(names)}]}}\n"
        )
        stack.write(f"services:\n{services}networks:\n" + "".join(f"  {name}: {{}}\n" for name in names))

    write(1)
    stack.run("up", "-d", "idle")
    for before, number in ((1, 50), (50, 100), (100, 200)):
        new = number - before
        write(number)
        command, supervisor = _played(stack, "up", "-d")
        _check(command, new, files=52, requests=36, listings=40, transactions=1.1, forks=0.8)
        _check(supervisor, number, files=12, requests=4.5, transactions=0, forks=0.1)
        assert command.transactions >= new, "it has seen the work"
        stack.run("rm", "-sf", "a")
