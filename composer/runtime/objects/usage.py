"""What a container uses, from its cgroups and from /proc; version 1, version 2, and both at once.

Facts: the kernel's cgroup-v1/memory, cgroup-v2 and filesystems/proc documents; ``ps -ef`` of procps for the columns of
`processes`; docker/cli's calculateMemUsageUnixNoCache for what counts as memory.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import records
from composer.runtime.container import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.base.state import Paths

_TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_NAME_WIDTH = 8
_DAY_S = 86_400
_PTS_MAJOR = range(136, 144)


class Processes(NamedTuple):
    """The processes of a container, as ``ps -ef`` on the host shows them: ``titles``, and a row of texts for each."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Usage(NamedTuple):
    """What a running container has used up to ``time_ns``, and what it holds now.

    ``memory_bytes`` is without cache that can be dropped. Without a limit, ``memory_limit_bytes`` is the machine's.
    """

    time_ns: int
    cpu_ns: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    processes: int = 0


def cgroup_of(config: Mapping[str, Any], id: str) -> cgroups.Cgroup:
    """Return a container's cgroup as the supervisor made it."""
    parent = records.extras(config).get("cgroup_parent")
    return cgroups.Cgroup(cgroups.detect(), id, config["linux"].get("resources", {}), parent=parent)


# ------------------------------------------------------------------ counters


def usage(cgroup: cgroups.Cgroup, pid: int) -> Usage:
    """Read all counters. What this machine does not count is 0."""
    received, sent = _network(pid)
    read, written = _disks(cgroup)
    limit = _memory_limit(cgroup)
    return Usage(
        time.time_ns(),
        cpu_ns=_cpu_ns(cgroup),
        memory_bytes=_memory(cgroup),
        memory_limit_bytes=limit,
        received_bytes=received,
        sent_bytes=sent,
        read_bytes=read,
        written_bytes=written,
        processes=_process_count(cgroup),
    )


class Counters(NamedTuple):
    """All that is counted of a running container, in the kernel's words; empty where this machine counts nothing.

    ``interfaces`` has the eight counters of each interface but loopback: bytes, packets, errors and dropped, received
    and then sent. ``disks`` are (major, minor, ``Read`` or ``Write``, bytes). Times of ``cpu`` are nanoseconds:
    ``total``, ``user``, ``system``, and ``periods``, ``throttled_periods``, ``throttled`` of a limit.
    """

    usage: Usage
    cpu: Mapping[str, int]
    memory_bytes: int
    memory_most_bytes: int
    memory: Mapping[str, int]
    interfaces: Mapping[str, tuple[int, ...]]
    disks: tuple[tuple[int, int, str, int], ...]
    most_processes: int
    processors_ns: tuple[int, ...] = ()
    """What each processor of the machine was used, where version 1 counts it."""
    is_v1: bool = False


def counters(cgroup: cgroups.Cgroup, pid: int) -> Counters:
    """Read all counters, one by one."""
    if "memory" in cgroup.paths:
        directory, used, most = cgroup.paths["memory"], "memory.usage_in_bytes", "memory.max_usage_in_bytes"
    else:
        directory, used, most = str(cgroup.v2), "memory.current", "memory.peak"
    pids_directory = cgroup.paths.get("pids") or cgroup.v2
    return Counters(
        usage(cgroup, pid),
        _cpu(cgroup),
        _number(f"{directory}/{used}"),
        _number(f"{directory}/{most}"),
        _pairs(f"{directory}/memory.stat"),
        _interfaces(pid),
        tuple(_disk_lines(cgroup)),
        _number(f"{pids_directory}/pids.max"),
        _processors(cgroup),
        bool(cgroup.paths),
    )


def _processors(cgroup: cgroups.Cgroup) -> tuple[int, ...]:
    lines = _lines(f"{cgroup.paths['cpuacct']}/cpuacct.usage_percpu") if "cpuacct" in cgroup.paths else []
    return tuple(map(int, lines[0].split())) if lines else ()


def _cpu(cgroup: cgroups.Cgroup) -> dict[str, int]:
    found = {"total": _cpu_ns(cgroup)}
    if "cpuacct" in cgroup.paths:
        ticks = _pairs(f"{cgroup.paths['cpuacct']}/cpuacct.stat")
        tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        found |= {"user": ticks.get("user", 0) * tick_ns, "system": ticks.get("system", 0) * tick_ns}
        limited = _pairs(f"{cgroup.paths['cpu']}/cpu.stat") if "cpu" in cgroup.paths else {}
        found["throttled"] = limited.get("throttled_time", 0)
    else:
        limited = _pairs(f"{cgroup.v2}/cpu.stat")
        found |= {"user": limited.get("user_usec", 0) * 1000, "system": limited.get("system_usec", 0) * 1000}
        found["throttled"] = limited.get("throttled_usec", 0) * 1000
    found |= {"periods": limited.get("nr_periods", 0), "throttled_periods": limited.get("nr_throttled", 0)}
    return found


def _interfaces(pid: int) -> dict[str, tuple[int, ...]]:
    found = {}
    for line in _lines(f"/proc/{pid}/net/dev"):
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and name.strip() != "lo" and len(fields) >= 12:
            found[name.strip()] = tuple(int(fields[index]) for index in (0, 1, 2, 3, 8, 9, 10, 11))
    return found


def _disk_lines(cgroup: cgroups.Cgroup) -> Iterator[tuple[int, int, str, int]]:
    if "blkio" in cgroup.paths:
        for line in _lines(f"{cgroup.paths['blkio']}/blkio.throttle.io_service_bytes_recursive"):
            fields = line.split()
            if len(fields) == 3 and fields[1] in ("Read", "Write"):
                major, _, minor = fields[0].partition(":")
                yield int(major), int(minor), fields[1], int(fields[2])
        return
    for line in _lines(f"{cgroup.v2}/io.stat"):
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        values = dict(entry.partition("=")[::2] for entry in pairs)
        for key, word in (("rbytes", "Read"), ("wbytes", "Write")):
            if major.isdecimal() and minor.isdecimal():
                yield int(major), int(minor), word, int(values.get(key, 0))


def machine_cpu_ns() -> int:
    """Return the time that all processors of this machine have been used or idle: proc(5), stat."""
    fields = _lines("/proc/stat")[0].split()[1:8]
    return sum(map(int, fields)) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


def _cpu_ns(cgroup: cgroups.Cgroup) -> int:
    if "cpuacct" in cgroup.paths:
        return _number(f"{cgroup.paths['cpuacct']}/cpuacct.usage")
    return _pairs(f"{cgroup.v2}/cpu.stat").get("usage_usec", 0) * 1000


def _memory(cgroup: cgroups.Cgroup) -> int:
    if "memory" in cgroup.paths:
        directory, usage, cache = cgroup.paths["memory"], "memory.usage_in_bytes", "total_inactive_file"
    else:
        directory, usage, cache = str(cgroup.v2), "memory.current", "inactive_file"
    used = _number(f"{directory}/{usage}")
    unused = _pairs(f"{directory}/memory.stat").get(cache, 0)
    return used - unused if unused < used else used


def _memory_limit(cgroup: cgroups.Cgroup) -> int:
    """Return the limit; the machine's memory where there is none, which version 1 says with a number beyond it."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        total = int(file.readline().split()[1]) * 1024
    if "memory" in cgroup.paths:
        limit = _number(f"{cgroup.paths['memory']}/memory.limit_in_bytes")
    else:
        limit = _number(f"{cgroup.v2}/memory.max")
    return limit if 0 < limit < total else total


def _process_count(cgroup: cgroups.Cgroup) -> int:
    directory = cgroup.paths.get("pids") or cgroup.v2
    return _number(f"{directory}/pids.current") or len(list(pids(cgroup)))


def _network(pid: int) -> tuple[int, int]:
    """Return the bytes of all interfaces but loopback in the network namespace of a process."""
    received = sent = 0
    for line in _lines(f"/proc/{pid}/net/dev"):
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and name.strip() != "lo" and len(fields) >= 9:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def _disks(cgroup: cgroups.Cgroup) -> tuple[int, int]:
    read = written = 0
    if "blkio" in cgroup.paths:
        directory = cgroup.paths["blkio"]
        for name in ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"):
            lines = _lines(f"{directory}/{name}")
            if lines:
                break
        for line in lines:
            fields = line.split()
            if len(fields) == 3:
                read += int(fields[2]) if fields[1] == "Read" else 0
                written += int(fields[2]) if fields[1] == "Write" else 0
        return read, written
    for line in _lines(f"{cgroup.v2}/io.stat"):
        values = dict(entry.partition("=")[::2] for entry in line.split()[1:])
        read += int(values.get("rbytes", 0))
        written += int(values.get("wbytes", 0))
    return read, written


def _lines(path: str) -> list[str]:
    """Return the lines of a file of the kernel's; none where there is no such file, or it went while it was read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _number(path: str) -> int:
    """Return the number in a file; 0 where there is none, or where it says ``max``."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else 0


def _pairs(path: str) -> dict[str, int]:
    fields = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in fields if len(pair) == 2 and pair[1].isdecimal()}


# ------------------------------------------------------------------ processes


def pids(cgroup: cgroups.Cgroup) -> Iterator[int]:
    """Yield all processes of a container, those too that it has put into cgroups of its own."""
    for directory in cgroup.directories()[::-1]:
        found: set[int] = set()
        for path, _, _ in os.walk(directory):
            found.update(int(line) for line in _lines(f"{path}/cgroup.procs"))
        if found:
            yield from sorted(found)
            return


def processes_by_name(paths: Paths, id: str) -> list[int]:
    """Return the processes of a container of which little else is known, by the cgroups of its name."""
    parent = records.cgroup_parent(paths.container(id))
    return list(pids(cgroups.Cgroup(cgroups.detect(), id, parent=parent)))


def processes(cgroup: cgroups.Cgroup) -> Processes:
    """Return the processes of a container, in the order of their numbers. Those that end meanwhile are left out."""
    rows = (_row(pid) for pid in pids(cgroup))
    return Processes(_TITLES, tuple(row for row in rows if row is not None))


def _row(pid: int) -> tuple[str, ...] | None:
    stat = _lines(f"/proc/{pid}/stat")
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError:
        return None
    if not stat:
        return None
    before, _, rest = "\n".join(stat).rpartition(")")
    fields = rest.split()  # from the state on, the third of proc(5)
    ticks = os.sysconf("SC_CLK_TCK")
    used_s = (int(fields[11]) + int(fields[12])) / ticks
    age_s = max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / ticks)
    return (
        _user(owner),
        str(pid),
        fields[1],
        str(min(99, int(100 * used_s / age_s)) if age_s else 0),
        _started(age_s),
        _terminal(int(fields[4])),
        _clock(int(used_s)),
        _command(pid, before.partition("(")[2]),
    )


def _user(uid: int) -> str:
    """Return the host's name for a user, as procps cuts it."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}+"


def _started(age_s: float) -> str:
    now = time.localtime()
    start = time.localtime(time.time() - age_s)
    if start.tm_year != now.tm_year:
        return time.strftime("%Y", start)
    return time.strftime("%H:%M" if start.tm_yday == now.tm_yday else "%b%d", start)


def _terminal(number: int) -> str:
    # the kernel's old encoding: 12 bits of major above 8 of minor, more of minor above these
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    if not number:
        return "?"
    return f"pts/{minor + (major - _PTS_MAJOR[0]) * 256}" if major in _PTS_MAJOR else f"{major},{minor}"


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_S)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _command(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").split(b"\0")
    except OSError:
        words = []
    text = " ".join(word.decode("utf-8", "replace") for word in words)
    return "".join(c if c.isprintable() else "?" for c in text) or f"[{name}]"
