"""The recorded flags of the docker CLI are what the CLI's own help says."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.unit.cli import docker_flags

pytestmark = [pytest.mark.docker, pytest.mark.oracle, pytest.mark.timeout(180)]


def test_the_recorded_flags_are_those_of_the_cli() -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("needs the docker command")
    version = subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
    if " 28." not in version:
        pytest.skip("needs the docker command 28")
    assert docker_flags.from_help(docker, os.environ["COMPOSER_TEST_DOCKER"]) == docker_flags.known()
