"""Whether a container has nothing to do for some time: each of its threads sleeps longer, or waits for another of them.

Where a program has no handler for the stop signal, the kernel drops it, and the grace period is time for what it does
by itself: to end, to finish its start, to get an answer. Who can do none of this is not waited for. What a thread waits
for is in /proc/PID/task/TID/syscall (proc(5)): the number of the system call and its arguments. All that is not known
here counts as something to do.
"""

from __future__ import annotations

import os
import signal
import struct
import time

_MOST_THREADS = 64
"""Of more nobody asks: it would take longer than it saves."""
_NUMBERS = {
    "x86_64": {
        0: "read",
        7: "poll",
        34: "pause",
        35: "nanosleep",
        61: "wait",
        130: "pause",
        202: "futex",
        230: "clock_nanosleep",
        247: "wait",
        271: "ppoll",
    },
    "aarch64": {
        63: "read",
        73: "ppoll",
        95: "wait",
        98: "futex",
        101: "nanosleep",
        115: "clock_nanosleep",
        133: "pause",
        260: "wait",
    },
}
_CALLS = _NUMBERS.get(os.uname().machine, {})
_FUTEX_WAITS = (0, 9)
_ABSOLUTE = 1
_MOST_POLLED = 8
_ENDLESS_MS = 0xFFFFFFFF


def is_resting(first: int, pids: list[int], seconds: float) -> bool:
    """Tell whether none of these processes, all of a container, does anything by itself for so long.

    ``first`` is its first process: where it is not among them, they are not all.
    """
    if first not in pids:
        return False
    try:
        if any(map(_has_timer, pids)):
            return False
        awake = [pid for pid in pids if not _keeps_alive(pid)]
        threads = [(pid, tid) for pid in awake for tid in os.listdir(f"/proc/{pid}/task")]
        if len(threads) > _MOST_THREADS:
            return False
        known = set(pids)
        return all(_children(pid, tid) <= known and _rests(pid, tid, seconds) for pid, tid in threads)
    except (OSError, ValueError, StopIteration, struct.error):
        return False  # it has ended meanwhile, or may not be looked at


def _has_timer(pid: int) -> bool:
    """Tell a process that a timer may wake, such as timeout(1): it has one, or a handler for that of alarm(2)."""
    with open(f"/proc/{pid}/status", encoding="latin-1") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt:"))
    if caught & (1 << (signal.SIGALRM - 1)):
        return True
    try:
        with open(f"/proc/{pid}/timers", "rb") as timers:
            return bool(timers.read(1))
    except FileNotFoundError:
        return False  # a kernel that does not tell: the handler is what there is to see


def _children(pid: int, tid: str) -> set[int]:
    """Return the children of a thread: one in a cgroup of its own is not among the processes of the container."""
    with open(f"/proc/{pid}/task/{tid}/children", encoding="ascii") as file:
        return set(map(int, file.read().split()))


def _keeps_alive(pid: int) -> bool:
    """Tell ``tail -f /dev/null``, with which people keep containers: it looks every second, and never ends."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    return words[0].rpartition(b"/")[2] == b"tail" and words[1:] in ([b"-f", _NULL, b""], [b"-F", _NULL, b""])


_NULL = b"/dev/null"


def _rests(pid: int, tid: str, seconds: float) -> bool:
    with open(f"/proc/{pid}/task/{tid}/stat", encoding="latin-1") as file:
        fields = file.read().rpartition(")")[2].split()
    if fields[0] == "Z":
        return True
    if fields[0] != "S":
        return False
    with open(f"/proc/{pid}/task/{tid}/syscall", encoding="ascii") as file:
        words = file.read().split()
    if not words[0].isdecimal():
        return False
    call, arguments = _CALLS.get(int(words[0])), [int(word, 16) for word in words[1:7]]
    if call in ("pause", "wait"):
        return True  # its children are looked at, too
    if call == "futex":
        # of other threads, without a limit
        return arguments[1] & 0x7F in _FUTEX_WAITS and arguments[3] == 0
    if call == "read":
        return _is_quiet(pid, arguments[0])
    if call in ("poll", "ppoll"):
        is_endless = arguments[2] == 0 if call == "ppoll" else arguments[2] & _ENDLESS_MS == _ENDLESS_MS
        return is_endless and _polls_nothing(pid, arguments[0], arguments[1])
    if call in ("nanosleep", "clock_nanosleep"):
        return _sleep_s(pid, call, arguments, int(fields[19])) > seconds
    return False


def _sleep_s(pid: int, call: str, arguments: list[int], started_ticks: int) -> float:
    """Return how long a sleep lasts at least: when it began nobody knows, but not before its process."""
    place = arguments[0] if call == "nanosleep" else arguments[2]
    whole, rest_ns = struct.unpack("qq", _memory(pid, place, 16))
    wanted_s = whole + rest_ns / 1e9
    if call == "clock_nanosleep" and arguments[1] & _ABSOLUTE:
        return float(wanted_s - time.clock_gettime(arguments[0] & 0xFF))
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
    return float(wanted_s - age_s)


def _polls_nothing(pid: int, place: int, count: int) -> bool:
    """Tell a poll of changes of files alone (``tail -f``): what else comes may be an answer."""
    if not 0 < count <= _MOST_POLLED:
        return count == 0
    entries = struct.iter_unpack("ihh", _memory(pid, place, 8 * count))
    return all(events == 0 or _is_quiet(pid, fd) for fd, events, _ in entries)


def _is_quiet(pid: int, fd: int) -> bool:
    """Tell whether a descriptor is of changes of files, or of a terminal."""
    link = os.readlink(f"/proc/{pid}/fd/{fd}")
    return link in ("anon_inode:inotify", "inotify") or link.startswith(("/dev/pts/", "/dev/console"))


def _memory(pid: int, place: int, size: int) -> bytes:
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, place)
    finally:
        os.close(fd)
