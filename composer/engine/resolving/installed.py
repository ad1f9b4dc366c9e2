"""Which docker compose is installed here: it will come to the containers that composer makes.

Plugins say their version when they are asked for their metadata, which takes longer than all else that is looked up
before containers are created (20 ms, 90 ms from a cold disk). So the answer is kept, for the file that gave it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from composer import state_root, userconfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = "docker-compose.exe" if sys.platform == "win32" else "docker-compose"
_TIMEOUT_S = 5.0


def compose_version(environment: Mapping[str, str]) -> str:
    """Return the version of the docker compose that a user of this environment runs; empty where there is none."""
    path = next((path for path in _candidates(environment) if os.access(path, os.X_OK)), None)
    if path is None:
        return ""
    kept = f"{state_root.find(environment).own}/docker-compose.json"
    try:
        found = os.stat(path)
    except OSError:
        return ""  # it went
    stamp = [path, found.st_mtime_ns, found.st_size]
    before = _read(kept)
    if before.get("stamp") == stamp:
        return str(before.get("version", ""))
    version = _ask(path, environment)
    # also of one that says none: it is not asked each time
    _write(kept, {"stamp": stamp, "version": version})
    return version


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield where the plugin may be, in the order in which ``docker`` looks; at last the command of its own."""
    yield from userconfig.plugin_paths(environment, _NAME)
    for directory in environment.get("PATH", "").split(os.pathsep):
        if directory:
            yield f"{directory}/{_NAME}"


def _ask(path: str, environment: Mapping[str, str]) -> str:
    import subprocess

    try:
        done = subprocess.run(
            [path, "docker-cli-plugin-metadata"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""  # version 1 was no plugin
    return str(answer.get("Version", "")) if isinstance(answer, dict) else ""


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: str, answer: Mapping[str, Any]) -> None:
    """Keep an answer for the next command. Where nothing can be written that one asks again."""
    temporary = f"{path}.{os.getpid()}"
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os.replace(temporary, path)
