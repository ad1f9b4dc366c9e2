"""The file of a config or secret has the owner and the mode that its grant says; without them it is the host's own."""

from __future__ import annotations

import pytest

from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root

PROJECT = """
services:
  a:
    image: host
    command: [sleep, inf]
    stop_signal: SIGKILL
    secrets:
      - {source: own, target: changed, uid: '7', gid: '8', mode: 0o400}
      - {source: own, target: half, uid: '7'}
      - {source: own, target: plain}
    configs: [{source: own, target: /conf, mode: 0o600}]
secrets: {own: {file: ./own.txt}}
configs: {own: {file: ./own.txt}}
"""


def test_owner_and_mode_are_those_that_were_asked_for(stack: Stack) -> None:
    file = stack.directory / "own.txt"
    file.write_text("first\n")
    file.chmod(0o640)
    stack.up(PROJECT)
    shown = stack.inside(
        "a", "stat", "-c", "%n %u:%g %a", "/run/secrets/changed", "/run/secrets/half", "/conf"
    )
    assert shown.split("\n")[:3] == [
        "/run/secrets/changed 7:8 400",
        "/run/secrets/half 7:0 444",
        "/conf 0:0 600",
    ]
    assert stack.inside("a", "stat", "-c", "%a", "/run/secrets/plain").strip() == "640"
    assert file.stat().st_mode & 0o777 == 0o640, "the user's own stays as it is"
    for name in ("changed", "half", "plain"):
        assert stack.inside("a", "cat", f"/run/secrets/{name}") == "first\n"


def test_a_changed_file_makes_the_container_anew(stack: Stack) -> None:
    file = stack.directory / "own.txt"
    file.write_text("first\n")
    stack.up(PROJECT)
    file.write_text("second\n")
    stack.run("up", "-d")
    assert stack.inside("a", "cat", "/run/secrets/changed") == "second\n"
