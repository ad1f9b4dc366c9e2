"""The pytest plugin, by runs of pytest: scopes, reports, keeping, sharing, and ends of all kinds."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from composer.engine.snapshots import keeping
from composer.session.session import Session

HEAD = """
import os, pathlib, time
import pytest
pytestmark = pytest.mark.compose("compose.yaml")
"""


class Project:
    """A directory with a compose file and tests."""

    def __init__(self, directory: pathlib.Path, backend: str) -> None:
        self.directory, self.backend = directory, backend

    def start(self, tests: str, *arguments: str) -> subprocess.Popen[str]:
        (self.directory / "test_it.py").write_text(HEAD + tests)
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            *arguments,
        ]
        return subprocess.Popen(
            words,
            cwd=self.directory,
            env={**os.environ, "PYTEST_ADDOPTS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, tests: str, *arguments: str) -> str:
        process = self.start(tests, *arguments)
        return process.communicate(timeout=180)[0]

    def stacks(self) -> set[str]:
        """Return the names of the projects that are there."""
        session = Session(dict(os.environ), wanted=self.backend)
        try:
            labels = [one.labels["com.docker.compose.project"] for one in session.backend().projects()]
        finally:
            session.close()
        return {name for name in labels if name.startswith(self.directory.name)}

    def snapshots(self) -> list[str]:
        """Return the names of this directory's projects that have snapshots."""
        session = Session(dict(os.environ), wanted=self.backend)
        try:
            found = [one.project for one in keeping.keeper_of(session.backend()).snapshots()]
        finally:
            session.close()
        return [name for name in found if name.startswith(self.directory.name)]

    def await_stacks(self, count: int, seconds: float = 30) -> set[str]:
        until = time.monotonic() + seconds
        while len(found := self.stacks()) != count:
            assert time.monotonic() < until, found
            time.sleep(0.1)
        return found


@pytest.fixture
def project(directory: pathlib.Path, backend: str) -> Project:
    return Project(directory, backend)


def test_a_stack_for_the_session_the_module_and_the_function(project: Project) -> None:
    output = project.run("""
names = {}
@pytest.fixture(scope="session")
def prepared(compose_session): return compose_session("compose.yaml")
def test_zero(stack, prepared): assert prepared is stack
def test_one(stack):
    names["session"] = stack.name
    stack.snapshot("one")
def test_two(stack): assert names["session"] == stack.name
@pytest.mark.compose("compose.yaml", scope="function")
def test_three(stack):
    names["function"] = stack.name
    stack["db"].exec(["touch", "/data/x"])
@pytest.mark.compose("compose.yaml", scope="function", services=["db"])
def test_four(stack):
    assert [one.name for one in stack.ps()] == [stack["db"].container().name]
    assert stack["db"].exec(["ls", "/data"]).stdout == ""
def test_five(compose):
    one, other = compose("compose.yaml", name="a", services=["db"]), compose("compose.yaml", name="b", services=["db"])
    assert len({one.name, other.name, *names.values()}) == 4
def test_six(stack): assert stack["web"].wait_http(80) == b"hello\\n"
""")
    assert "7 passed" in output, output
    assert project.stacks() == set() and project.snapshots() == []


def test_a_failed_test_shows_what_services_printed_meanwhile(
    project: Project, tmp_path: pathlib.Path
) -> None:
    output = project.run(
        """
def test_before(stack): stack["db"].exec(["sh", "-c", "echo early >/proc/1/fd/1"])
def test_fails(stack):
    stack["db"].exec(["sh", "-c", "echo late >/proc/1/fd/1"])
    stack["db"].wait_log("late", 10)
    assert False
""",
        f"--junitxml={tmp_path}/junit.xml",
        f"--composer-report={tmp_path}/report",
    )
    assert "1 failed, 1 passed" in output, output
    section = output.partition("- stack ")[2]
    assert re.search(r"db\S*: running \(healthy\)", section) and "db | late" in section, output
    assert "early" not in section and "db | started" not in section
    report = (tmp_path / "report/composer.html").read_text()
    assert "1 test failed" in report and "late</div>" in report and "Critical path: db" in report
    assert "db | late" in ET.tostring(ET.parse(tmp_path / "junit.xml").getroot(), encoding="unicode")


def test_a_setup_that_fails_leaves_nothing(project: Project) -> None:
    output = project.run("""
BAD = {"services": {"db": {"healthcheck": {"test": ["CMD", "sh", "-c", "echo because; exit 1"],
       "retries": 1, "interval": "50ms", "start_period": "0s"}}}}
@pytest.mark.compose("compose.yaml", overrides=BAD)
def test_it(stack): pass
@pytest.mark.compose("compose.yaml", overrides=BAD)
def test_once_more(stack): pass
""")
    assert "2 errors" in output and "health check: because" in output, output
    assert project.stacks() == set()


def test_a_file_that_is_not_there_and_an_unknown_argument_are_said(project: Project) -> None:
    output = project.run("""
@pytest.mark.compose("none.yaml")
def test_one(stack): pass
@pytest.mark.compose("compose.yaml", nothing=1)
def test_two(stack): pass
""")
    assert (
        "compose file 'none.yaml' is neither in" in output and "compose has no argument 'nothing'" in output
    )


def test_stacks_are_kept_and_used_again(project: Project) -> None:
    tests = """
def test_it(stack):
    pathlib.Path("ids").open("a").write(stack["db"].container().id + " ")
    assert not pathlib.Path("fails").exists()
"""
    (project.directory / "fails").touch()
    assert "is left running" in project.run(tests, "--composer-keep=failed")
    [kept] = project.stacks()
    _down(project, kept)
    (project.directory / "fails").unlink()
    assert "is left running" not in project.run(tests, "--composer-keep=failed")
    assert project.stacks() == set()
    (project.directory / "ids").unlink()
    for _ in range(2):
        assert "1 passed" in project.run(tests, "--composer-reuse")
    one, other = (project.directory / "ids").read_text().split()
    assert one == other
    [reused] = project.stacks()
    _down(project, reused)


def _down(project: Project, name: str) -> None:
    words = [sys.executable, "-m", "composer", "-p", name, "down", "-v", "-t", "0"]
    subprocess.run(words, cwd=project.directory, check=True, capture_output=True)


@pytest.mark.parametrize("mode", ["worker", "shared"])
def test_workers_have_a_stack_each_or_one_for_all(project: Project, mode: str) -> None:
    output = project.run(
        """
@pytest.mark.parametrize("number", range(8))
def test_it(stack, number):
    assert stack["web"].wait_http(80) == b"hello\\n"
    pathlib.Path(f"used-{stack.name}").touch()
    time.sleep(0.2)
""",
        "-n",
        "3",
        f"--composer-xdist={mode}",
    )
    assert "8 passed" in output, output
    used = len(list(project.directory.glob("used-*")))
    assert used == (1 if mode == "shared" else 3)
    assert project.stacks() == set()
    leases = pathlib.Path(os.environ["COMPOSER_ROOT"]) / "leases"
    assert not leases.exists() or list(leases.iterdir()) == []


@pytest.mark.parametrize("mode", ["worker", "shared"])
def test_nothing_is_left_of_a_run_that_was_killed(project: Project, mode: str) -> None:
    process = project.start(
        """
@pytest.mark.parametrize("number", range(3))
def test_it(stack, number):
    pathlib.Path(f"up-{number}").touch()
    if number == 0:
        while len(list(pathlib.Path().glob("up-*"))) < 3:
            time.sleep(0.1)
        stack.snapshot("kept")
    time.sleep(300)
""",
        "-n",
        "3",
        f"--composer-xdist={mode}",
    )
    project.await_stacks(1 if mode == "shared" else 3)
    until = time.monotonic() + 60
    while not project.snapshots():
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    project.await_stacks(0)
    until = time.monotonic() + 30
    while project.snapshots():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_nothing_is_left_after_an_interrupt(project: Project) -> None:
    process = project.start("def test_it(stack): time.sleep(300)\n")
    project.await_stacks(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert project.stacks() == set()


def test_the_fixtures_of_pytest_docker(project: Project) -> None:
    (project.directory / "conftest.py").write_text("""
import pathlib
import pytest
@pytest.fixture(scope="session")
def docker_compose_file(): return str(pathlib.Path(__file__).parent / "compose.yaml")
@pytest.fixture(scope="session")
def docker_compose_project_name(): return pathlib.Path(__file__).parent.name
""")
    (project.directory / "compose.yaml").write_text(
        (project.directory / "compose.yaml").read_text().replace('"18099:80"', '"80"')
    )
    output = project.run(
        """
import urllib.request
def answers(url):
    try:
        return urllib.request.urlopen(url).status == 200
    except OSError:
        return False
def test_it(docker_ip, docker_services):
    url = f"http://{docker_ip}:{docker_services.port_for('web', 80)}"
    docker_services.wait_until_responsive(timeout=30.0, pause=0.1, check=lambda: answers(url))
""",
        "--composer-as-pytest-docker",
    )
    assert "1 passed" in output, output
    assert project.stacks() == set()


def test_the_class_of_testcontainers(directory: pathlib.Path, backend: str) -> None:
    from composer.testing import DockerCompose

    (directory / "compose.yaml").write_text(
        (directory / "compose.yaml").read_text().replace('"18099:80"', '"80"')
    )
    lines = (directory / "compose.yaml").read_text().splitlines()
    (directory / "compose.yaml").write_text("\n".join(line for line in lines if "container_name" not in line))
    with DockerCompose(directory) as one, DockerCompose(directory) as other:
        host, port = one.get_service_host_and_port("web", 80)
        one.wait_for(f"http://{host}:{port}/")
        assert one.get_service_port("web", 80) != other.get_service_port("web", 80)
        assert one.exec_in_container(["sh", "-c", "echo a; echo b >&2; exit 2"], "db") == ("a\n", "b\n", 2)
        assert "ready" in one.get_logs("web")[0]
        assert {container.Service for container in one.get_containers()} == {"db", "web"}
        name = one.stack.name
    assert one.stack.name == name and one.get_containers(include_all=True) == []
    one.stack.close()
