"""Runs a command in a workplace of its own on this machine: its processes, mounts, links, rules and cgroups are apart.

    python -m tests.apart COMMAND…      as root; the exit code is the command's

Tests of the built-in runtime compare whole listings of the machine, so two of them at once need two machines, or this.
The command's control groups lie below ``composer-apart-PID`` of each hierarchy and go with it, as does everything that
it leaves running. Where the kernel or the machine's cgroups cannot do it (version 2 alone), the command runs as it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from composer.runtime.base import syscalls

ROOT = Path("/sys/fs/cgroup")
NAME = "composer-apart"
_FLAGS = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWCGROUP
)


def hierarchies() -> dict[str, tuple[str, str]]:
    """Return each mounted hierarchy of control groups: its type and its own options."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        own, _, rest = line.partition(" - ")
        path, (kind, _, options) = own.split()[4], rest.split()[:3]
        if kind in ("cgroup", "cgroup2") and path.startswith(f"{ROOT}/"):
            words = [
                word for word in options.split(",") if word not in ("rw", "ro", "xattr", "clone_children")
            ]
            found[path] = (kind, ",".join(words))
    return found


def enter_groups(name: str, paths: list[str]) -> list[Path]:
    """Make a control group in each hierarchy, and go there."""
    made = []
    for path in paths:
        group = Path(path) / name
        group.mkdir()
        made.append(group)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (group / setting).exists():
                (group / setting).write_text((Path(path) / setting).read_text())
        if (group / "cgroup.clone_children").exists() and "cpuset" in path:
            (group / "cgroup.clone_children").write_text("1")
        (group / "cgroup.procs").write_text(str(os.getpid()))
    return made


def arrange(found: dict[str, tuple[str, str]]) -> None:
    """Show the new namespaces in /proc, /sys and /sys/fs/cgroup; have two interfaces."""
    syscalls.mount(None, "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    syscalls.mount("proc", "/proc", "proc", 0)
    syscalls.mount("sysfs", "/sys", "sysfs", 0)
    syscalls.mount("tmpfs", str(ROOT), "tmpfs", 0, "mode=755")
    for path, (kind, options) in found.items():
        Path(path).mkdir()
        syscalls.mount("cgroup", path, kind, 0, options if kind == "cgroup" else None)
    for path in found:
        for alias in Path(path).name.split(",") if "," in path else ():
            (ROOT / alias).symlink_to(Path(path).name)
    for place in ("/run/composer", "/var/lib/composer"):
        os.makedirs(place, 0o700, exist_ok=True)
        syscalls.mount("tmpfs", place, "tmpfs", 0, "mode=700")
    # An interface with an address of its own and a way out, as machines have them; nobody is there.
    for command in (
        "link set lo up",
        "link add eth0 type veth peer name nobody",
        "address add 192.0.2.2/24 dev eth0",
        "link set eth0 up",
        "link set nobody up",
        "route add default via 192.0.2.1",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def first_process(command: list[str]) -> int:
    """Run the command and reap whatever else ends, as the first process of a pid namespace has to."""
    child = os.posix_spawnp(command[0], command, os.environ)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def remove_groups(made: list[Path]) -> None:
    """Go back, and remove the groups with all below; the kernel needs a moment to let go of the last process."""
    for group in made:
        (group.parent / "cgroup.procs").write_text(str(os.getpid()))
    for group in made:
        for place in [*sorted(group.rglob("*/"), key=lambda path: -len(path.parts)), group]:
            for _ in range(200):
                try:
                    place.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


def main(command: list[str]) -> int:
    found = hierarchies()
    if os.geteuid() != 0 or not found:
        return subprocess.run(command, check=False).returncode
    made = enter_groups(f"{NAME}-{os.getpid()}", list(found))
    try:
        pid, _ = syscalls.clone(_FLAGS)
        if pid == 0:
            try:
                arrange(found)
                os._exit(first_process(command))
            except BaseException as error:
                print(f"cannot be apart: {error}", file=sys.stderr)
                os._exit(125)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears of it from the terminal
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        remove_groups(made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
