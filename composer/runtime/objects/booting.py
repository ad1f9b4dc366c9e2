"""What comes back after a reboot: from the records of containers as they were created, and not from today's files.

As with Docker at the start of its daemon: ``always`` comes back whoever stopped it, ``unless-stopped`` unless it was
stopped, ``on-failure`` where the reboot ended it. What was never started does not.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import files, records, state, status
from composer.runtime.container import sharing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.runtime.base.record_types import State
    from composer.runtime.base.state import Paths


_POLICIES = ("always", "unless-stopped", "on-failure")


class Returning(NamedTuple):
    """A container to start at boot. ``owners`` are the ids of containers whose namespaces it shares."""

    id: str
    name: str
    project: str
    policy: str
    labels: Mapping[str, str]
    owners: Sequence[str]
    runs: bool


def returning(paths: Paths) -> Iterator[Returning]:
    """Yield the containers that start at boot, including those that already run."""
    boot = files.boot_id()
    for id in state.list_directory(paths.containers()):
        directory = paths.container(id)
        meta, config, current = (
            records.meta(directory),
            records.config(directory),
            records.state(directory) or {},
        )
        if meta is None or config is None or not current.get("started_ns"):
            continue
        restart = records.extras(config).get("restart")
        policy = restart.get("policy") if isinstance(restart, dict) else None
        is_active = current.get("status") in status.ACTIVE
        runs = is_active and current.get("boot_id") == boot
        if (
            meta["auto_remove"]
            or policy not in _POLICIES
            or not (runs or _comes_back(policy, current, was_active=is_active))
        ):
            continue
        owners = tuple(sharing.owners(config).values())
        yield Returning(id, meta["name"], meta["project"], policy, meta["labels"], owners, runs)


def _comes_back(policy: str, current: Mapping[str, Any], *, was_active: bool) -> bool:
    stopped = bool(current.get("stopped"))
    if policy == "always":
        return True
    return not stopped and (policy == "unless-stopped" or (policy == "on-failure" and was_active))


def settle(paths: Paths, containers: Sequence[Returning]) -> None:
    """Record that the reboot ended these containers. Each is then started in its turn, not by its restart policy."""
    boot = files.boot_id()
    for container in containers:
        directory = paths.container(container.id)
        current = records.state(directory)
        if current is None or current.get("boot_id") == boot or current.get("status") not in status.ACTIVE:
            continue
        ended: State = {
            "status": status.EXITED,
            "exit_code": None,
            "exit_unknown": True,
            "finished_ns": time.time_ns(),
            "pid": 0,
            "ports": [],
            "endpoints": [],
        }
        current.update(ended)
        records.write_state(directory, current, durable=True)
