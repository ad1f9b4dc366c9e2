"""Records that are empty or garbled, each kind, with the container running and dead.

Every command ends in a clear error, or repairs; a live process is never orphaned; one broken record hides no other;
``doctor`` lists what is broken, and ``doctor --repair`` mends it or sets it aside, losing no volume.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal

import pytest

from tests.integration.namespace.conftest import Stack, wait_for
from tests.integration.namespace.test_escapes import IDLE

pytestmark = pytest.mark.root

GARBAGE = ("", '{"half": ')
FILES = ("meta.json", "config.json", "state.json", "health.json")
TEXT = (
    f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:/v']\n"
    "    healthcheck: {test: 'true', interval: 1s}\n"
    f"  b:\n    {IDLE}\nvolumes: {{vol: }}\n"
)


def bundle_of(stack: Stack, service: str) -> pathlib.Path:
    for path in (stack.state / "lib" / "containers").iterdir():
        if json.loads((path / "meta.json").read_text())["name"] == f"{stack.name}-{service}-1":
            return path
    raise AssertionError(f"no container of {service}")


def pid_of(bundle: pathlib.Path) -> int:
    return int(json.loads((bundle / "state.json").read_text())["pid"])


def is_alive(pid: int) -> bool:
    return bool(pid) and os.path.exists(f"/proc/{pid}")


def end_supervisor(stack: Stack) -> None:
    """Kill keeper and supervisor together: the containers go on, and nobody watches."""
    found = [
        int(path.name)
        for path in pathlib.Path("/proc").iterdir()
        if path.name.isdecimal() and (path / "cmdline").exists()
        for words in [(path / "cmdline").read_bytes().decode(errors="replace")]
        if words.startswith(("composer: keeper", "composer: supervisor")) and stack.name in words
    ]
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(is_alive(pid) for pid in found))


def sane(done: object) -> None:
    """A command may fail, with an error that says something."""
    text = done.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in text and "bug in composer" not in text, text


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "alone"])
@pytest.mark.parametrize("text", GARBAGE, ids=["empty", "garbled"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_record_of_a_running_container(stack: Stack, file: str, text: str, watched: bool) -> None:
    stack.up(TEXT, "--wait")
    bundle = bundle_of(stack, "a")
    pid = pid_of(bundle)
    (stack.state / "lib/volumes" / f"{stack.name}_vol" / "_data" / "kept").write_text("data")
    if not watched:
        end_supervisor(stack)
    (bundle / file).write_text(text)
    listed = stack.run("doctor").stdout
    # a check that ends before doctor looks writes the file anew
    assert f"its file {file} is damaged" in listed or (file == "health.json" and watched)
    for command in (["ps", "-a"], ["ls", "-a"], ["stats", "--no-stream"], ["logs"], ["plan"]):
        sane(stack.run(*command, check=False))
    assert f"{stack.name}-b-1" in stack.run("ps", "-a", "--format", "json").stdout
    assert is_alive(pid)
    done = stack.run("doctor", "--repair", check=False)
    sane(done)
    if file == "config.json" and not watched:
        assert done.returncode == 1 and str(pid) in done.stderr and is_alive(pid)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid))
        done = stack.run("doctor", "--repair")
        assert "was moved to" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "is damaged" not in stack.run("doctor").stdout
    stack.run("up", "-d", "--wait")
    stack.run("down", "-t", "0")
    assert not is_alive(pid)
    assert (stack.state / "lib/volumes" / f"{stack.name}_vol" / "_data" / "kept").read_text() == "data"


@pytest.mark.parametrize("text", GARBAGE, ids=["empty", "garbled"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_record_of_a_dead_container(stack: Stack, file: str, text: str) -> None:
    stack.up(TEXT, "--wait")
    bundle = bundle_of(stack, "a")
    stack.run("stop", "-t", "0")
    (bundle / file).write_text(text)
    assert f"its file {file} is damaged" in stack.run("doctor").stdout
    sane(stack.run("up", "-d", check=False))
    assert stack.run("doctor", "--repair").returncode == 0
    stack.run("up", "-d", "--wait")
    assert "is damaged" not in stack.run("doctor").stdout
    stack.run("down", "-v", "-t", "0")


@pytest.mark.parametrize("text", GARBAGE, ids=["empty", "garbled"])
@pytest.mark.parametrize("file", FILES[:3])
def test_what_runs_is_taken_down_also_with_a_damaged_record(stack: Stack, file: str, text: str) -> None:
    stack.up(TEXT, "--wait")
    bundle = bundle_of(stack, "a")
    pid = pid_of(bundle)
    (bundle / file).write_text(text)
    done = stack.run("down", "-v", "-t", "0", check=False)
    sane(done)
    if done.returncode:
        assert is_alive(pid), "it says that it failed, and the process is gone"
        stack.run("doctor", "--repair")
        stack.run("down", "-v", "-t", "0")
    assert not is_alive(pid)


@pytest.mark.parametrize("text", GARBAGE, ids=["empty", "garbled"])
def test_no_volume_goes_from_under_a_process_of_which_nothing_is_known(stack: Stack, text: str) -> None:
    stack.up(TEXT, "--wait")
    bundle = bundle_of(stack, "a")
    pid = pid_of(bundle)
    kept = {file: (bundle / file).read_text() for file in ("meta.json", "config.json")}
    for file in kept:
        (bundle / file).write_text(text)
    done = stack.run("down", "-v", "-t", "0", check=False)
    sane(done)
    assert "records are damaged" in done.stderr
    assert is_alive(pid)
    assert (stack.state / "lib/volumes" / f"{stack.name}_vol" / "_data").is_dir()
    for file, was in kept.items():
        (bundle / file).write_text(was)


@pytest.mark.parametrize("text", GARBAGE, ids=["empty", "garbled"])
def test_a_damaged_network_and_a_damaged_volume(stack: Stack, text: str) -> None:
    stack.up(TEXT, "--wait")
    (network,) = (stack.state / "lib/networks").glob("*/network.json")
    volume = stack.state / "lib/volumes" / f"{stack.name}_vol"
    (volume / "_data" / "kept").write_text("data")
    for path in (network, volume / "volume.json"):
        path.write_text(text)
    listed = stack.run("doctor").stdout
    assert "network.json is damaged" in listed and "volume.json is damaged" in listed
    sane(stack.run("up", "-d", check=False))
    done = stack.run("doctor", "--repair")
    assert "network.json was rebuilt from its bridge" in done.stdout
    assert "its data is unchanged" in done.stdout
    assert (volume / "_data" / "kept").read_text() == "data"
    stack.run("down", "-t", "0", check=False)
    stack.run("network", "rm", f"{stack.name}_default", check=False)
    stack.run("volume", "rm", f"{stack.name}_vol", check=False)


def test_a_record_of_a_later_version_is_shown_and_changed_by_nobody(stack: Stack) -> None:
    stack.up(TEXT, "--wait")
    bundle = bundle_of(stack, "a")
    meta = json.loads((bundle / "meta.json").read_text())
    (bundle / "meta.json").write_text(json.dumps({**meta, "version": 99}))
    assert f"{stack.name}-a-1" in stack.run("ps", "-a").stdout
    for command in (["up", "-d", "--force-recreate"], ["down"], ["rm", "-sf"]):
        done = stack.run(*command, check=False)
        assert done.returncode == 1
        assert f"container '{stack.name}-a-1'" in done.stderr and "version 99" in done.stderr
    (bundle / "meta.json").write_text(json.dumps(meta))
