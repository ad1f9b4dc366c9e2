"""A console for the command's tests: run `composer …` against a memory backend, in a directory of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from composer.backends.memory import MemoryBackend
from composer.cli.main import run
from composer.engine.backend import Backend
from composer.errors import Unavailable

STACK = """
    services:
      db:
        image: postgres:16
        command: [postgres, -c, max_connections=200]
        healthcheck: {test: [CMD, pg_isready]}
        volumes: [data:/data]
      web:
        image: nginx
        ports: ["8080:80"]
        environment: {DEBUG: "${DEBUG-0}"}
        depends_on: {db: {condition: service_healthy}}
    volumes: {data: {}}
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Lasting(MemoryBackend):
    """A memory backend that survives the command's `close`, as a real one would."""

    def close(self) -> None:
        """Stay."""


class Console:
    def __init__(self, directory: Path) -> None:
        self.directory = directory / "app"
        self.directory.mkdir()
        self.backend = Lasting()
        self.backends: dict[str, Backend] = {"namespace": self.backend}
        self.environment = {"HOME": str(directory), "COMPOSER_ROOT": str(directory / "root")}

    def write(self, text: str, name: str = "compose.yaml") -> None:
        (self.directory / name).write_text(dedent(text))

    def connect(self, name: str, environment: Mapping[str, str]) -> Backend:
        if name not in self.backends:
            raise Unavailable(f"no '{name}' backend here")
        return self.backends[name]

    def __call__(
        self,
        *arguments: str,
        stdin: str = "",
        terminal: bool = False,
        errors: Any = None,
        **environment: str,
    ) -> Result:
        streams = [Terminal() if terminal else io.StringIO() for _ in range(2)]
        source = Terminal(stdin) if terminal else io.StringIO(stdin)
        code = run(
            arguments,
            {**self.environment, **environment},
            stdin=source,
            stdout=streams[0],
            stderr=errors or streams[1],
            working_dir=str(self.directory),
            connect=self.connect,
        )
        return Result(code, streams[0].getvalue(), streams[1].getvalue())


def states(console: Console) -> dict[str, str]:
    return {c.name: c.state.value for c in console.backend.observe("app").containers}
