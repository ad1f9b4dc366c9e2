"""cgroup v2, v1 and both at once, behind one table. Container limits in OCI's `linux.resources` shape.

A container gets one directory ``composer/<id>`` in every hierarchy that counts or limits something, and one in the
v2 hierarchy even when all controllers are v1: killing, freezing and CLONE_INTO_CGROUP work there all the same.
What the kernel cannot do comes back as a warning that names the field; it is never dropped in silence.
Facts: cgroups(7), the kernel's cgroup-v1 and cgroup-v2 documents.
"""

from __future__ import annotations

import errno
import math
import os
import time

from composer.runtime.container import device_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

PARENT = "composer"
_MARK = "trusted.composer"
_PARENT_ATTEMPTS = 20
_PAUSE_S = 0.01
_V1_WANTED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "name=systemd")
_V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


_THROTTLES = (
    ("throttleReadBpsDevice", "device_read_bps", "read_bps_device", "rbps"),
    ("throttleWriteBpsDevice", "device_write_bps", "write_bps_device", "wbps"),
    ("throttleReadIOPSDevice", "device_read_iops", "read_iops_device", "riops"),
    ("throttleWriteIOPSDevice", "device_write_iops", "write_iops_device", "wiops"),
)


class Hierarchies:
    """Where the hierarchies of this machine are mounted, and which part of them is ours.

    ``v1`` maps a controller to the directory of our own cgroup in its hierarchy; ``v2`` is that of the unified
    one, or None; ``v2_controllers`` are the controllers that live there.
    """

    __slots__ = ("v1", "v2", "v2_controllers")

    def __init__(self, v1: dict[str, str], v2: str | None, v2_controllers: frozenset[str]) -> None:
        self.v1 = v1
        self.v2 = v2
        self.v2_controllers = v2_controllers

    def parents(self) -> list[str]:
        """Return the directory of every hierarchy once, the unified one last."""
        found = list(dict.fromkeys(self.v1.values()))
        return [*found, self.v2] if self.v2 else found


def detect(mountinfo: str = "/proc/self/mountinfo") -> Hierarchies:
    """Read the mounts of this machine. A hierarchy that is mounted read-only is left out."""
    v1: dict[str, str] = {}
    v2: str | None = None
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            fields, tail = left.split(), right.split()
            if "ro" in fields[5].split(","):
                continue
            if tail[0] == "cgroup2" and v2 is None:
                v2 = fields[4]
            elif tail[0] == "cgroup":
                for option in tail[2].split(","):
                    if option in _V1_WANTED:
                        v1.setdefault(option, fields[4])
    controllers: frozenset[str] = frozenset()
    if v2:
        with open(f"{v2}/cgroup.controllers", encoding="utf-8") as file:
            controllers = frozenset(file.read().split())
    return Hierarchies(v1, v2, controllers)


class Cgroup:
    """The cgroup of one container, in every hierarchy that its resources need.

    ``resources`` is None where nobody knows them any more: then it is whatever there may be of it.
    """

    __slots__ = ("_hierarchies", "_parent", "name", "paths", "v2")

    def __init__(
        self,
        hierarchies: Hierarchies,
        name: str,
        resources: Mapping[str, Any] | None = None,
        *,
        parent: str | None = None,
    ) -> None:
        self._hierarchies = hierarchies
        self.name = name
        self._parent = (parent or "").strip("/") or PARENT
        wanted = hierarchies.v1 if resources is None else _useful(hierarchies, resources)
        self.paths = {c: f"{base}/{self._parent}/{name}" for c, base in hierarchies.v1.items() if c in wanted}
        self.v2 = f"{hierarchies.v2}/{self._parent}/{name}" if hierarchies.v2 else None

    def directories(self) -> list[str]:
        found = list(dict.fromkeys(self.paths.values()))
        return [*found, self.v2] if self.v2 else found

    def create(self) -> None:
        """Make the directories; those that are there already stay as they are."""
        for directory in self.directories():
            try:
                os.mkdir(directory, 0o755)
            except FileNotFoundError:
                self._create_parent(os.path.dirname(directory))
                _mkdir(directory)
            except FileExistsError:
                pass  # a start after a crash: the limits are written again anyway
        cpuset = self.paths.get("cpuset")
        if cpuset:
            # A v1 cpuset is born empty, and nobody can join one that is.
            _copy_cpuset(os.path.dirname(cpuset), cpuset)

    def _create_parent(self, parent: str) -> None:
        """Make what is missing above a container's cgroup, with a mark: what we made is ours to remove."""
        base = parent.removesuffix(f"/{self._parent}")
        directory = base
        for part in self._parent.split("/"):
            if base == self._hierarchies.v2:
                _enable_controllers(directory, self._hierarchies.v2_controllers)
            directory = f"{directory}/{part}"
            is_new = not os.path.isdir(directory)
            _mkdir(directory)
            if is_new and self._parent != PARENT:
                os.setxattr(directory, _MARK, b"1")
            if base == self._hierarchies.v1.get("cpuset") and (is_new or self._parent == PARENT):
                _copy_cpuset(os.path.dirname(directory), directory)
        if base == self._hierarchies.v2:
            _enable_controllers(directory, self._hierarchies.v2_controllers)

    def join(self) -> None:
        """Move the calling process into every hierarchy."""
        for directory in self.directories():
            _write(f"{directory}/cgroup.procs", "0")

    def apply(self, resources: Mapping[str, Any]) -> list[str]:
        """Write OCI `linux.resources`; return a warning for each field that this kernel cannot do."""
        warnings = self._limit(resources)
        if self.v2 and "devices" not in self._hierarchies.v1:
            device_filter.attach(self.v2, resources.get("devices", ()))
        return warnings

    def update(self, resources: Mapping[str, Any]) -> list[str]:
        """Write limits, none of devices, while programs run in it; return the warnings as `apply` does.

        Each group of ``resources`` is whole. One that needs a hierarchy where the container is not yet moves it there.
        """
        missing = [directory for directory in self.directories() if not os.path.isdir(directory)]
        if missing:
            self.create()
        limits = {key: value for key, value in resources.items() if key != "devices"}
        swap = limits.get("memory", {}).get("swap")
        if swap is not None and self._is_more_swap(swap):
            # Of version 1: memory can never have a higher limit than memory and swap together.
            self._limit({"memory": {"swap": swap}})
        warnings = self._limit(limits)
        for directory in missing:
            self._move_into(directory, [one for one in self.directories() if one not in missing])
        return warnings

    def _is_more_swap(self, swap: int) -> bool:
        directory = self.paths.get("memory")
        try:
            with open(f"{directory}/memory.memsw.limit_in_bytes", encoding="ascii") as file:
                return directory is not None and (swap < 0 or swap > int(file.read()))
        except FileNotFoundError:
            return False  # version 2, or a kernel that does not count swap

    def _move_into(self, directory: str, others: Iterable[str]) -> None:
        """Move every process that is in the others, also those that are born meanwhile."""
        moved: set[int] = set()
        while new := [pid for pid in _processes(others) if pid not in moved]:
            for pid in new:
                try:
                    _write(f"{directory}/cgroup.procs", str(pid))
                except ProcessLookupError:
                    pass  # it has just ended
            moved.update(new)

    def _limit(self, resources: Mapping[str, Any]) -> list[str]:
        warnings = []
        opened: dict[str, int] = {}
        try:
            for field, writes in _limit_writes(resources, self._hierarchies.v1):
                # Every file that exists is written; one is enough.
                if sum(self._write_limit(opened, field, *write) for write in writes) == 0:
                    warnings.append(
                        f"{field}: not supported by this kernel's {writes[0][0]} controller, ignored"
                    )
        finally:
            for fd in opened.values():
                os.close(fd)
        return warnings

    def _write_limit(
        self, opened: dict[str, int], field: str, controller: str, name: str, value: str
    ) -> bool:
        directory = self._directory(controller, name)
        if directory is None:
            return False
        path = f"{directory}/{name}"
        try:
            if path not in opened:
                opened[path] = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(opened[path], value.encode())
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP):
                return False
            raise OSError(error.errno, f"cannot set {field} to {value}: {error.strerror}") from error
        return True

    def _directory(self, controller: str, name: str) -> str | None:
        """Return the directory for a v1 (``memory``) or v2 (``v2:memory``) file, where that controller is."""
        if controller.startswith("v2:"):
            return self.v2 if controller[3:] in self._hierarchies.v2_controllers else None
        return self.paths.get(controller)

    def kill(self) -> None:
        """Send SIGKILL to every process in it, also to those that are being born."""
        if self.v2:
            try:
                _write(f"{self.v2}/cgroup.kill", "1")
                return
            except FileNotFoundError:
                pass  # before Linux 5.14: one by one, below
        for pid in self.processes():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass  # it went by itself

    def processes(self) -> list[int]:
        return _processes(directory for directory in (self.v2, *self.paths.values()) if directory)

    def freeze(self, frozen: bool) -> None:
        """Stop or resume every process (pause)."""
        if self.v2:
            _write(f"{self.v2}/cgroup.freeze", "1" if frozen else "0")
        elif "freezer" in self.paths:
            _write(f"{self.paths['freezer']}/freezer.state", "FROZEN" if frozen else "THAWED")

    def oom_kills(self) -> int:
        """Return how often the kernel killed something in it for want of memory."""
        for directory, name in ((self.paths.get("memory"), "memory.oom_control"), (self.v2, "memory.events")):
            if directory:
                try:
                    with open(f"{directory}/{name}", encoding="utf-8") as file:
                        for line in file:
                            if line.startswith("oom_kill "):
                                return int(line.split()[1])
                except FileNotFoundError:
                    continue
        return 0

    def remove(self) -> bool:
        """Remove the directories; False when one is still busy, which it is for moments after an exit."""
        clear = True
        for directory in self.directories():
            clear = _rmdir_tree(directory) and clear
            if clear and self._parent != PARENT:
                self._remove_parents(os.path.dirname(directory))
        return clear

    def _remove_parents(self, parent: str) -> None:
        """Remove what `_create_parent` made, once the last container in it has gone."""
        for _ in self._parent.split("/"):
            if not _is_marked(parent) or not _rmdir_tree(parent, recurse=False):
                return
            parent = os.path.dirname(parent)


def _processes(directories: Iterable[str]) -> list[int]:
    """Return what is in the first of several directories of one container that is there."""
    for directory in directories:
        try:
            with open(f"{directory}/cgroup.procs", encoding="utf-8") as file:
                return [int(line) for line in file]
        except FileNotFoundError:
            continue
    return []


def _is_marked(directory: str) -> bool:
    try:
        return bool(os.getxattr(directory, _MARK))
    except OSError:
        return False  # not ours, or gone with another container


def _useful(hierarchies: Hierarchies, resources: Mapping[str, Any]) -> set[str]:
    """Return the v1 controllers that do something for a container; each of the others would only cost time.

    A cpuset counts when it is set; freezing, and systemd's bookkeeping, are the unified hierarchy's where it is.
    """
    cpu = resources.get("cpu", {})
    unwanted = set() if cpu.get("cpus") or cpu.get("mems") else {"cpuset"}
    if hierarchies.v2:
        unwanted |= {"freezer", "name=systemd"}
    return set(hierarchies.v1) - unwanted


def remove_of(containers: Iterable[tuple[str, str | None]], *, timeout_s: float) -> None:
    """Remove the cgroups of containers that have ended: (id, its ``cgroup_parent``). One that stays busy is left.

    Whichever hierarchies each was in: who comes here may know no more than its id.
    """
    hierarchies = detect()
    left = [Cgroup(hierarchies, id, parent=parent) for id, parent in containers]
    deadline_s = time.monotonic() + timeout_s
    while left := [cgroup for cgroup in left if not cgroup.remove()]:
        if time.monotonic() > deadline_s:
            return
        time.sleep(_PAUSE_S)  # the kernel lets go of it moments after its last process has


def remove_parents() -> None:
    """Remove our own directory in every hierarchy, where nothing is left in it."""
    for base in detect().parents():
        for _ in range(_PARENT_ATTEMPTS):
            directory = f"{base}/{PARENT}"
            if _rmdir_tree(directory, recurse=False) or _has_children(directory):
                break
            time.sleep(_PAUSE_S)  # busy for moments after its last child has gone


def _has_children(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(entry.is_dir(follow_symlinks=False) for entry in entries)
    except FileNotFoundError:
        return False


def _limit_writes(
    resources: Mapping[str, Any], v1: Mapping[str, str]
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield (Compose's field, [(controller, file, value), …]); every file that exists is written."""
    memory = resources.get("memory", {})
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None:
        yield (
            "mem_limit",
            [("memory", "memory.limit_in_bytes", str(limit)), ("v2:memory", "memory.max", _max(limit))],
        )
    if swap is not None:
        beyond = "max" if swap < 0 else str(max(0, swap - (limit or 0)))
        yield (
            "memswap_limit",
            [("memory", "memory.memsw.limit_in_bytes", str(swap)), ("v2:memory", "memory.swap.max", beyond)],
        )
    if memory.get("reservation") is not None:
        value = str(memory["reservation"])
        yield (
            "mem_reservation",
            [("memory", "memory.soft_limit_in_bytes", value), ("v2:memory", "memory.low", value)],
        )
    if memory.get("swappiness") is not None:
        yield "mem_swappiness", [("memory", "memory.swappiness", str(memory["swappiness"]))]
    if memory.get("disableOOMKiller"):
        yield "oom_kill_disable", [("memory", "memory.oom_control", "1")]
    yield from _cpu_writes(resources.get("cpu", {}))
    yield from _disk_writes(resources.get("blockIO", {}))
    pids = resources.get("pids", {}).get("limit")
    if pids is not None:
        yield "pids_limit", [("pids", "pids.max", _max(pids)), ("v2:pids", "pids.max", _max(pids))]
    if "devices" in v1:
        for rule in resources.get("devices", []):
            yield (
                "devices",
                [("devices", "devices.allow" if rule["allow"] else "devices.deny", _device(rule))],
            )


def _cpu_writes(cpu: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    quota, period = cpu.get("quota"), cpu.get("period")
    if quota is not None or period is not None:
        period = period or 100_000
        both = f"{_max(quota if quota is not None else -1)} {period}"
        yield (
            "cpus",
            [
                ("cpu", "cpu.cfs_period_us", str(period)),
                ("cpu", "cpu.cfs_quota_us", str(quota if quota is not None else -1)),
                ("v2:cpu", "cpu.max", both),
            ],
        )
    for key, name in (("realtimePeriod", "cpu.rt_period_us"), ("realtimeRuntime", "cpu.rt_runtime_us")):
        if cpu.get(key):
            yield f"cpu_rt_{key[8:].lower()}", [("cpu", name, str(cpu[key]))]
    if cpu.get("shares"):
        shares = cpu["shares"]
        # OCI's map from v1 shares (2 … 262144) to v2 weight (1 … 10000); 1024 becomes 100
        log = math.log2(max(2, min(262_144, shares)))
        weight = math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
        yield "cpu_shares", [("cpu", "cpu.shares", str(shares)), ("v2:cpu", "cpu.weight", str(weight))]
    for key, name in (("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")):
        if cpu.get(key):
            yield "cpuset", [("cpuset", name, cpu[key]), ("v2:cpuset", name, cpu[key])]


def _disk_writes(disks: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Weights 10 … 1000 of v1 become 1 … 10000 of v2, as OCI says; limits are written per device."""
    weights = [("", disks["weight"])] if disks.get("weight") else []
    weights += [(f"{d['major']}:{d['minor']} ", d["weight"]) for d in disks.get("weightDevice", ())]
    for device, weight in weights:
        shared = f"{device}{1 + (weight - 10) * 9999 // 990}"
        end = "_device" if device else ""
        yield (
            "blkio_config.weight_device" if device else "blkio_config.weight",
            [("blkio", f"blkio.{kind}weight{end}", f"{device}{weight}") for kind in ("", "bfq.")]
            + [("v2:io", "io.weight", shared), ("v2:io", "io.bfq.weight", f"{device}{weight}")],
        )
    for field, name, file, key in _THROTTLES:
        for limit in disks.get(field, ()):
            device = f"{limit['major']}:{limit['minor']}"
            yield (
                f"blkio_config.{name}",
                [
                    ("blkio", f"blkio.throttle.{file}", f"{device} {limit['rate']}"),
                    ("v2:io", "io.max", f"{device} {key}={limit['rate']}"),
                ],
            )


def _max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _device(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type", "a")
    if kind == "a":
        return "a"
    major, minor = (rule.get(key) for key in ("major", "minor"))
    numbers = ":".join("*" if number is None or number < 0 else str(number) for number in (major, minor))
    return f"{kind} {numbers} {rule.get('access', 'rwm')}"


def _mkdir(path: str) -> None:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        pass  # another project's supervisor made it in the same moment


def _copy_cpuset(parent: str, child: str) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        with open(f"{parent}/{name}", encoding="utf-8") as file:
            _write(f"{child}/{name}", file.read().strip())


def _enable_controllers(directory: str, available: frozenset[str]) -> None:
    for controller in _V2_CONTROLLERS:
        if controller in available:
            try:
                _write(f"{directory}/cgroup.subtree_control", f"+{controller}")
            except OSError:
                pass  # not delegated to us: `apply` then says which limit cannot be set


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _rmdir_tree(directory: str, *, recurse: bool = True) -> bool:
    """Remove a cgroup and those that a container made below it. True when it is gone."""
    try:
        os.rmdir(directory)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        if not recurse:
            return False
    try:
        children = [entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return True
    for child in children:
        _rmdir_tree(child)
    try:
        os.rmdir(directory)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
