"""UTF-8 in every locale: paths, arguments and output; and bytes that are no UTF-8."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  web:
    image: IMAGE
    command: [sh, -c, "echo grün; printf 'caf\\\\351\\\\n'; echo $$WORD > /data/größe; exec sleep 100"]
    init: true
    stop_grace_period: 1s
    environment: {WORD: süß}
    volumes: [./dätä:/data]
"""


@pytest.fixture(params=["latin1", "C"])
def locale(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of a locale whose encoding is not UTF-8."""
    if request.param == "C":
        return {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    directory = tmp_path_factory.mktemp("locales")
    made = subprocess.run(
        ["localedef", "--no-archive", "-i", "en_US", "-f", "ISO-8859-1", directory / "en_US.ISO-8859-1"],
        capture_output=True,
        check=False,
    )
    if made.returncode > 1 or not os.listdir(directory):
        pytest.skip("needs localedef and the locales of the C library")
    return {"LOCPATH": str(directory), "LC_ALL": "en_US.ISO-8859-1"}


def test_text_and_paths_are_utf8(empty: Stack, locale: dict[str, str]) -> None:
    empty.write(PROJECT)
    empty.run("up", "-d", code=0, **locale)
    written = empty.directory / "dätä" / "größe"
    wait_for(lambda: written.exists() and written.read_text(), what="the file of the container")
    assert written.read_text() == "süß\n"
    assert "grün" in empty.run("logs", code=0, **locale).stdout
    run = ("run", "--rm", "--no-deps", "-T", "-e", "WORD=heiß")
    said = empty.run(*run, "web", "sh", "-c", "echo $WORD", code=0, **locale)
    assert said.stdout == "heiß\n"
    assert empty.run("exec", "-T", "web", "echo", "ja, schön", code=0, **locale).stdout == "ja, schön\n"
    empty.run("cp", "web:/data/größe", "./kopie-ä", code=0, **locale)
    assert (empty.directory / "kopie-ä").read_text() == "süß\n"
    assert "/dätä" in empty.run("config", code=0, **locale).stdout


def test_output_that_is_no_utf8_is_passed_on(empty: Stack) -> None:
    empty.write(PROJECT)
    empty.run("up", "-d")
    shown = subprocess.run(
        **empty.command("exec", "-T", "web", "printf", "caf\\351"), capture_output=True, check=True
    )
    assert shown.stdout == b"caf\xe9"
    log = subprocess.run(**empty.command("logs", "--no-log-prefix"), capture_output=True, check=True).stdout
    # Docker's own log driver keeps text, and puts U+FFFD in its place
    assert (b"caf\xe9\n" if empty.backend == "namespace" else "caf\ufffd\n".encode()) in log


def test_paths_that_are_no_utf8_reach_the_kernel_as_they_are_or_are_refused(empty: Stack) -> None:
    directory = os.fsencode(empty.directory) + b"/caf\xe9"
    os.makedirs(directory + b"/data")
    pathlib.Path(os.fsdecode(directory), "data", os.fsdecode(b"f\xe9")).write_text("inside")
    empty.write(PROJECT.replace("./dätä", "./data"))
    shutil.copy(empty.directory / "compose.yaml", os.fsdecode(directory))
    moved = Stack(pathlib.Path(os.fsdecode(directory)), empty.backend, empty.name)
    state = {"COMPOSER_ROOT": str(empty.directory / "state")}
    if empty.backend == "docker":
        assert "Docker Engine requires UTF-8, and '" in moved.run("up", "-d", code=1, **state).stderr
        moved.run("down", code=0, **state)
        return
    moved.run("up", "-d", code=0, **state)
    wait_for(lambda: os.path.exists(directory + "/data/größe".encode()), what="the file of the container")
    moved.run("cp", "web:/data", "out", code=0, **state)
    assert os.listdir(directory + b"/out") == os.listdir(directory + b"/data")
    assert (
        moved.run("exec", "-T", "web", "cat", os.fsdecode(b"/data/f\xe9"), code=0, **state).stdout == "inside"
    )
    moved.run("down", code=0, **state)
