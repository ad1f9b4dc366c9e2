"""An engine that goes away in the middle of a command, or is slow: one clear line, and the next run goes on."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from tests.integration.docker.conftest import COMMAND, Stack
from tests.integration.docker.proxy import Proxy
from tests.integration.namespace.conftest import wait_for

pytestmark = pytest.mark.docker

THREE = """
services:
  a: {image: IMAGE, command: [sh, -c, 'echo said; sleep 600'], stop_signal: SIGKILL}
  b: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL, depends_on: [a]}
  c: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL, depends_on: [b]}
"""


def proxy(tmp_path: pathlib.Path, **more: object) -> Proxy:
    return Proxy(tmp_path, os.environ["COMPOSER_TEST_DOCKER"], **more)  # type: ignore[arg-type]


def one_line(stderr: str) -> str:
    """Return the error, which is one line with a remedy."""
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert "hint: " in stderr
    assert "Traceback" not in stderr
    assert "bug" not in stderr
    return errors[0]


@pytest.mark.parametrize(
    "moment",
    [
        r"POST \S+/networks/create",
        r"POST \S+/containers/create\S*-b-1",
        r"POST \S+/containers/\w+/start",
        r"GET \S+/containers/json",
    ],
)
def test_up_is_cut_and_the_next_completes_it(stack: Stack, tmp_path: pathlib.Path, moment: str) -> None:
    stack.write(THREE)
    with proxy(tmp_path, ends_at=moment) as between:
        failed = stack.ours("up", "-d", check=False, DOCKER_HOST=between.url)
        assert between.gone.is_set(), "the moment never came"
    assert failed.returncode == 1
    assert "engine" in one_line(failed.stderr).lower()
    stack.ours("up", "-d")
    assert stack.plan() == ""
    assert len(stack.ours("ps", "-q").stdout.split()) == 3


_FOLLOWS = re.compile(rb"(GET|POST) \S*(follow=(1|true)|/events|/wait|/attach)")


@pytest.mark.parametrize("verb", [("logs", "-f"), ("up",), ("events",), ("wait", "a")])
def test_what_follows_ends_with_the_engine(
    stack: Stack, tmp_path: pathlib.Path, verb: tuple[str, ...]
) -> None:
    stack.write(THREE)
    stack.ours("up", "-d")
    with proxy(tmp_path) as between:
        process = subprocess.Popen(
            [*COMMAND, *verb],
            cwd=stack.directory,
            env={
                **os.environ,
                "DOCKER_HOST": between.url,
                "COMPOSE_PROJECT_NAME": stack.name,
                "COMPOSER_ROOT": str(stack.directory / "state"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # it follows by then; were it sooner, the test would still hold
        wait_for(lambda: _FOLLOWS.search(between.asked) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        between.end()
        try:
            _, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            pytest.fail("it goes on without an engine")
    assert process.returncode == 1
    assert "engine" in one_line(err).lower()
    stack.ours("up", "-d")
    assert stack.plan() == ""


def test_a_slow_engine_is_waited_for(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.write(THREE)
    with proxy(tmp_path, delay_s=0.2) as between:
        stack.ours("up", "-d", DOCKER_HOST=between.url)
        assert stack.ours("plan", DOCKER_HOST=between.url).stdout.startswith("nothing to do")
        stack.ours("down", "-t", "0", DOCKER_HOST=between.url)
    assert stack.ids() == []
