"""The `git` program, run to its end: bounds on what it prints, and what a repository of others may not do."""

from __future__ import annotations

import resource
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.errors import ComposerError

OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
"""The configuration for every repository."""
FIXED = {
    # of the protocols those over a network alone, for submodules too (CVE-2022-39253 and its like)
    "GIT_ALLOW_PROTOCOL": "git:http:https:ssh",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
"""Variables of git's environment for every repository."""
_ENDING_S = 5
_MAX_OUTPUT = 64 << 20
_MOST_SAID = 2000
TOO_MUCH = -signal.SIGXFSZ
"""How git ended where it wrote more than it may."""


class Ended(NamedTuple):
    """How git ended, and what it printed on each stream."""

    code: int
    out: str
    err: str

    def causes(self) -> list[str]:
        """Return the lines that say why it failed, the first cause first."""
        said = self.err.strip()[:_MOST_SAID].splitlines()
        causes = [line.removeprefix("fatal: ") for line in said if line.startswith("fatal: ")]
        return causes or said or [f"git ended with {self.code}"]


class Git(NamedTuple):
    """Git for one purpose. ``failure`` is what is raised where it cannot run, ``purpose`` why it is needed.

    ``options`` are more of its configuration. It is ended after ``longest_s``, and writes no file of more than
    ``most_file_bytes``: the size of a pack is not known before it is here.
    """

    environment: Mapping[str, str]
    failure: type[ComposerError]
    purpose: str
    options: Sequence[str] = ()
    longest_s: float | None = None
    most_file_bytes: int | None = None

    def run(
        self,
        arguments: Sequence[str],
        directory: str,
        environment: Mapping[str, str] = {},
        *,
        only_prints: bool = False,
    ) -> Ended:
        """Run git in a directory. ``environment`` is in addition. Raises ``failure``.

        ``only_prints``: it writes no files, and is ended once it has printed more than is read.
        """
        options = [word for option in (*OPTIONS, *self.options) for word in ("-c", option)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            words = ["git", *options, *arguments]
            git = self._replace(most_file_bytes=_MAX_OUTPUT) if only_prints else self
            code = git._code_of(words, directory, {**self.environment, **environment}, out, err)
            return Ended(code, _text(out), _text(err))

    def _code_of(
        self,
        words: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        out: IO[bytes],
        err: IO[bytes],
    ) -> int:
        try:
            process = subprocess.Popen(
                words,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                umask=0o022,  # a container reads these files as another user
            )
        except FileNotFoundError:
            raise self.failure(
                f"git is not installed, and {self.purpose}",
                hint="install git, for example with apt-get install git",
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise self.failure(f"cannot run git: {reason}", hint="check that git works for you") from error
        try:
            self._bound(process.pid)
            return process.wait(self.longest_s)
        except subprocess.TimeoutExpired:
            raise self.failure(
                f"git did not end within {self.longest_s:g} seconds", hint="check the URL and the network"
            ) from None
        finally:
            _end(process)

    def _bound(self, pid: int) -> None:
        """Bound the files that git writes, and what it starts."""
        if self.most_file_bytes is None:
            return
        limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        bounded = (
            self.most_file_bytes if limit == resource.RLIM_INFINITY else min(limit, self.most_file_bytes)
        )
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (bounded, hard))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git, and let it end first what it has started. Where it has ended, nothing is done."""
    process.terminate()
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _text(output: IO[bytes]) -> str:
    """Return what git has written: a server decides how much that is, so not all of it."""
    output.seek(0)
    return output.read(_MAX_OUTPUT).decode(errors="replace")
