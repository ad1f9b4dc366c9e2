"""A keeper that is started while the project is still loaded: nothing is left of it, and nothing hangs."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys

import pytest

from composer.runtime.base import records
from composer.runtime.base.state import Paths
from composer.runtime.objects.client import Client
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

ROOT = pathlib.Path(__file__).parents[3]
GOOD = "services: {web: {image: host, command: [sleep, infinity], stop_signal: SIGKILL}}\n"


def _left(stack: Stack) -> list[str]:
    """Return the directories of a project that has nothing any more."""
    return sorted(map(str, (*stack.state.glob("lib/supervision/*"), *stack.state.glob("run/projects/*"))))


def test_it_is_there_when_it_is_asked(tmp_path: pathlib.Path) -> None:
    paths = Paths(str(tmp_path / "lib"), str(tmp_path / "run"))
    client = Client(paths, "app")
    client.begin()
    assert client._begun is not None
    first = client.take()
    assert client._begun is None
    keeper = records.keeper(paths.supervision("app"))
    second = Client(paths, "app")
    second.begin()
    assert second._begun is None, "there is one already"
    second.close(wait=False)
    client.close(wait=False)
    client.give_back(first)  # of a thread that was at work
    client.close(wait=True)
    assert keeper is not None
    wait_for(lambda: not (tmp_path / "run" / "projects" / "app").exists(), what="the end of the supervisor")
    unused = Client(paths, "app")
    unused.begin()
    unused.close(wait=True)
    assert not (tmp_path / "run" / "projects" / "app").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {web: {image: host, nothing: 1}}\n", "nothing"),
        ("services: {web: [\n", "cannot read YAML"),
        ("services: {web: {image: no.where.example/at-all:1, pull_policy: never}}\n", "no.where.example"),
    ],
    ids=["unknown attribute", "no YAML", "no image"],
)
def test_one_that_is_not_needed_leaves_nothing(stack: Stack, text: str, said: str) -> None:
    stack.write(text)
    for _ in range(4):
        result = stack.run("up", "-d", check=False, timeout_s=60)
        assert result.returncode
        assert said in result.stderr
        assert not _left(stack)


def test_an_interrupt_in_any_early_moment_ends_it(stack: Stack) -> None:
    stack.write(GOOD)
    dice = random.Random(4)
    for _ in range(25):
        process = stack.popen("up", "-d")
        try:
            process.wait(dice.uniform(0.03, 0.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode in (0, 1, 130, -signal.SIGINT)
        stack.run("down")
    wait_for(lambda: not _left(stack), what="nothing of the project")


def test_a_state_directory_that_is_none_is_no_bug(tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: host, nothing: 1}}\n")
    (tmp_path / "file").touch()
    result = subprocess.run(
        [sys.executable, "-m", "composer", "--backend", "namespace", "up", "-d"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COMPOSER_ROOT": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "nothing" in result.stderr
    assert "bug" not in result.stderr
