"""A registry of this machine, and projects that go there and come back."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from tests.registries import registry


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


class Place:
    """A directory in which commands run, with a cache of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory / "home"),
            "COMPOSER_ROOT": str(directory / "root"),
        }

    def run(
        self, command: list[str], environment: Mapping[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
        return done

    def ours(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "composer", *arguments], environment, check=check)


@pytest.fixture
def author(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path / "author")


@pytest.fixture
def reader(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path / "reader")
