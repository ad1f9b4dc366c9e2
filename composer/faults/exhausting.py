"""Memory of a container that runs out: the kernel kills a program of it, as it does at a limit."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from composer.faults.filling import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE_BYTES = 1 << 18
_ROOM_BYTES = 64 << 20
"""What a container without a limit may use more than it does, while the fault is made."""
_NONE_BYTES = 1 << 60
"""Version 1 of control groups writes a larger number than this for no limit."""
_FIRST = "1000"
_LONGEST_S = 60.0
_NOTHING_KILLED = 3
_REASONS = {
    _NOTHING_KILLED: "the kernel killed nothing: oom_kill_disable may be set, or there is much swap",
    -signal.SIGKILL: "its limit is too small: it needs 16 MiB at least",
}


def exhaust(pid: int, id: str) -> None:
    """Use up the memory of a process's container until the kernel has killed in it. Raises Refused, OSError.

    A process of ours writes into a file without a name: it counts for the container and for none of its processes.
    A container without a limit has one meanwhile. One without a group of its own, which version 1 of control groups
    allows, gets one with ``id`` in its name.
    """
    group = Group.of(pid)
    own = _processes_beside(pid)
    if not set(group.processes()) <= set(own):
        with group.below(f"composer-fault-{id}") as made:
            for each in own:
                made.take(each)
            made.limit(str(_ROOM_BYTES))
            _exhaust(made)
        return
    limited = group.is_limited()
    if not limited:
        group.limit(str(group.used_bytes() + _ROOM_BYTES))
    try:
        _exhaust(group)
    finally:
        if not limited:
            group.limit(group.unlimited)


def _processes_beside(pid: int) -> list[int]:
    """Return the processes that see the same mounts: those of a container, and nobody else's."""
    mounts = os.stat(f"/proc/{pid}/ns/mnt").st_ino
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/mnt").st_ino == mounts:
                found.append(int(name))
        except OSError:
            continue  # it has just ended
    if os.getpid() in found:
        raise Refused("the container has no mounts of its own")
    return found


def _exhaust(group: Group) -> None:
    kills = group.kills()
    victim = _largest(group.processes())
    # Ours may be larger than all of a small container: the kernel takes the one that it would take without ours.
    before = _prefer(victim, _FIRST)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            group.take(0)
            code = 0 if _use_up(group, kills) else _NOTHING_KILLED
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0 or (code == -signal.SIGKILL and _has_ended(victim)):
        return
    if not _has_ended(victim):
        _prefer(victim, before)
    raise Refused(_REASONS.get(code, f"no process can be added to the control group {group.directory}"))


def _has_ended(pid: int) -> bool:
    """Tell whether a process has gone, or is on its way: it has no memory any more."""
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                if file.read().split()[0] == "0":
                    return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def _prefer(pid: int, value: str) -> str:
    """Set how much the kernel prefers to kill a process, from -1000 to 1000; return what it was."""
    with open(f"/proc/{pid}/oom_score_adj", "r+", encoding="ascii") as file:
        before = file.read().strip()
        file.seek(0)
        file.write(value)
    return before


def _use_up(group: Group, kills: int) -> bool:
    """Use memory in this process's group until something was killed; return whether it was."""
    piece = b"\1" * _PIECE_BYTES
    fd = os.memfd_create("composer-fault")
    deadline_s = time.monotonic() + _LONGEST_S
    while group.kills() == kills:
        if time.monotonic() > deadline_s:
            return False
        try:
            os.write(fd, piece)
        except OSError:
            time.sleep(0.01)  # no memory: what was killed has not gone yet
    return True


def _largest(processes: Iterable[int]) -> int:
    """Return the process that the kernel would kill. Raises Refused where there is none."""
    scores = {}
    for pid in processes:
        try:
            with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
                preferred = int(file.read())
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                scores[pid] = (preferred, int(file.read().split()[1]))
        except OSError:
            continue  # it has just ended
    if not scores:
        raise Refused("no process is left in the container")
    return max(scores, key=lambda pid: scores[pid])


class Group:
    """A control group that counts memory, in either version of them."""

    def __init__(self, directory: str, *, first: bool) -> None:
        self.directory = directory
        self._first = first
        self.unlimited = "-1" if first else "max"

    @classmethod
    def of(cls, pid: int) -> Group:
        """Return that of a process. Raises Refused where there is none."""
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            places = dict(_hierarchies(mounts))
        for _, controllers, path in groups:
            path = path.rstrip("/")
            first = "memory" in controllers.split(",")
            place = places.get("memory" if first else "")
            found = cls(f"{place}{path}", first=first)
            if place and (first or not controllers) and os.path.exists(found._limit):
                return found
        raise Refused("no control group counts the memory of the container")

    @property
    def _limit(self) -> str:
        return f"{self.directory}/{'memory.limit_in_bytes' if self._first else 'memory.max'}"

    def limit(self, value: str) -> None:
        """Set the limit; a group that went with its container needs none."""
        try:
            with open(self._limit, "w", encoding="ascii") as file:
                file.write(value)
        except FileNotFoundError:
            pass

    def is_limited(self) -> bool:
        with open(self._limit, encoding="ascii") as file:
            text = file.read().strip()
        return text != "max" and int(text) < _NONE_BYTES

    def used_bytes(self) -> int:
        name = "memory.usage_in_bytes" if self._first else "memory.current"
        with open(f"{self.directory}/{name}", encoding="ascii") as file:
            return int(file.read())

    def kills(self) -> int:
        """Return how often the kernel has killed in it; in a group that has gone more often than ever."""
        name = "memory.oom_control" if self._first else "memory.events"
        try:
            with open(f"{self.directory}/{name}", encoding="ascii") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        except OSError:
            return 1 << 62

    def processes(self) -> list[int]:
        """Return the processes in it and in those below."""
        found = []
        for directory, _, _ in os.walk(self.directory):
            with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
                found += [int(line) for line in file]
        return found

    def take(self, pid: int) -> None:
        """Take a process, this one for 0; one that has ended is nobody's."""
        try:
            with open(f"{self.directory}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(pid))
        except ProcessLookupError:
            pass

    @contextlib.contextmanager
    def below(self, name: str) -> Iterator[Group]:
        """Make a group below, and remove it when its processes are back in this one. Raises Refused."""
        if not self._first:
            raise Refused("the container shares its control group with others")
        made = Group(f"{self.directory}/{name}", first=True)
        os.mkdir(made.directory)
        try:
            yield made
        finally:
            while pids := made.processes():
                for pid in pids:
                    self.take(pid)
            os.rmdir(made.directory)


def _hierarchies(mounts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield where the hierarchies are mounted that may count memory: ``memory`` (version 1), and ``""`` (version 2)."""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        place = fields.split()[4]
        if kind == "cgroup2":
            yield "", place
        elif kind == "cgroup" and "memory" in options.split(","):
            yield "memory", place
