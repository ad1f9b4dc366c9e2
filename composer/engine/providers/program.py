"""Finding a provider's program and running it."""

from __future__ import annotations

import codecs
import os
import shutil
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

from composer import userconfig
from composer.engine.providers import protocol
from composer.engine.providers.protocol import Variables
from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.providers.protocol import Message, Provider

_METADATA_TIMEOUT_S = 30.0
_LAST_LINES = 10
_LAST_BYTES = 1 << 14
_PIECE_BYTES = 1 << 16
_ACTIONS = {protocol.UP: "create", protocol.DOWN: "remove", protocol.STOP: "stop"}


def find(kind: str, environment: Mapping[str, str]) -> str:
    """Return the program of a provider: the plugin ``docker-TYPE`` of Docker's command line, or TYPE of PATH.

    Raises ProviderFailed.
    """
    if kind == "compose":
        raise ProviderFailed("'compose' is not a valid provider type", hint="name another provider.type")
    for path in userconfig.plugin_paths(environment, f"docker-{kind}"):
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which(kind, path=environment.get("PATH", os.defpath))
    if found is None:
        raise ProviderFailed(
            f'exec: "{kind}": executable file not found in $PATH',
            hint="install the provider, or correct provider.type",
        )
    return found


def exists(kind: str, environment: Mapping[str, str]) -> bool:
    try:
        find(kind, environment)
    except ProviderFailed:
        return False
    return True


def run(
    provider: Provider,
    command: str,
    service: str,
    project: str,
    environment: Mapping[str, str],
    tell: Callable[[Message], None],
) -> Variables:
    """Run a command of a provider to its end; return the variables that it set. ``tell`` gets its messages.

    A provider that has no such command is left alone. Raises ProviderFailed.
    """
    path = find(provider.type, environment)
    metadata = protocol.read_metadata(_metadata(path, environment))
    words = protocol.arguments(provider, metadata, project, command, service)
    if words is None:
        return Variables()
    with tempfile.TemporaryFile() as errors:  # no pipe: a child that outlives the provider may keep it open
        try:
            process = subprocess.Popen(
                [path, *words],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        except OSError as error:
            raise _unusable(path, error) from error
        with process:
            try:
                assert process.stdout is not None
                variables = _listen(process.stdout, tell)
                process.wait()
            except BaseException:
                process.kill()  # nobody listens to it any more
                raise
        if process.returncode:
            how = _ended(process.returncode)
            failure = ProviderFailed(f"failed to {_ACTIONS[command]} service provider: {how}")
            raise _with_output(failure, errors)
    return variables._replace(stops=metadata is not None and metadata.stop is not None)


def _metadata(path: str, environment: Mapping[str, str]) -> bytes:
    """Return what a provider says of its options; nothing where it does not know the question."""
    try:
        done = subprocess.run(
            [path, "compose", "metadata"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_METADATA_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise _unusable(path, error) from error
    except subprocess.TimeoutExpired as error:
        raise ProviderFailed(
            f"'{path} compose metadata' did not end within {_METADATA_TIMEOUT_S:.0f} s",
            hint="run this command to see why",
        ) from error
    return b"" if done.returncode else done.stdout


def _listen(output: IO[bytes], tell: Callable[[Message], None]) -> Variables:
    reader = protocol.Reader()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    told = protocol.Told()
    while piece := os.read(output.fileno(), _PIECE_BYTES):  # not by lines: a line may have no end
        for message in reader.feed(decoder.decode(piece)):
            if message.kind == protocol.ERROR:
                raise ProviderFailed(message.text.strip())
            told.add(message)
            tell(message)
    reader.end()
    return told.variables()


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _with_output(error: ProviderFailed, output: IO[bytes]) -> ProviderFailed:
    """Add the end of what a provider wrote to standard error."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST_BYTES))
    for line in output.read().decode(errors="replace").splitlines()[-_LAST_LINES:]:
        error.add_note(f"  > {line.rstrip()}")
    return error


def _unusable(path: str, error: OSError) -> ProviderFailed:
    return ProviderFailed(f"cannot run provider '{path}': {(error.strerror or str(error)).lower()}")
