"""Launchers under docker's names, so that scripts and programs that run ``docker`` run composer."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from typing import NamedTuple

from composer import errors

MARK = "# made by composer"

_HEAD = """\
#!/bin/sh
{mark}: {what}
"""

_DOCKER = """\
exec {command} docker "$@"
"""

_COMPOSE = """\
exec {command} compose "$@"
"""

_PLUGIN = """\
if [ "$1" = docker-cli-plugin-metadata ]; then
    printf '%s\\n' '{metadata}'
    exit 0
fi
# what is said to docker before the word compose is about which engine, and not for compose
while [ $# -gt 0 ] && [ "$1" != compose ]; do
    case "$1" in
    -H | --host) DOCKER_HOST=$2 && export DOCKER_HOST && shift ;;
    --host=*) DOCKER_HOST=${{1#--host=}} && export DOCKER_HOST ;;
    -c | --context) DOCKER_CONTEXT=$2 && export DOCKER_CONTEXT && shift ;;
    --context=*) DOCKER_CONTEXT=${{1#--context=}} && export DOCKER_CONTEXT ;;
    --config | -l | --log-level | --tlscacert | --tlscert | --tlskey) shift ;;
    esac
    shift
done
exec {command} "$@"
"""

_METADATA = (
    '{{"SchemaVersion":"0.1.0","Vendor":"composer","Version":"{version}",'
    '"ShortDescription":"Define and run multi-container applications with composer"}}'
)


class Launcher(NamedTuple):
    """A file to write: its name, and its text."""

    name: str
    text: str


def _made(name: str, what: str, body: str, **fields: str) -> Launcher:
    command = shlex.quote(os.path.abspath(sys.argv[0]))
    head = _HEAD.format(mark=MARK, what=what)
    return Launcher(name, head + body.format(command=command, **fields))


def shims() -> list[Launcher]:
    """Return the launchers ``docker`` and ``docker-compose``."""
    return [
        _made("docker", "docker's commands on the containers of composer", _DOCKER),
        _made("docker-compose", "docker compose's commands by composer", _COMPOSE),
    ]


def plugin(version: str) -> Launcher:
    """Return docker's plugin ``compose``. ``version`` is that of docker compose whose commands it has."""
    metadata = _METADATA.format(version=version)
    return _made("docker-compose", "docker compose by composer", _PLUGIN, metadata=metadata)


def write(directory: str, launcher: Launcher, *, force: bool) -> str:
    """Write a launcher and return its path. Raises ProjectError where another program is there, without ``force``."""
    path = os.path.join(directory, launcher.name)
    if not force and os.path.lexists(path) and not is_ours(path):
        raise errors.ProjectError(
            f"cannot write {path}: another program is there",
            hint="use another directory, or --force to replace it",
        )
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(launcher.text)
        os.chmod(temporary, 0o755)
        os.rename(temporary, path)
    except OSError as error:
        raise errors.ProjectError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}", hint="use another directory"
        ) from error
    return path


def remove(path: str) -> bool:
    """Remove a launcher of ours; return whether there was one."""
    if not is_ours(path):
        return False
    os.unlink(path)
    return True


def is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return is_file and MARK.encode() in file.read(200)
    except OSError:
        return False
