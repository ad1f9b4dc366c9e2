"""The applications of examples/compose, driven with the installed command as their READMEs say.

Each runs in a copy of its folder, and its images are built there: on the base of `tests.examples_base`, which has all
packages, for a corner has no way to a mirror.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.example import Example
from tests.integration.namespace.conftest import wait_for

pytestmark = pytest.mark.root


@pytest.mark.parametrize("example", ["hello"], indirect=True)
def test_hello_needs_no_image_and_answers_by_service_name_and_port(example: Example) -> None:
    example.run("up", "-d")
    assert "hello from a container" in wait_for(example.fetch, what="the page")
    wait_for(lambda: "hello from a container" in example.out("logs", "visitor"), what="the visitor's line")
    assert example.run("wait", "visitor").returncode == 0
    assert " Running" in example.run("up", "-d", "web").stderr
    example.run("down")
    assert example.fetch() == ""


@pytest.mark.parametrize("example", ["queue"], indirect=True)
def test_queue_does_each_item_once_and_all_three_workers_live(example: Example) -> None:
    example.run("up", "-d")
    done = wait_for(lambda: _done(example, 30), timeout_s=20, what="the queue")
    assert sorted(done) == sorted(str(number) for number in range(30)), "an item was lost or done twice"
    assert len(example.out("ps", "-q", "worker").split()) == 3
    example.run("up", "-d", "--scale", "worker=1")
    assert len(example.out("ps", "-q", "worker").split()) == 1


def _done(example: Example, number: int) -> list[str]:
    lines = example.out("logs", "--no-log-prefix", "worker").splitlines()
    done = [line.split()[1] for line in lines if line.startswith("item ")]
    return done if len(done) >= number else []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", ["notes"], indirect=True)
def test_notes_keeps_its_notes_over_down_crash_and_change(
    example: Example, base_archive: pathlib.Path
) -> None:
    example.run("image", "load", "-i", str(base_archive))
    example.run("up", "-d", "--wait")
    assert "migrated; 0 notes" in example.out("logs", "migrate")
    assert example.fetch(data=b"buy milk") == "kept\n"
    assert "<li>buy milk</li>" in example.fetch()

    # nothing to do, and it says so; a build finds all its steps in the cache
    assert "Recreate" not in example.run("up", "-d", "--build").stderr

    # the database dies (composer kill would mean that it is to stay down): the restart policy brings it back
    killed = _pid(example, "db")
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: _pid(example, "db") not in (0, killed), what="a new database process")
    wait_for(
        lambda: "buy milk" in example.fetch(), timeout_s=30, what="the page after the database was killed"
    )

    # a changed service is recreated alone, and the others keep running
    ids = dict(_ids(example))
    example.write("services: {web: {environment: {NEW: value}}}", "compose.override.yaml")
    assert "environment.NEW: added" in example.out("plan")
    example.run("up", "-d", "--wait")
    changed = {service for service, id in _ids(example) if ids[service] != id}
    assert changed == {"web"}
    wait_for(lambda: "buy milk" in example.fetch(), timeout_s=30, what="the page after the change")

    # changed code is in the next image; what runs other images goes on
    program = example.directory / "app" / "web.py"
    program.write_text(program.read_text().replace("<p>visit", "<p>fetch"))
    ids = dict(_ids(example))
    example.run("up", "-d", "--build", "--wait")
    assert {service for service, id in _ids(example) if ids[service] != id} == {"web"}
    wait_for(lambda: "<p>fetch" in example.fetch(), timeout_s=30, what="the page of the changed code")

    # volumes outlive the containers
    example.run("down")
    assert example.fetch() == ""
    example.run("up", "-d", "--wait")
    assert "buy milk" in example.fetch()

    # the back network has no way out, the front one does not see the database
    assert example.run("exec", "-T", "proxy", "getent", "hosts", "db", check=False).returncode != 0
    assert example.inside("web", "id", "-un").strip() == "nobody"
    assert example.run("exec", "-T", "web", "touch", "/etc/x", check=False).returncode != 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", ["notes"], indirect=True)
def test_the_tests_of_notes_pass(example: Example, base_archive: pathlib.Path) -> None:
    """As the README says: with the plugin, and a name of the plugin's own."""
    example.run("image", "load", "-i", str(base_archive))
    environment = {**example.environment(), "COMPOSER_BACKEND": "namespace", "PYTEST_ADDOPTS": ""}
    del environment["COMPOSE_PROJECT_NAME"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=example.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout + done.stderr


def _pid(example: Example, service: str) -> int:
    id = example.out("ps", "-q", service).strip()
    return int(json.loads((example.state / "lib/containers" / id / "state.json").read_text()).get("pid") or 0)


def _ids(example: Example) -> Iterator[tuple[str, str]]:
    for service in ("proxy", "web", "db", "cache"):
        yield service, example.out("ps", "-q", service).strip()
