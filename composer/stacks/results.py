"""What a program gets back: results of commands, lines of logs, events."""

from __future__ import annotations

from typing import NamedTuple

from composer import errors


class CommandFailed(errors.EngineError):
    """A command in a container ended with another exit code than 0; ``result`` is what it printed."""

    def __init__(self, command: tuple[str, ...], service: str, result: Result) -> None:
        words = " ".join(command)
        super().__init__(f"command '{words}' in service '{service}' ended with exit code {result.exit_code}")
        self.command, self.service, self.result = command, service, result
        said = (result.stderr or result.stdout).strip()
        if said:
            self.add_note(said)


class Result(NamedTuple):
    """How a command ended, and what it printed. ``stdout`` and ``stderr`` are text; ``output`` is the bytes of both."""

    exit_code: int
    stdout: str
    stderr: str
    output: bytes = b""


class LogLine(NamedTuple):
    """A line of a service's output, without its end. ``time_ns`` is in ns since the epoch, ``stream`` a name."""

    service: str
    container: str
    time_ns: int
    stream: str
    text: str


class Address(NamedTuple):
    """Where a port is reached from this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
