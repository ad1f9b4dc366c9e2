"""A service that a program provides, on both backends: what a container really gets of it."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack

PROJECT = """
name: NAME
services:
  web:
    image: IMAGE
    command: [sh, -c, "echo got $$DB_URL $$KEY; exec sleep 600"]
    environment: {KEY: mine}
    stop_signal: SIGKILL
    depends_on: [db]
  db:
    provider: {type: DIRECTORY/cloud, options: {size: 256}}
    depends_on: [base]
  base: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL}
"""
PROVIDER = """#!/bin/sh
echo "$*" >> DIRECTORY/calls
case "$*" in
*" up "*) cat DIRECTORY/said;;
esac
"""


@pytest.fixture
def stack(empty: Stack) -> Stack:
    empty.write(PROJECT.replace("DIRECTORY", str(empty.directory)))
    program = empty.directory / "cloud"
    program.write_text(PROVIDER.replace("DIRECTORY", str(empty.directory)))
    program.chmod(0o755)
    return empty


def say(stack: Stack, url: str) -> None:
    (stack.directory / "said").write_text(
        f'{{"type":"setenv","message":"URL={url}"}}\n{{"type":"rawsetenv","message":"KEY=raw"}}\n'
    )


def test_containers_get_what_a_provider_says(stack: Stack) -> None:
    say(stack, "first")
    stack.run("up", "-d", "--wait")
    assert "got first raw" in stack.run("logs", "--no-log-prefix", "web").stdout
    assert "Recreate" not in stack.run("up", "-d").stderr
    say(stack, "second")
    assert "-web-1 Recreated" in stack.run("up", "-d", "--wait").stderr
    assert "got second raw" in stack.run("logs", "--no-log-prefix", "web").stdout
    assert stack.run("run", "--rm", "-T", "web", "sh", "-c", "echo $DB_URL").stdout == "second\n"
    down = stack.run("down").stderr
    assert down.index("-web-1 Removed") < down.index(" db Removing ") < down.index("-base-1 Removing")
    calls = (stack.directory / "calls").read_text().splitlines()
    assert calls[1] == f"compose --project-name={stack.name} up --size=256 db"
    assert calls[-1] == f"compose --project-name={stack.name} down --size=256 db"


def test_a_message_without_end_is_cut_off(stack: Stack) -> None:
    """A provider that writes without end is ended, and nothing of what it wrote is kept."""
    program = stack.directory / "cloud"
    flood = """printf '{"type":"'; exec tr '\\0' x < /dev/zero"""
    program.write_text(f"#!/bin/sh\ncase \"$*\" in *' up '*) {flood};; esac\n")
    failed = stack.run("up", "-d", code=1).stderr
    assert 'invalid response from plugin: {"type":"xxx' in failed
    assert "web-1" not in stack.containers()
