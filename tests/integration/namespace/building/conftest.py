"""A project folder with a base image that everything is built on: a busybox, called ``base``."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.compared.builds import File, read_image
from tests.integration.contract.conftest import root_archive
from tests.integration.namespace.conftest import Stack

SECRET = "nobody may see this"


class Workshop:
    """Builds images in a stack's directory, and looks into them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.directory = stack.directory

    def write(self, name: str, text: str, mode: int = 0o644) -> pathlib.Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def build(self, dockerfile: str, *flags: str, tag: str = "built") -> str:
        """Build an image; return what was printed, steps and messages."""
        self.write("Dockerfile", dockerfile)
        done = self.stack.run("image", "build", "--progress", "plain", "-t", tag, *flags, ".")
        return done.stdout + done.stderr

    def refuse(self, dockerfile: str, *flags: str) -> str:
        """Return the message of a build that has to fail."""
        self.write("Dockerfile", dockerfile)
        done = self.stack.run("image", "build", "-t", "refused", *flags, ".", check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "bug in composer" not in done.stderr
        return done.stderr

    def image(self, tag: str = "built") -> tuple[dict[str, File], dict[str, Any]]:
        """Return an image's files by path, and its whole configuration."""
        path = self.directory.parent / "image.tar"
        self.stack.run("image", "save", "-o", str(path), tag)
        return read_image(path)

    def text(self, path: str, tag: str = "built") -> str:
        """Return the text of a file in an image."""
        return self.stack.out("container", "run", "--rm", "--network", "none", tag, "/bin/cat", path)

    def id(self, tag: str = "built") -> str:
        return str(json.loads(self.stack.out("image", "inspect", tag))[0]["Id"])


class SmallDisk:
    """The runtime's state on a small file system of its own."""

    def __init__(self, shop: Workshop, size: str = "400m") -> None:
        self._shop, self._size = shop, size
        self._before = shop.stack.state
        self._place = shop.directory.parent / "small"

    def __enter__(self) -> None:
        self._place.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "x", str(self._place)], check=True
        )
        saved = self._shop.directory.parent / "base.tar"
        self._shop.stack.run("image", "save", "-o", str(saved), "base")
        self._shop.stack.state = self._place
        try:
            self._shop.stack.run("image", "load", "-i", str(saved))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for id in self._shop.stack.out("container", "ls", "-aq").split():
            self._shop.stack.run("container", "rm", "-f", id)
        self._shop.stack.run("-f", "none.yaml", "down", "-v", "-t", "0", check=False)
        subprocess.run(["umount", str(self._place)], check=True)
        self._shop.stack.state = self._before


@pytest.fixture
def outside(shop: Workshop) -> pathlib.Path:
    """A directory beside the context with something to be read, and nothing else."""
    path = shop.directory.parent / "outside"
    path.mkdir()
    (path / "secret").write_text(SECRET)
    return path


def untouched(outside: pathlib.Path) -> bool:
    return os.listdir(outside) == ["secret"] and (outside / "secret").read_text() == SECRET


@pytest.fixture
def shop(stack: Stack) -> Iterator[Workshop]:
    found = Workshop(stack)
    archive = root_archive(stack.directory.parent)
    stack.run("image", "import", "-c", "ENV PATH=/bin", "-c", 'CMD ["sh"]', archive, "base")
    yield found
    for id in stack.out("container", "ls", "-aq").split():
        stack.run("container", "rm", "-f", id)


def containers(shop: Workshop) -> list[str]:
    """Return the ids of all containers of a state directory, those of builds included."""
    return [path.name for path in (shop.stack.state / "lib/containers").glob("[0-9a-f]*")]


def cached(output: str, instruction: str) -> bool:
    """Tell whether the step of an instruction came from the cache. Fails where there is no such step."""
    number = next(line.split()[0] for line in output.splitlines() if instruction in line and "]" in line)
    return f"{number} CACHED" in output


def members(path: pathlib.Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


Build = Callable[..., str]
