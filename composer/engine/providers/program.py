"""Finding a provider's program and running it."""

from __future__ import annotations

import codecs
import os
import shutil
from typing import TYPE_CHECKING

from composer.engine.providers import calling, protocol
from composer.engine.providers.protocol import Variables
from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.engine.providers.protocol import Message, Provider

_METADATA_TIMEOUT_S = 30.0
_ACTIONS = {protocol.UP: "create", protocol.DOWN: "remove", protocol.STOP: "stop"}


def find(kind: str, environment: Mapping[str, str]) -> str:
    """Return the program of a provider: the plugin ``docker-TYPE`` of Docker's command line, or TYPE of PATH.

    Raises ProviderFailed.
    """
    if kind == "compose":
        raise ProviderFailed("'compose' is not a valid provider type", hint="name another provider.type")
    found = calling.plugin(f"docker-{kind}", environment) or shutil.which(
        kind, path=environment.get("PATH", os.defpath)
    )
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
    with calling.Call([path, *words], environment) as call:
        variables = _listen(call.pieces(), tell)
    if call.code:
        how = calling.how_it_ended(call.code)
        failure = ProviderFailed(
            f"failed to {_ACTIONS[command]} service provider: {how}", hint="correct what the provider reports"
        )
        raise calling.with_tail(failure, call.tail)
    return variables._replace(stops=metadata is not None and metadata.stop is not None)


def _metadata(path: str, environment: Mapping[str, str]) -> bytes:
    """Return what a provider says of its options; nothing where it does not know the question."""
    found = calling.ask([path, "compose", "metadata"], environment, timeout_s=_METADATA_TIMEOUT_S)
    return b"" if found.code else found.output


def _listen(output: Iterator[bytes], tell: Callable[[Message], None]) -> Variables:
    reader = protocol.Reader()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    told = protocol.Told()
    for piece in output:  # not by lines: a line may have no end
        for message in reader.feed(decoder.decode(piece)):
            if message.kind == protocol.ERROR:
                raise ProviderFailed(message.text.strip())
            told.add(message)
            tell(message)
    reader.end()
    return told.variables()
