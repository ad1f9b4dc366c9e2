"""Many projects on one machine at once: addresses, ports and names never collide; who must wait says for whom."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest

from .conftest import Stack, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

MANY = 20
WEB = """
services:
  web:
    image: host
    working_dir: /srv
    command: [python3, -m, http.server, "8000", --bind, 0.0.0.0]
    configs: [{source: page, target: /srv/index.html}]
    ports: ["127.0.0.1::8000"]
    stop_signal: SIGKILL
  friend: {image: host, command: [sleep, inf], stop_signal: SIGKILL}
configs: {page: {content: "$COMPOSE_PROJECT_NAME"}}
"""


@pytest.fixture
def stacks(stack: Stack) -> list[Stack]:
    """Twenty project folders on one state directory; the fixture of ``stack`` looks for what they leave."""
    made = []
    for number in range(MANY):
        directory = stack.directory.parent / f"p{number}"
        directory.mkdir()
        made.append(Stack(directory, stack.state, f"{stack.name}n{number}"))
        made[-1].write(WEB)
    return made


def _together(stacks: list[Stack], *arguments: str) -> list[str]:
    """Run a command in all folders at once; return what each printed on stderr."""
    running = [stack.popen(*arguments) for stack in stacks]
    said = [process.communicate(timeout=200)[1] for process in running]
    failed = [text for process, text in zip(running, said, strict=True) if process.returncode]
    assert failed == []
    return said


def _page(stack: Stack) -> str:
    port = stack.out("port", "web", "8000").strip()

    def fetch() -> str:
        try:
            with urllib.request.urlopen(f"http://{port}/", timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    return wait_for(fetch, what=f"the page of {stack.name}")


def test_twenty_projects_at_once_share_nothing(stacks: list[Stack]) -> None:
    try:
        said = _together(stacks, "up", "-d")
        assert not [text for text in said if "waiting for it" in text], "different projects wait for nobody"
        state = stacks[0].state
        networks = [json.loads(path.read_text()) for path in state.glob("lib/networks/*/network.json")]
        assert len({pool["subnet"] for record in networks for pool in record["pools"]}) == MANY
        assert len({record["bridge"] for record in networks}) == MANY
        assert len({stack.out("port", "web", "8000") for stack in stacks}) == MANY
        assert [_page(stack) for stack in stacks] == [stack.name for stack in stacks]
        for stack in stacks[:: MANY // 4]:
            own = stack.inside("web", "getent", "hosts", "friend").split()[0]
            assert own == stack.inside("friend", "hostname", "-i").split()[0]
        again = _together(stacks, "up", "-d")
        assert not [text for text in again if "Recreate" in text or "Creat" in text]
    finally:
        _together(stacks, "down", "-v", "-t", "0")


def test_the_same_project_twice_at_once_makes_it_once(stacks: list[Stack]) -> None:
    one = stacks[0]
    twice = [one.popen("up", "-d") for _ in range(4)]
    said = [process.communicate(timeout=100)[1] for process in twice]
    try:
        assert [process.returncode for process in twice] == [0] * 4
        assert len(one.out("ps", "-aq").split()) == 2
        waiting = [
            text for text in said if f"project '{one.name}' is being changed by composer up (pid" in text
        ]
        assert len(waiting) >= 1, "who waits says for whom"
        assert sum("web-1 Created" in text for text in said) == 1
        assert _page(one) == one.name
    finally:
        one.run("down", "-v", "-t", "0")


def test_a_port_that_another_project_has_is_named_with_its_holder(stacks: list[Stack]) -> None:
    first, second = stacks[:2]
    first.up(WEB)
    try:
        taken = first.out("port", "web", "8000").strip()
        second.write(WEB.replace("127.0.0.1::8000", f"{taken}:8000"))
        done: subprocess.CompletedProcess[str] = second.run("up", "-d", check=False)
        assert done.returncode != 0
        assert taken.rpartition(":")[2] in done.stderr
        assert f"{first.name}-web-1" in done.stderr
        assert _page(first) == first.name
    finally:
        _together([first, second], "down", "-v", "-t", "0")


def test_names_do_not_resolve_across_projects(stacks: list[Stack]) -> None:
    first, second = stacks[:2]
    _together([first, second], "up", "-d")
    try:
        found = first.run("exec", "-T", "web", "getent", "hosts", f"{second.name}-web-1", check=False)
        assert found.returncode != 0
    finally:
        _together([first, second], "down", "-v", "-t", "0")
