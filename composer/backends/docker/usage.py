"""Counters and processes of containers, from the engine ("Get container stats", "List processes")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.backends.docker.reading import time_ns
from composer.engine.inspected import Change, Processes, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.backends.docker.client import Client


def processes(client: Client, id: str) -> Processes:
    found = client.get(f"/containers/{id}/top")
    return Processes(tuple(found["Titles"]), tuple(tuple(row) for row in found.get("Processes") or ()))


def changes(client: Client, id: str) -> list[Change]:
    found = client.get(f"/containers/{id}/changes") or ()
    return sorted((Change(int(one["Kind"]), str(one["Path"])) for one in found), key=lambda one: one.path)


def usage(client: Client, id: str) -> Usage | None:
    """Return one sample; None of a container that does not run."""
    found = client.get(f"/containers/{id}/stats", {"stream": False, "one-shot": True})
    cpu, memory = found.get("cpu_stats") or {}, found.get("memory_stats") or {}
    when_ns = time_ns(found.get("read"))
    if not when_ns or not memory.get("usage"):
        return None
    networks = (found.get("networks") or {}).values()
    return Usage(
        when_ns,
        cpu_ns=int((cpu.get("cpu_usage") or {}).get("total_usage") or 0),
        memory_bytes=_memory(memory),
        memory_limit_bytes=int(memory.get("limit") or 0),
        received_bytes=sum(int(network.get("rx_bytes") or 0) for network in networks),
        sent_bytes=sum(int(network.get("tx_bytes") or 0) for network in networks),
        read_bytes=_moved(found, "read"),
        written_bytes=_moved(found, "write"),
        processes=int((found.get("pids_stats") or {}).get("current") or 0),
    )


def _memory(memory: Mapping[str, Any]) -> int:
    """Return usage less the cache that can be dropped; cgroup v1 and v2 call that differently."""
    used, stats = int(memory.get("usage") or 0), memory.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):
        if key in stats:
            unused = int(stats[key])
            return used - unused if unused < used else used
    return used


def _moved(found: Mapping[str, Any], operation: str) -> int:
    entries = (found.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return sum(int(entry["value"]) for entry in entries if str(entry.get("op")).lower() == operation)
