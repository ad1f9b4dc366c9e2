"""OCI hooks of a container that is being made: programs of the host that change its file system before it runs.

Run by the container's first process, in its namespaces and before the root changes, which is where `createContainer`
hooks belong; the kinds before it run there too. Spec: OCI runtime-spec, config.md#posix-platform-hooks.
"""

from __future__ import annotations

import json
import os
import select

from composer.runtime.container import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KINDS = ("prestart", "createRuntime", "createContainer")
_PATIENCE_S = 60.0


def run(config: Mapping[str, Any], bundle: str) -> None:
    """Run a configuration's hooks in their order. Raises ProcessFailed for one that fails or takes too long."""
    hooks = config.get("hooks")
    if not hooks:
        return
    state = {
        "ociVersion": config["ociVersion"],
        "id": os.path.basename(bundle),
        "status": "creating",
        "pid": os.getpid(),
        "bundle": bundle,
    }
    text = json.dumps(state).encode()
    for kind in KINDS:
        for hook in hooks.get(kind, ()):
            _run(kind, hook, text)


def _run(kind: str, hook: Mapping[str, Any], text: bytes) -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.write(writer, text)
    os.close(writer)
    path = str(hook["path"])
    environment = dict(entry.partition("=")[::2] for entry in hook.get("env") or ())
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, reader, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)]
    try:
        pid = os.posix_spawn(path, list(hook.get("args") or [path]), environment, file_actions=actions)
    except OSError as error:
        raise process.ProcessFailed(f"cannot run {kind} hook '{path}': {error.strerror}") from None
    finally:
        os.close(reader)
    status = _wait(pid, float(hook.get("timeout") or _PATIENCE_S))
    if status is None:
        raise process.ProcessFailed(f"{kind} hook '{path}' timed out")
    if status:
        raise process.ProcessFailed(
            f"{kind} hook '{path}' exited with status {os.waitstatus_to_exitcode(status)}"
        )


def _wait(pid: int, patience_s: float) -> int | None:
    """Return the wait status; None when it had to be killed."""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    in_time = bool(poll.poll(patience_s * 1000))
    if not in_time:
        os.kill(pid, 9)
    status = os.waitpid(pid, 0)[1]
    os.close(pidfd)
    return status if in_time else None
