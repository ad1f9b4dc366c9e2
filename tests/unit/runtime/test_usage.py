"""Counters of cgroups, version 1 and version 2, from directories that look like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

from composer.runtime.container.cgroups import Cgroup, Hierarchies
from composer.runtime.objects import usage


def _write(base: Path, values: dict[str, str]) -> None:
    for name, text in values.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_1(tmp_path: Path) -> None:
    names = ("cpuacct", "memory", "blkio", "pids")
    cgroup = Cgroup(Hierarchies({name: str(tmp_path / name) for name in names}, None, frozenset()), "id")
    _write(
        tmp_path,
        {
            "cpuacct/composer/id/cpuacct.usage": "1234567\n",
            "memory/composer/id/memory.usage_in_bytes": "1000000\n",
            "memory/composer/id/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/composer/id/memory.stat": "cache 5\ntotal_inactive_file 300000\n",
            "blkio/composer/id/blkio.throttle.io_service_bytes_recursive": (
                "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\nTotal 31\n"
            ),
            "pids/composer/id/pids.current": "7\n",
        },
    )
    found = usage.usage(cgroup, os.getpid())
    assert (found.cpu_ns, found.memory_bytes, found.processes) == (1234567, 700000, 7)
    assert (found.read_bytes, found.written_bytes) == (11, 20)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.memory_limit_bytes == total


def test_version_2(tmp_path: Path) -> None:
    cgroup = Cgroup(Hierarchies({}, str(tmp_path), frozenset({"memory", "io", "pids", "cpu"})), "id")
    _write(
        tmp_path / "composer/id",
        {
            "cpu.stat": "usage_usec 42\nuser_usec 40\n",
            "memory.current": "1000000\n",
            "memory.max": "67108864\n",
            "memory.stat": "anon 1\ninactive_file 2000000\n",
            "io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n",
            "pids.current": "3\n",
        },
    )
    found = usage.usage(cgroup, os.getpid())
    assert (found.cpu_ns, found.memory_limit_bytes, found.processes) == (42000, 64 << 20, 3)
    assert found.memory_bytes == 1000000, "more cache than usage: the two were not read in the same moment"
    assert (found.read_bytes, found.written_bytes) == (11, 20)


def test_nothing_is_counted_where_there_is_nothing(tmp_path: Path) -> None:
    found = usage.usage(Cgroup(Hierarchies({}, str(tmp_path), frozenset()), "id"), os.getpid())
    assert (found.cpu_ns, found.memory_bytes, found.processes) == (0, 0, 0)


def test_processes_as_ps_shows_them(tmp_path: Path) -> None:
    cgroup = Cgroup(Hierarchies({}, str(tmp_path), frozenset()), "id")
    procs = {"cgroup.procs": f"{os.getpid()}\n999999999\n", "deeper/cgroup.procs": f"{os.getppid()}\n"}
    _write(tmp_path / "composer/id", procs)
    found = usage.processes(cgroup)
    assert found.titles == ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
    rows = {row[1]: row for row in found.rows}
    assert sorted(rows) == sorted((str(os.getpid()), str(os.getppid())))
    own = rows[str(os.getpid())]
    assert own[2] == str(os.getppid())
    with open("/proc/self/cmdline", "rb") as file:
        words = file.read().rstrip(b"\0").split(b"\0")
    assert own[7] == b" ".join(words).decode()
