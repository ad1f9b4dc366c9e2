"""System calls of a process, counted with strace(1): what grows where it must not shows, however busy the machine is.

files         opened, whether they are there or not
messages      sent to the kernel over netlink, a batch is one
transactions  of nftables among them
forks         processes and threads
"""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

_CALLS = "open,openat,openat2,sendto,sendmsg,fork,vfork,clone,clone3"
_STRACE = ("strace", "-qq", "-e", f"trace={_CALLS}", "-e", "signal=none")
_ATTACHED_WITHIN_S = 30.0
_LINE = re.compile(r"^(?:\d+ +)?(?P<name>\w+)\((?P<rest>.*)")


class Count(NamedTuple):
    files: int = 0
    requests: int = 0
    listings: int = 0
    transactions: int = 0
    forks: int = 0

    def each(self, number: int) -> dict[str, float]:
        """Return the counts for one of so many."""
        return {name: value / number for name, value in self._asdict().items()}


def count(text: str) -> Count:
    """Count what strace has written. A call that another process interrupted is begun once, and counted then."""
    files = requests = listings = transactions = forks = 0
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        name, rest = found["name"], found["rest"]
        if name.startswith("open"):
            files += 1
        elif name.startswith("send"):
            is_listing = "NLM_F_DUMP" in rest
            listings += is_listing
            requests += "nlmsg_len" in rest and not is_listing
            transactions += "NFNL_MSG_BATCH_BEGIN" in rest
        else:
            forks += 1
    return Count(files, requests, listings, transactions, forks)


class Counted:
    """What was counted; known once the counting has ended."""

    result = Count()


@contextmanager
def counting(pid: int) -> Iterator[Counted]:
    """Count the calls of a process that runs, without those of its children."""
    counted = Counted()
    with tempfile.NamedTemporaryFile("r", errors="replace") as file:
        tracer = subprocess.Popen([*_STRACE, "-o", file.name, "-p", str(pid)])
        try:
            _wait_attached(pid, tracer)
            yield counted
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(timeout=60)
        counted.result = count(file.read())


def _wait_attached(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _ATTACHED_WITHIN_S
    while f"TracerPid:\t{tracer.pid}\n" not in pathlib.Path(f"/proc/{pid}/status").read_text():
        assert tracer.poll() is None, "strace cannot attach to the process"
        assert time.monotonic() < deadline_s, "strace did not attach to the process"
        time.sleep(0.005)


def count_command(command: Sequence[str], cwd: pathlib.Path, environment: Mapping[str, str]) -> Count:
    """Run a command with its threads and children, which must end with it, and count their calls."""
    with tempfile.NamedTemporaryFile("r", errors="replace") as file:
        result = subprocess.run(
            [*_STRACE, "-f", "--seccomp-bpf", "-o", file.name, *command],
            cwd=cwd,
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert result.returncode == 0, result.stderr[-4000:]
        return count(file.read())
