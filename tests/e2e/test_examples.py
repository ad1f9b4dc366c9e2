"""The applications of examples/compose, driven with the installed command as their READMEs say.

Each runs in a copy of its folder, and its images are built there: on the base of `tests.examples_base`, which has all
packages, for a corner has no way to a mirror.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests import examples_base
from tests.integration.namespace.conftest import Stack, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.root

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "compose"


class Example(Stack):
    """An example in a folder of its own, on a port that nobody else has."""

    port = 0

    def environment(self) -> dict[str, str]:
        ports = {f"{name}_PORT": str(self.port) for name in ("HELLO", "NOTES", "REGISTRY")}
        return {**super().environment(), **ports, "BASE": examples_base.NAME}

    def fetch(self, path: str = "/", data: bytes | None = None) -> str:
        """Return what the published port answers; nothing while it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            return ""
        except OSError:
            return ""


def _left(example: Example) -> list[str]:
    """Return what is still there of this example, whatever else runs on the machine."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if str(example.state) in line]
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if command.startswith("composer: ") and example.name in command:
            found.append(command)
    for part in ("containers", "names", "networks", "volumes"):
        found += [str(path) for path in (example.state / "lib" / part).glob("*")]
    return found


@pytest.fixture
def example(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Example]:
    """The example that the test's parameter or marker names; afterwards nothing of it may be left."""
    name = str(request.param)
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    made = Example(tmp_path / name, tmp_path / "state", f"e2e-{name}-{secrets.token_hex(4)}")
    made.port = free_port()
    yield made
    made.run("down", "-v", "-t", "1", check=False)
    wait_for(lambda: not _left(made), what="the end of everything that was started")


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


@pytest.fixture(scope="module")
def base_archive() -> str:
    """An archive with the base of the examples' images: in a corner it must be there already."""
    found = examples_base.archive()
    if found is None:
        pytest.skip("needs root and mmdebstrap to make the base of the examples' images")
    return str(found)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", ["notes"], indirect=True)
def test_notes_keeps_its_notes_over_down_crash_and_change(example: Example, base_archive: str) -> None:
    example.run("image", "load", "-i", base_archive)
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


def _pid(example: Example, service: str) -> int:
    id = example.out("ps", "-q", service).strip()
    return int(json.loads((example.state / "lib/containers" / id / "state.json").read_text()).get("pid") or 0)


def _ids(example: Example) -> Iterator[tuple[str, str]]:
    for service in ("proxy", "web", "db", "cache"):
        yield service, example.out("ps", "-q", service).strip()
