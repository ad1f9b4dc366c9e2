"""Ways out of other runtimes that concern the root file system, played for real.

Where it can be shown, the same attack is played without the guard first, and wins: so what follows means something.
Others are in test_escapes, test_mounts and test_tree_races.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from composer.runtime.base import syscalls
from composer.runtime.container import cgroups, console, mounts, rootfs
from tests.archives import directory, symlink
from tests.integration.namespace.conftest import Stack
from tests.integration.namespace.test_escapes import IDLE, hostile
from tests.integration.namespace.test_escapes import rootfs as image_of

pytestmark = pytest.mark.root


def in_namespace(work: Callable[[], None]) -> str:
    """Do something in a child with a mount namespace of its own; return what it failed with, or nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount(None, "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
            work()
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    made = tmp_path / "root"
    for name in ("dev", "proc", "etc"):
        (made / name).mkdir(parents=True)
    yield made


# ------------------------------------------------------------------ CVE-2025-31133


@pytest.mark.parametrize("guarded", [False, True])
def test_cve_2025_31133_a_mask_never_shows_what_a_false_null_device_leads_to(
    root: pathlib.Path, guarded: bool
) -> None:
    """A container that has the other's /dev in a volume puts a link there: the mask would open what it should hide."""
    (root / "etc" / "secret").write_text("of the kernel")
    (root / "proc" / "kcore").write_text("hidden")
    (root / "dev" / "null").symlink_to("../etc/secret")
    seen = root.parent / "seen"

    def attack() -> None:
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
        if not guarded:
            rootfs.open_null = lambda root: syscalls.openat2(root, "/dev/null", os.O_PATH)
        rootfs.mask_paths(fd, ["/proc/kcore"], [])
        seen.write_text((root / "proc" / "kcore").read_text())

    said = in_namespace(attack)
    if guarded:
        assert "not the null device" in said and not seen.exists()
    else:
        assert seen.read_text() == "of the kernel", f"this attack does not work any more: {said}"


def test_cve_2025_31133_with_a_directory_of_the_host_at_dev(stack: Stack) -> None:
    dev = stack.directory / "dev"
    dev.mkdir()
    (dev / "null").symlink_to("/proc/sys/kernel/core_pattern")
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    stack.write(f"services:\n  a:\n    {IDLE}\n    volumes: ['./dev:/dev']\n")
    done = stack.run("up", "-d", check=False)
    assert done.returncode != 0 and "not the null device" in done.stderr
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before


# ------------------------------------------------------------------ CVE-2025-52565


@pytest.mark.parametrize("guarded", [False, True])
def test_cve_2025_52565_a_terminal_is_mounted_on_no_place_that_a_link_chose(
    root: pathlib.Path, guarded: bool
) -> None:
    """/dev/console is a link: the terminal would hide what protects, and be what somebody reads in its place."""
    (root / "etc" / "shadow").write_text("protected")
    (root / "dev" / "console").symlink_to("../etc/shadow")
    (root / "dev" / "pts").mkdir()
    seen = root.parent / "seen"

    def attack() -> None:
        syscalls.mount("devpts", str(root / "dev" / "pts"), "devpts", 0, "newinstance,ptmxmode=0666")
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
        if not guarded:
            make = rootfs.make_file
            rootfs.make_file = lambda root, path, *, resolve=0: make(root, path)
        try:
            console.open_console(fd, 0)
        finally:
            kind = "terminal" if stat.S_ISCHR(os.stat(root / "etc" / "shadow").st_mode) else "file"
            seen.write_text(kind)

    in_namespace(attack)
    assert seen.read_text() == ("file" if guarded else "terminal")


@pytest.mark.parametrize("what", ["link", "other device", "file"])
def test_cve_2025_52565_a_false_multiplexer_gives_no_terminal(root: pathlib.Path, what: str) -> None:
    """The slave comes from the master that was verified (TIOCGPTPEER), and never from a path."""
    pts = root / "dev" / "pts"
    pts.mkdir()
    if what == "link":
        (pts / "ptmx").symlink_to("/dev/ptmx")
    elif what == "file":
        (pts / "ptmx").write_text("")
    else:
        os.mknod(pts / "ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))  # right number, but no devpts
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    with pytest.raises(OSError, match="not a terminal multiplexer"):
        console.open_console(fd, 0)
    os.close(fd)


# ------------------------------------------------------------------ CVE-2025-52881


@pytest.mark.skipif(not os.path.exists("/proc/sys/net/ipv4/ip_default_ttl"), reason="needs IPv4")
@pytest.mark.parametrize("guarded", [False, True])
def test_cve_2025_52881_a_sysctl_is_written_to_the_kernel_and_to_nothing_else(
    root: pathlib.Path, guarded: bool
) -> None:
    """A false /proc leads the write to a file of the attacker's choice."""
    canary = root / "etc" / "canary"
    canary.write_text("as it was")
    way = root / "proc" / "sys" / "net" / "ipv4"
    way.mkdir(parents=True)
    (way / "ip_default_ttl").symlink_to("/etc/canary")

    def attack() -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        os.chroot(root)
        if guarded:
            rootfs.set_sysctls({"net.ipv4.ip_default_ttl": "77"}, {})
        else:  # a runtime that writes it through what the container shows as /proc
            pathlib.Path("/proc/sys/net/ipv4/ip_default_ttl").write_text("77")

    said = in_namespace(attack)
    if guarded:
        assert "no such kernel setting" in said
    assert canary.read_text() == ("as it was" if guarded else "77")


@pytest.mark.skipif(not os.path.exists("/proc/sys/net/ipv4/ip_default_ttl"), reason="needs IPv4")
def test_cve_2025_52881_the_kernels_own_setting_is_written() -> None:
    def write() -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        rootfs.set_sysctls({"net.ipv4.ip_default_ttl": "77"}, {})
        assert pathlib.Path("/proc/sys/net/ipv4/ip_default_ttl").read_text().strip() == "77"

    assert not in_namespace(write)


def test_cve_2025_52881_no_project_can_put_a_false_proc_there(stack: Stack) -> None:
    """Nor while two containers that share the place start at once."""
    proc = stack.directory / "proc"
    (proc / "sys" / "net" / "ipv4").mkdir(parents=True)
    (proc / "sys" / "net" / "ipv4" / "ip_default_ttl").symlink_to("/canary")
    said = hostile(
        stack,
        image_of(symlink("way", "/proc")),
        extra="    sysctls: {net.ipv4.ip_default_ttl: 77}\n    volumes: ['./proc:/way']\n",
    )
    assert "procfs" in said
    stack.write("services: {}\n")


# ------------------------------------------------------------------ CVE-2022-36109


@pytest.mark.parametrize("way", ["first process", "exec", "exec as another"])
def test_cve_2022_36109_the_primary_group_is_not_given_up(stack: Stack, way: str) -> None:
    """A file that is closed to a group and open to all others: a set-group-id program must not turn who has it into one
    of the others."""
    import grp
    import pwd

    try:
        user, gid = pwd.getpwnam("games"), grp.getgrnam("games").gr_gid
    except KeyError:
        pytest.skip("needs a user 'games'")
    shared = stack.directory / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    secret, program = shared / "secret", shared / "reader"
    secret.write_text("closed to games\n")
    shutil.copy("/bin/cat", program)
    for path, group, mode in ((secret, gid, 0o604), (program, 54321, 0o2755)):
        os.chown(path, 0, group)
        path.chmod(mode)
    # The attack itself, by somebody who has the group as the primary one only, as runtimes once made them.
    won = subprocess.run(
        ["setpriv", f"--reuid={user.pw_uid}", f"--regid={gid}", "--clear-groups", "./reader", "secret"],
        cwd=shared,
        capture_output=True,
        text=True,
        check=False,
    )
    if "closed to games" not in won.stdout:
        pytest.skip(f"the attack does not work on this file system: {won.stderr}")
    read = "/shared/reader /shared/secret"
    if way == "first process":
        stack.write(
            "services:\n  a:\n    image: host\n    user: games\n    volumes: ['./shared:/shared']\n"
            f"    command: [sh, -c, '{read}; id -G']\n"
        )
        stack.run("up")
        shown = stack.out("logs", "--no-log-prefix", "a")
    else:
        user_of = "    user: games\n" if way == "exec" else ""
        stack.up(f"services:\n  a:\n    {IDLE}\n{user_of}    volumes: ['./shared:/shared']\n")
        options = [] if way == "exec" else ["-u", "games"]
        shown = stack.out("exec", "-T", *options, "a", "sh", "-c", f"{read}; id -G")
    assert "closed to games" not in shown
    assert str(gid) in shown.split()


# ------------------------------------------------------------------ CVE-2026-41579


def test_cve_2026_41579_no_device_is_made_where_a_link_at_dev_leads(stack: Stack) -> None:
    """The image's /dev is a link to where a directory of the host is mounted."""
    data = stack.directory / "data"
    data.mkdir()
    (data / "null").write_text("precious")
    said = hostile(
        stack,
        image_of(symlink("dev", "/data"), directory("data"), without=("dev",)),
        extra="    volumes: ['./data:/data']\n",
    )
    assert "it is not a directory" in said
    assert os.listdir(data) == ["null"]
    assert (data / "null").read_text() == "precious"
    stack.write("services: {}\n")


# ------------------------------------------------------------------ CVE-2021-30465, CVE-2024-45310


EXCHANGER = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
while os.getppid() != 1:
    if libc.renameat2(-100, b"door", -100, b"link", 2):  # RENAME_EXCHANGE: there is always a door
        raise OSError(ctypes.get_errno(), "cannot exchange")
"""


@pytest.mark.parametrize("rounds", [60])
def test_cve_2021_30465_mounts_below_a_volume_stay_in_it_while_it_is_exchanged(
    tmp_path: pathlib.Path, rounds: int
) -> None:
    """A place is looked up once: what is mounted, made read-only and filled afterwards is that, and no other."""
    root, volume, trap = tmp_path / "root", tmp_path / "volume", tmp_path / "trap"
    for path in (root / "v", volume / "real" / "in", trap / "in", tmp_path / "source"):
        path.mkdir(parents=True)
    (volume / "door").mkdir()
    (volume / "door" / "in").mkdir()
    (volume / "link").symlink_to(trap)
    # A program of its own: a copy of the test runner whose exchange failed would go on with the other tests.
    swapper = subprocess.Popen([sys.executable, "-c", EXCHANGER], cwd=volume)
    config = {
        "linux": {},
        "mounts": [
            {"destination": "/v", "type": "bind", "source": str(volume), "options": ["bind"]},
            {
                "destination": "/v/door/in/new",
                "type": "bind",
                "source": str(tmp_path / "source"),
                "options": ["bind", "ro"],
            },
        ],
    }
    no_cgroup = cgroups.Cgroup(cgroups.Hierarchies({}, None, frozenset()), "")

    def start() -> None:
        syscalls.mount(str(root), str(root), None, syscalls.MS_BIND)
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
        mounts.Mounts(fd, config, no_cgroup, "/nowhere").apply(config["mounts"])  # type: ignore[arg-type]
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        made = [
            line.split()
            for line in lines
            if line.split()[3] == str(tmp_path / "source") or "/source" in line.split()[3]
        ]
        assert made and all("ro" in fields[5].split(",") for fields in made), "mounted, and not read-only"

    try:
        deadline_s = time.monotonic() + 30
        good = refused = 0
        for _ in range(rounds):
            said = in_namespace(start)
            good, refused = good + (not said), refused + bool(said)
            assert "AssertionError" not in said, said
            if time.monotonic() > deadline_s:
                break
    finally:
        still = swapper.poll()
        swapper.kill()
        swapper.wait()
    assert still is None, "the exchange ended early: this shows nothing"
    assert good and refused, "the door was the same in all starts: this shows nothing"
    assert sorted(os.listdir(trap)) == ["in"] and os.listdir(trap / "in") == []
