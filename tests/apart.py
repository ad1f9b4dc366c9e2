"""Runs a command in a workplace of its own on this machine: its processes, mounts, links, rules and cgroups are apart.

    python -m tests.apart COMMAND…      as root; the exit code is the command's

Tests of the built-in runtime compare whole listings of the machine, so two of them at once need two machines, or this.
The command's control groups lie below ``composer-apart-PID`` of each hierarchy and go with it, as does everything that
it leaves running. Who is not root runs the command as it is. ``COMPOSER_TEST_CORNER`` says that this is one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from composer.runtime.base import syscalls
from tests import files_in_memory

ROOT = Path("/sys/fs/cgroup")
NAME = "composer-apart"
ENTERED = "COMPOSER_TEST_CORNER"
ADDRESS = "192.0.2.2"
_LEAF = "command"
"""Where the command's own processes are in version 2: a group with processes cannot give controllers to those below."""
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
        if kind in ("cgroup", "cgroup2") and (path == str(ROOT) or path.startswith(f"{ROOT}/")):
            words = [
                word for word in options.split(",") if word not in ("rw", "ro", "xattr", "clone_children")
            ]
            found[path] = (kind, ",".join(words))
    return found


def enter_groups(name: str, found: dict[str, tuple[str, str]]) -> list[Path]:
    """Make a control group in each hierarchy, and go there."""
    made = []
    for path, (kind, _) in found.items():
        if kind == "cgroup2":
            give_controllers(Path(path))
        group = Path(path) / name
        group.mkdir()
        made.append(group)
        if kind == "cgroup":
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (group / setting).exists():
                    (group / setting).write_text((Path(path) / setting).read_text())
            if (group / "cgroup.clone_children").exists() and "cpuset" in path:
                (group / "cgroup.clone_children").write_text("1")
        (group / "cgroup.procs").write_text(str(os.getpid()))
    return made


def give_controllers(group: Path) -> None:
    """Let the groups below have each controller that this one has, as far as it may give them."""
    for controller in (group / "cgroup.controllers").read_text().split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            print(f"{group}: no controller {controller}: {error.strerror}", file=sys.stderr)


def go_to_leaves(found: dict[str, tuple[str, str]]) -> None:
    """Leave the root of each hierarchy of version 2, as its namespace shows it, to groups."""
    for path, (kind, _) in found.items():
        if kind == "cgroup2":
            leaf = Path(path) / _LEAF
            leaf.mkdir()
            (leaf / "cgroup.procs").write_text(str(os.getpid()))


def leave_mounts_of_others() -> None:
    """Detach what containers and engines of the machine have mounted: it would vanish from here when they end.

    The kernel takes a mount away everywhere when somebody removes the directory that it is on.
    """
    here = f"{os.getcwd()}/"
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        own, _, rest = line.partition(" - ")
        path, kind = own.split()[4], rest.split()[0]
        is_of_others = kind in ("overlay", "nsfs") or path.startswith(("/run/", "/var/lib/"))
        if is_of_others and path != "/" and not here.startswith(f"{path}/"):
            try:
                syscalls.umount(path, syscalls.MNT_DETACH)
            except OSError:
                continue  # it went by itself, or another mount hides it


def arrange(found: dict[str, tuple[str, str]]) -> None:
    """Show the new namespaces in /proc, /sys and /sys/fs/cgroup; have two interfaces."""
    syscalls.mount(None, "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    leave_mounts_of_others()
    syscalls.mount("proc", "/proc", "proc", 0)
    syscalls.mount("sysfs", "/sys", "sysfs", 0)
    if str(ROOT) not in found:
        syscalls.mount("tmpfs", str(ROOT), "tmpfs", 0, "mode=755")
    for path, (kind, options) in found.items():
        Path(path).mkdir(exist_ok=True)
        syscalls.mount("cgroup", path, kind, 0, options if kind == "cgroup" else None)
    for path in found:
        for alias in Path(path).name.split(",") if "," in path else ():
            (ROOT / alias).symlink_to(Path(path).name)
    go_to_leaves(found)
    for place in ("/run/composer", "/var/lib/composer"):
        os.makedirs(place, 0o700, exist_ok=True)
        syscalls.mount("tmpfs", place, "tmpfs", 0, "mode=700")
    size = files_in_memory.wanted()
    if size is not None:
        files_in_memory.PLACE.mkdir(exist_ok=True)
        syscalls.mount("tmpfs", str(files_in_memory.PLACE), "tmpfs", 0, f"mode=755,size={size}")
    # Names that only the world knows are refused at once; nobody would answer for them, ever.
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"nameserver {ADDRESS}\n")
        file.flush()
        syscalls.mount(file.name, os.path.realpath("/etc/resolv.conf"), None, syscalls.MS_BIND)
    # An interface with an address of its own and a way out, as machines have them; nobody is there.
    for command in (
        "link set lo up",
        "link add eth0 type veth peer name nobody",
        f"address add {ADDRESS}/24 dev eth0",
        "link set eth0 up",
        "link set nobody up",
        "route add default via 192.0.2.1",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def first_process(command: list[str]) -> int:
    """Run the command and reap whatever else ends, as the first process of a pid namespace has to."""
    child = os.posix_spawnp(command[0], command, {**os.environ, ENTERED: "1"})
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
    made = enter_groups(f"{NAME}-{os.getpid()}", found)
    try:
        pid, _ = syscalls.clone(_FLAGS)
        if pid == 0:
            try:
                arrange(found)
                os._exit(first_process(command))
            except BaseException as error:
                print(f"cannot be apart: {error}", file=sys.stderr)
                os._exit(125)
        for group in made:
            if found[str(group.parent)][0] == "cgroup2":
                (group.parent / "cgroup.procs").write_text(str(os.getpid()))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears of it from the terminal
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        remove_groups(made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
