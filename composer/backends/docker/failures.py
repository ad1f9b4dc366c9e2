"""Every way in which the engine says no, as one of our errors. The only place that reads its sentences.

What the Docker SDK raises on the way is for `foreign`, which ends here as well.

The engine answers with a status and a sentence; the sentence tells more than the status. A row is a pattern, the
error, our sentence (groups of the pattern by number) and the remedy. What no row knows keeps the engine's words.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from composer import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.errors import BackendError


class _Row(NamedTuple):
    pattern: str
    kind: Callable[..., BackendError]
    message: str
    hint: str | None = None


def _not_executable(message: str, *, hint: str | None) -> BackendError:
    return errors.StartFailed(message, 126, hint=hint)


def _not_there(message: str, *, hint: str | None) -> BackendError:
    return errors.StartFailed(message, 127, hint=hint)


def _not_started(message: str, *, hint: str | None) -> BackendError:
    return errors.StartFailed(message, 125, hint=hint)


_ROWS = (
    _Row(
        r"(?:[Bb]ind for|listen \w+) \S*?:(\d+)(?: failed)?: .*?(?:port is already allocated|address already in use)",
        errors.Conflict,
        "port {1} is already in use on the Docker host",
        "stop the process that uses it (docker ps, or ss -ltnp), or publish another port",
    ),
    _Row(
        r"port is already allocated|address already in use",
        errors.Conflict,
        "a port is already in use on the Docker host: {0}",
        "stop the process that uses it (docker ps, or ss -ltnp), or publish another port",
    ),
    _Row(
        r"no space left on device|disk quota exceeded",
        errors.BackendError,
        "no space left on the Docker host: {0}",
        "free up disk space: docker system df shows usage, docker system prune removes unused data",
    ),
    _Row(
        r"[Nn]o such image: (\S+)",
        errors.NotFound,
        "no such image: {1}",
        "run composer pull, or composer build",
    ),
    _Row(
        r'[Cc]onflict\. The container name "/?([^"]+)" is already in use by container "?(\w{12})',
        errors.Conflict,
        'container name "{1}" is already in use by container {2}',
        "remove or rename that container, or use another container_name or project name",
    ),
    _Row(
        r"client version (\S+) is too old. Minimum supported API version is ([\d.]+)",
        errors.Unavailable,
        "the engine requires API {2} or newer, but this version of composer supports {1}",
        "update composer",
    ),
    _Row(
        r"client version (\S+) is too new. Maximum supported API version is ([\d.]+)",
        errors.Unavailable,
        "the engine supports API {2} at most, not {1}",
        "update Docker Engine",
    ),
    _Row(
        r"available, non-overlapping IPv4 address pool|predefined address pools have been fully subnetted",
        errors.Conflict,
        "the engine has no available address pool for another network",
        "remove unused networks with docker network prune, or set a subnet under ipam",
    ),
    _Row(
        r"Pool overlaps with other one on this address space",
        errors.Conflict,
        "the network's subnet overlaps with that of another network",
        "find it with docker network inspect, and use another subnet under ipam",
    ),
    _Row(
        r"bind source path does not exist: (\S+)",
        errors.NotFound,
        "bind source path does not exist on the Docker host: {1}",
        "create it, or set bind.create_host_path: true",
    ),
    _Row(
        r"has active endpoints",
        errors.Conflict,
        "{0}",
        "stop or disconnect the containers that use it",
    ),
    _Row(
        r"volume is in use|is in use - \[",
        errors.Conflict,
        "{0}",
        "remove the containers that use it first",
    ),
    _Row(
        r'could not select device driver "(\S*)" with capabilities|nvidia-container-cli',
        errors.BackendError,
        "the engine has no driver for the requested devices: {0}",
        "install the vendor's container toolkit on the Docker host, or remove gpus",
    ),
    _Row(
        r"pull access denied|repository does not exist|manifest unknown|manifest for \S+ not found|unauthorized",
        errors.PullFailed,
        "{0}",
        "check the image name and tag; run composer login if the registry requires authentication",
    ),
    _Row(
        r"lookup \S+.*(?:no such host|server misbehaving)|i/o timeout|TLS handshake timeout|"
        r"dial tcp \S+: |connection refused",
        errors.PullFailed,
        "the engine cannot reach the registry: {0}",
        "check the engine's network and proxy settings",
    ),
    _Row(
        r'exec: "docker-init": executable file not found',
        _not_started,
        "docker-init, required by 'init: true', not found on the Docker host",
        "install it there (tini as docker-init: apt-get install tini), or remove init",
    ),
    _Row(
        r'exec: "([^"]*)": (?:executable file not found|stat \S+ no such file)|'
        r'exec: "([^"]*)":.*no such file or directory',
        _not_there,
        "command not found in the image: {1}{2}",
        "check command and entrypoint in the output of composer config",
    ),
    _Row(
        r'exec: "([^"]*)":.*(?:permission denied|is a directory)|exec format error',
        _not_executable,
        "command cannot be executed: {0}",
        "check that the file is executable and built for the platform of the Docker host",
    ),
    _Row(
        r"unable to start container process|OCI runtime|failed to create (?:shim|task)|error during container init",
        _not_started,
        "the engine's runtime cannot start the container: {0}",
    ),
)

_BY_STATUS: dict[int, Callable[..., BackendError]] = {
    401: errors.PermissionDenied,
    403: errors.Conflict,
    404: errors.NotFound,
    409: errors.Conflict,
    503: errors.Unavailable,
}


def refused(status: int, body: bytes) -> BackendError:
    """Return the error for an answer that is a refusal."""
    return said(_sentence(body) or f"the engine returned status {status} without a message", status)


def said(sentence: str, status: int = 0) -> BackendError:
    """Return the error for a sentence of the engine's, from an answer or from within a stream."""
    text = tidy(sentence)
    for row in _ROWS:
        match = re.search(row.pattern, sentence)
        if match:
            groups = [text, *((group or "") for group in match.groups())]
            return row.kind(row.message.format(*groups), hint=row.hint)
    return _BY_STATUS.get(status, errors.BackendError)(text)


def _sentence(body: bytes) -> str:
    try:
        found = json.loads(body)
        return str(found["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def tidy(sentence: str) -> str:
    """One line, lower case at its head, no stop at its end, without the engine's own prefixes."""
    text = " ".join(sentence.split()).removeprefix("Error response from daemon: ").rstrip(".")
    is_word = len(text) > 1 and text[0].isupper() and not text[1].isupper()
    return text[0].lower() + text[1:] if is_word else text


def lost(url: str) -> BackendError:
    """Return the error for a connection that ended in the middle of an answer."""
    return errors.Unavailable(
        f"lost connection to the Docker Engine at '{url}'",
        hint="rerun the command once it is available again; it continues where it stopped",
    )


def slow(url: str, seconds: float) -> BackendError:
    """Return the error for an answer that does not come."""
    return errors.Unavailable(
        f"the Docker Engine at '{url}' did not respond within {seconds:.0f} s",
        hint="check its log (journalctl -u docker), then rerun the command",
    )


def unreachable(url: str, error: OSError) -> BackendError:
    """Return the error for an address that nobody opens."""
    if isinstance(error, PermissionError):
        return errors.PermissionDenied(
            f"permission denied while trying to connect to the Docker Engine at '{url}'",
            hint="run as root, or add the user to the docker group: sudo usermod -aG docker $USER",
        )
    return errors.Unavailable(
        f"cannot connect to the Docker Engine at '{url}': {(error.strerror or str(error)).lower()}",
        hint="start it (systemctl start docker), or select another one with DOCKER_HOST or DOCKER_CONTEXT",
    )


def unsafe(url: str, directory: str, reason: str) -> BackendError:
    """Return the error for a connection with TLS that does not come about. ``directory`` has the certificates."""
    return errors.Unavailable(
        f"TLS connection to the Docker Engine at '{url}' failed: {reason}",
        hint=f"check ca.pem, cert.pem and key.pem in {directory}",
    )


def unreadable(url: str) -> BackendError:
    """Return the error for an answer that is not what an engine says."""
    return errors.Unavailable(
        f"the server at '{url}' is not a Docker Engine",
        hint="check DOCKER_HOST, or the Docker context with docker context ls",
    )


def no_address(url: str) -> BackendError:
    """Return the error for an address that leads nowhere, whatever is there."""
    return errors.Unavailable(
        f"cannot connect to a Docker Engine at '{url}'",
        hint="check DOCKER_HOST, or the Docker context with docker context ls",
    )
