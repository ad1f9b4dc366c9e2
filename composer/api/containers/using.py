"""What a container's processes are and use, and what it has changed of its files."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api import times
from composer.api.containers import pictures
from composer.api.http.call import JSON, NULL, Gone
from composer.api.http.problems import Problem
from composer.runtime.objects import usage

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta
    from composer.runtime.objects.usage import Counters

_SECOND_S = 1.0
_PS_S = 10.0


# ------------------------------------------------------------------ top


def top(call: Call) -> tuple[int, Any]:
    world, meta = call.world, call.world.container(call.parameters["id"])
    status = pictures.status_of(world.core.look(meta, {}))
    if status == "restarting":
        raise Problem(409, f"container {meta['id']} is restarting, wait until the container is running")
    if status not in pictures.RUNNING:
        raise Problem(409, f"container {meta['id']} is not running")
    asked = call.query.text("ps_args", "-ef")
    try:
        found = world.engine.reading.processes(meta["id"])
    except errors.Conflict:
        raise Problem(409, f"container {meta['id']} is not running") from None
    titles, rows = list(found.titles), [list(row) for row in found.rows]
    if asked.split() not in (["-ef"], ["ef"], ["-e", "-f"]):
        titles, rows = _by_ps(asked, {row[1] for row in rows})
    world.core.emit(meta, "container", "top", meta["id"])
    return 200, {"Titles": titles, "Processes": rows}


def _by_ps(arguments: str, pids: set[str]) -> tuple[list[str], list[list[str]]]:
    """Ask the host's ps, and keep the container's processes. Raises Problem."""
    try:
        done = subprocess.run(
            ["ps", *arguments.split()], capture_output=True, text=True, timeout=_PS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Problem(500, f"error running ps: {error}") from None
    if done.returncode:
        raise Problem(500, f"error running ps: {done.stderr.strip()}")
    lines = done.stdout.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise Problem(500, "couldn't find PID field in ps output")
    at = titles.index("PID")
    rows = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > at and fields[at] in pids:
            rows.append(fields)
    return titles, rows


# ------------------------------------------------------------------ changes


def changes(call: Call) -> tuple[int, Any]:
    world, meta = call.world, call.world.container(call.parameters["id"])
    found = world.engine.reading.changes(meta["id"])
    return 200, [{"Path": path, "Kind": kind} for kind, path in found] or NULL


# ------------------------------------------------------------------ stats


def stats(call: Call) -> None:
    world, meta = call.world, call.world.container(call.parameters["id"])
    streams, one_shot = call.query.flag("stream", True), call.query.flag("one-shot")
    if streams and one_shot:
        raise Problem(400, "cannot have stream=true and one-shot=true")
    sample = _sample(world, meta)
    sink = call.begin(200, JSON)
    if one_shot:
        document = _document(meta, sample, None)
        hidden = ("id", "name") if sample.counters is not None else ()
        sink.write_line({key: value for key, value in document.items() if key not in hidden})
    else:
        before = sample
        while _pause(call):
            sample = _sample(world, meta)
            sink.write_line(_document(meta, sample, before))
            if not streams or not os.path.isdir(world.paths.container(meta["id"])):
                break
            before = sample
    sink.end()


def _pause(call: Call) -> bool:
    """Wait a second; raise Gone where the client goes meanwhile."""
    poll = select.poll()
    poll.register(call.wire.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    if poll.poll(_SECOND_S * 1000):
        raise Gone
    return True


class _Sample:
    """The counters of a moment; none of a container that does not run."""

    __slots__ = ("counters", "machine_ns", "time_ns")

    def __init__(self, counters: Counters | None) -> None:
        self.counters = counters
        self.time_ns = time.time_ns()
        self.machine_ns = usage.machine_cpu_ns()


def _sample(world: World, meta: Meta) -> _Sample:
    try:
        return _Sample(world.engine.reading.counters(meta["id"]))
    except errors.NotFound:
        return _Sample(None)  # it has been removed meanwhile


def _document(meta: Meta, now: _Sample, before: _Sample | None) -> dict[str, Any]:
    counters = now.counters
    common = {
        "name": f"/{meta['name']}",
        "id": meta["id"],
        "read": times.written(now.time_ns if counters is not None else 0),
        "preread": times.written(before.time_ns if before is not None and before.counters else 0),
        "num_procs": 0,
        "storage_stats": {},
    }
    if counters is None:
        return {
            **common,
            "pids_stats": {},
            "blkio_stats": _disks(None),
            "cpu_stats": _cpu(None),
            "precpu_stats": _cpu(None),
            "memory_stats": {},
        }
    processes = {"current": counters.usage.processes}
    if counters.most_processes:
        processes["limit"] = counters.most_processes
    return {
        **common,
        "pids_stats": processes,
        "blkio_stats": _disks(counters),
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(before),
        "memory_stats": _memory(counters),
        "networks": {name: _interface(values) for name, values in counters.interfaces.items()},
    }


def _cpu(sample: _Sample | None) -> dict[str, Any]:
    counters = sample.counters if sample is not None else None
    found = counters.cpu if counters is not None else {}
    document: dict[str, Any] = {
        "cpu_usage": {
            "total_usage": found.get("total", 0),
            **({"percpu_usage": list(counters.processors_ns)} if counters and counters.processors_ns else {}),
            "usage_in_kernelmode": found.get("system", 0),
            "usage_in_usermode": found.get("user", 0),
        },
        "throttling_data": {
            "periods": found.get("periods", 0),
            "throttled_periods": found.get("throttled_periods", 0),
            "throttled_time": found.get("throttled", 0),
        },
    }
    if sample is not None and counters is not None:
        document |= {"system_cpu_usage": sample.machine_ns, "online_cpus": os.cpu_count() or 1}
    return document


def _memory(counters: Counters) -> dict[str, Any]:
    return {
        "usage": counters.memory_bytes,
        **({"max_usage": counters.memory_most_bytes} if counters.memory_most_bytes else {}),
        "stats": dict(counters.memory),
        "limit": counters.usage.memory_limit_bytes,
    }


def _interface(values: tuple[int, ...]) -> dict[str, int]:
    names = ("bytes", "packets", "errors", "dropped")
    return {
        f"{way}_{name}": values[index + offset]
        for way, offset in (("rx", 0), ("tx", 4))
        for index, name in enumerate(names)
    }


def _disks(counters: Counters | None) -> dict[str, Any]:
    lines = [
        {"major": major, "minor": minor, "op": word.lower(), "value": count}
        for major, minor, word, count in (counters.disks if counters is not None else ())
    ]
    others = (
        "io_serviced_recursive io_queue_recursive io_service_time_recursive io_wait_time_recursive "
        "io_merged_recursive io_time_recursive sectors_recursive"
    ).split()
    if counters is None or not counters.is_v1:
        return {"io_service_bytes_recursive": lines or None, **dict.fromkeys(others)}
    return {"io_service_bytes_recursive": lines, **{name: [] for name in others}}
