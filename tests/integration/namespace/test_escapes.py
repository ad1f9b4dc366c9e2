"""Ways out of a container that other runtimes had: each must end inside, and leave the host as it was."""

from __future__ import annotations

import glob
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
import subprocess

import pytest

from composer.runtime.container import defaults
from tests.archives import archive, directory, file, symlink
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

IDLE = "image: host\n    command: sleep 1000\n    stop_grace_period: 0s"
BUSYBOX = shutil.which("busybox")
APPLETS = ("sh", "sleep", "cat", "id", "ls", "stat", "mkdir", "chmod", "ln", "echo", "pwd", "readlink")


def rootfs(*members: bytes, without: tuple[str, ...] = ()) -> bytes:
    """Return a small root file system with busybox in it, and ``members`` over it."""
    if BUSYBOX is None:
        pytest.skip("needs busybox")
    program = pathlib.Path(BUSYBOX).read_bytes()
    if b"/ld-linux" in program[:4096]:
        pytest.skip("needs a static busybox")
    usual = {name: directory(name) for name in ("dev", "proc", "sys", "tmp", "etc", "bin")}
    parts = [data for name, data in usual.items() if name not in without]
    parts.append(file("bin/busybox", program, mode=0o755))
    parts += [symlink(f"bin/{name}", "busybox") for name in APPLETS]
    return archive(*parts, *members)


def make_image(stack: Stack, data: bytes, *options: str) -> str:
    path = stack.directory / "rootfs.tar"
    path.write_bytes(data)
    stack.run("image", "import", *options, str(path), "hostile:1")
    path.unlink()
    return "hostile:1"


def hostile(stack: Stack, data: bytes, *options: str, extra: str = "") -> str:
    """Make an image, try to run it, and return what the command said (nothing when it runs)."""
    image = make_image(stack, data, *options)
    stack.write(
        f"services:\n  a:\n    image: {image}\n    command: sleep 1000\n    stop_grace_period: 0s\n{extra}"
    )
    done = stack.run("up", "-d", check=False)
    return done.stdout + done.stderr if done.returncode else ""


def containers(stack: Stack) -> list[pathlib.Path]:
    return sorted((stack.state / "lib" / "containers").iterdir())


def status_of(text: str) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# ------------------------------------------------------------------ what reaches a program


def test_only_three_descriptors_and_nothing_of_ours_reach_a_program(stack: Stack) -> None:
    """CVE-2024-21626: for the first process, a health check and exec, as for their children."""
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n"
        "    command: [sh, -c, 'ls -l /proc/self/fd > /tmp/first; exec sleep 1000']\n"
        "    healthcheck: {test: 'ls -l /proc/self/fd > /tmp/probe', interval: 1s}\n"
    )
    wait_for(lambda: "->" in stack.shell("a", "cat /tmp/probe 2>/dev/null || true"), what="a probe")
    for listing in (stack.shell("a", "cat /tmp/first"), stack.shell("a", "cat /tmp/probe")):
        shown = {int(number) for number in re.findall(r" (\d+) -> ", listing)}
        # 3 is that of ls itself, or of the redirection's shell.
        assert shown <= {0, 1, 2, 3}, listing
        assert "/run/" not in listing and "memfd" not in listing and "socket" not in listing, listing


def test_standard_input_of_exec_is_not_the_hosts_null_device(stack: Stack) -> None:
    """Its mode and owner could be changed through the descriptor, for the whole machine."""
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    host = os.stat("/dev/null")
    assert stack.shell("a", "stat -Lc %d:%i /dev/stdin") != f"{host.st_dev}:{host.st_ino}"
    assert stack.shell("a", "cat /dev/stdin | wc -c") == "0"


def test_every_way_in_has_the_same_confinement(stack: Stack) -> None:
    """CVE-2022-24769, CVE-2022-29162: capabilities; and seccomp, groups, keyring and score of first, probe, exec."""
    script = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups)' /proc/self/status; cat /proc/self/oom_score_adj"
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n    group_add: ['1234']\n"
        f'    command: [sh, -c, "({script}) > /tmp/first; exec sleep 1000"]\n'
        f'    healthcheck: {{test: "({script}) > /tmp/probe", interval: 1s}}\n'
    )
    first = wait_for(lambda: stack.shell("a", "cat /tmp/first 2>/dev/null || true"), what="the first")
    probe = wait_for(lambda: stack.shell("a", "cat /tmp/probe 2>/dev/null || true"), what="a probe")
    found = status_of(first)
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == "00000000a80425fb"
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert found["Seccomp"].strip() == "2"
    assert "1234" in found["Groups"].split()
    assert probe == first
    assert stack.shell("a", script) == first
    assert first.splitlines()[-1] == "0"


def keyring(stack: Stack, service: str, *options: str) -> str:
    """Return the serial of the session keyring of a process that exec starts."""
    code = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    return stack.out("exec", "-T", *options, service, "/usr/bin/python3", "-Sc", code).strip()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of keyctl is that of x86_64")
def test_containers_share_no_session_keyring_with_each_other_or_with_us(stack: Stack) -> None:
    loose = "security_opt: ['seccomp=unconfined']"
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs /usr/bin/python3")
    stack.up(f"services:\n  a:\n    {IDLE}\n    {loose}\n  b:\n    {IDLE}\n    {loose}\n")
    ours = subprocess.run(
        ["/usr/bin/python3", "-Sc", "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    first, other = keyring(stack, "a"), keyring(stack, "b")
    assert int(first) > 0
    assert len({ours, first, other}) == 3


# ------------------------------------------------------------------ working directories


@pytest.mark.parametrize("way", ["image", "exec"])
def test_no_working_directory_leads_out_through_a_descriptor(
    stack: Stack, tmp_path: pathlib.Path, way: str
) -> None:
    """CVE-2024-21626, and the directories that are made on the way to it."""
    trap = tmp_path / "trap"
    trap.mkdir()
    up = "/".join([".."] * 16)
    for number in (*range(3, 24), "self", "1/root"):
        prefix = f"/proc/self/fd/{number}" if isinstance(number, int) else f"/proc/{number}/cwd"
        path = f"{prefix}/{up}{trap}/made"
        if way == "exec":
            if number == 3:
                stack.up(f"services:\n  a:\n    {IDLE}\n")
            done = stack.run("exec", "-T", "-w", path, "a", "ls", "-a", "/proc/self/cwd/", check=False)
            assert done.returncode != 0 or "made" not in done.stdout
        else:
            stack.write(f"services:\n  a:\n    {IDLE}\n    working_dir: {path}\n")
            stack.run("up", "-d", check=False)
        assert os.listdir(trap) == [], f"{path} reached the host"
        if way == "image" and number in (8, 16):
            stack.run("down", "-t", "0")


def test_a_working_directory_behind_a_symlink_is_inside(stack: Stack) -> None:
    target = f"/tmp/composer-escape-{secrets.token_hex(4)}"
    said = hostile(stack, rootfs(symlink("w", f"../../../..{target}")), "-w", "/w/deep")
    assert not os.path.exists(target)
    if not said:
        assert stack.shell("a", "pwd") == f"{target}/deep"


# ------------------------------------------------------------------ images whose files lie


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_a_symlink_in_the_place_of_a_mount_point_does_not_lead_out(
    stack: Stack, tmp_path: pathlib.Path, name: str
) -> None:
    """CVE-2026-41579, CVE-2019-19921."""
    trap = tmp_path / "trap"
    trap.mkdir()
    before = os.listdir("/dev")
    said = hostile(stack, rootfs(symlink(name, str(trap)), without=(name,)))
    assert os.listdir(trap) == []
    assert sorted(os.listdir("/dev")) == sorted(before)
    assert "of the image" in said or "in the image" in said or "no such file or directory" in said


def test_devices_of_the_image_do_not_stand_in_for_ours(stack: Stack) -> None:
    """CVE-2025-31133, CVE-2025-52565: null and ptmx of the image are hidden by a fresh /dev."""
    data = rootfs(
        symlink("dev/null", "/proc/sys/kernel/core_pattern"),
        symlink("dev/console", "/proc/sysrq-trigger"),
        directory("dev/pts"),
        symlink("dev/pts/ptmx", "/proc/sysrq-trigger"),
        symlink("dev/ptmx", "/etc/passwd"),
    )
    assert hostile(stack, data, extra="    tty: true\n") == ""
    assert stack.shell("a", "stat -c %t:%T /dev/null") == "1:3"
    assert stack.shell("a", "readlink /dev/ptmx") == "pts/ptmx"
    assert stack.shell("a", "stat -Lc %t:%T /dev/pts/ptmx") == "5:2"


def test_the_user_database_is_read_inside_the_image(stack: Stack) -> None:
    """CVE-2019-14271, and links to the host's files."""
    data = rootfs(
        symlink("etc/passwd", "/../../../../../../../../etc/shadow"),
        symlink("etc/group", "/proc/1/root/etc/group"),
    )
    said = hostile(stack, data, "-u", "daemon")
    assert "unable to find user 'daemon'" in said


@pytest.mark.parametrize("ids", ["4294967295:1000", "1000:4294967295", f"{'9' * 5000}:1", "1:-1", "1:x"])
def test_an_id_that_is_none_is_refused_and_never_becomes_root(stack: Stack, ids: str) -> None:
    entry = f"app:x:{ids}:app:/home:/bin/sh\n".encode()
    said = hostile(stack, rootfs(file("etc/passwd", entry)), "-u", "app")
    assert "must be between 0 and 2147483647" in said


def test_a_home_with_a_null_byte_is_an_error_that_says_so(stack: Stack) -> None:
    entry = b"app:x:1000:1000:app:/ho\0me:/bin/sh\n"
    said = hostile(stack, rootfs(file("etc/passwd", entry)), "-u", "app")
    assert "null byte" in said


def test_files_of_etc_behind_links_are_written_inside(stack: Stack, tmp_path: pathlib.Path) -> None:
    """hosts, configs and secrets are mounted where the link leads inside the image, not on the host."""
    trap = tmp_path / "trap"
    trap.mkdir()
    data = rootfs(
        symlink("etc/hosts", str(trap / "hosts")),
        symlink("etc/resolv.conf", f"/../../..{trap}/resolv"),
        symlink("run", str(trap)),
    )
    said = hostile(
        stack,
        data,
        extra="    configs: [{source: c, target: /run/c/d}]\n"
        "    volumes: ['vol:/run/v']\n"
        "configs: {c: {content: text}}\nvolumes: {vol: }\n",
    )
    assert os.listdir(trap) == []
    if not said:
        assert stack.shell("a", "cat /run/c/d") == "text"


# ------------------------------------------------------------------ the runtime itself as a target


@pytest.mark.parametrize("init", ["true", "false"])
def test_the_interpreter_cannot_be_written_through_proc(stack: Stack, init: str) -> None:
    """CVE-2019-5736: by executing /proc/self/exe, and through our processes in the container."""
    stack.write(
        f"services:\n  a:\n    image: host\n    init: {init}\n    stop_grace_period: 0s\n"
        "    entrypoint: [/proc/self/exe, -ISc]\n"
        '    command: [\'import os,time\n\ntry: os.open("/proc/self/exe", os.O_WRONLY)\n\n'
        'except OSError as e: print("refused", e.errno, flush=True)\n\nelse: print("OPENED", flush=True)\n\n'
        "time.sleep(1000)']\n"
    )
    stack.run("up", "-d", check=False)
    said = wait_for(lambda: stack.out("logs", "--no-log-prefix", "a"), what="an answer")
    assert "OPENED" not in said
    if init == "true":
        assert "ermission" in stack.run("exec", "-T", "a", "cat", "/proc/1/exe", check=False).stderr


def test_our_sockets_cannot_be_reached_and_our_files_cannot_be_read(stack: Stack) -> None:
    """CVE-2020-15257, CVE-2021-41091."""
    stack.up(
        f"services:\n  a:\n    {IDLE}\n    network_mode: host\n    volumes: ['vol:/v']\nvolumes: {{vol: }}\n"
    )
    shown = stack.shell("a", "cat /proc/net/unix")
    assert "@composer" not in shown
    (socket,) = stack.state.glob("run/projects/*/control.sock")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    doors = [path for path in (stack.state / "lib", stack.state / "run") if path.exists()]
    doors += [path for part in ("lib", "run") for path in (stack.state / part).iterdir() if path.is_dir()]
    assert {
        str(path): oct(path.stat().st_mode & 0o077) for path in doors if path.stat().st_mode & 0o077
    } == {}
    for path in containers(stack):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_control_groups_and_kernel_settings_are_read_only(stack: Stack) -> None:
    """CVE-2022-0492."""
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    script = (
        "for f in $(find /sys/fs/cgroup -name release_agent -o -name cgroup.procs -o -name notify_on_release)"
        " /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /sys/kernel/uevent_helper; do"
        " [ -e $f ] || continue; (echo 0 > $f) 2>/dev/null && echo WRITTEN $f; done; true"
    )
    assert stack.shell("a", script) == ""
    mounts = stack.shell("a", "cat /proc/self/mountinfo").splitlines()
    for line in mounts:
        fields = line.split()
        if fields[4].startswith("/sys"):
            assert "ro" in fields[5].split(","), line
    assert stack.run("exec", "-T", "a", "mount", "-o", "remount,rw", "/sys", check=False).returncode != 0


def test_nothing_of_the_hosts_mounts_is_left(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    shown = stack.shell("a", "cat /proc/self/mountinfo")
    points = {line.split()[4] for line in shown.splitlines()}
    assert not any(point.startswith((str(stack.state), "/work", "/var/lib")) for point in points)
    assert "shared:" not in shown and "master:" not in shown
    masked = "head -c 10 /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | grep -v '^==>' | tr -d '\\n'"
    assert stack.shell("a", masked) == ""


# ------------------------------------------------------------------ volumes that are shared with an enemy


def test_a_subpath_that_became_a_symlink_stays_in_its_volume(stack: Stack, tmp_path: pathlib.Path) -> None:
    """CVE-2017-1002101: the link is put there after the container was created."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("of the host")
    stack.up(
        f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:/all']\n"
        f"  b:\n    {IDLE}\n    depends_on: [a]\n    profiles: [later]\n"
        "    volumes: [{type: volume, source: vol, target: /part, volume: {subpath: part}}]\nvolumes: {vol: }\n"
    )
    stack.shell("a", "mkdir /all/part && echo inside > /all/part/mine")
    stack.run("--profile", "later", "up", "-d")
    assert stack.shell("b", "cat /part/mine") == "inside"
    stack.shell("a", f"mv /all/part /all/away && ln -s {secret} /all/part")
    stack.run("--profile", "later", "restart", "-t", "0", "b", check=False)
    done = stack.run("--profile", "later", "exec", "-T", "b", "cat", "/part/key", check=False)
    assert "of the host" not in done.stdout
    stack.run("--profile", "later", "down", "-v", "-t", "0")


def test_a_network_never_takes_an_interface_that_is_not_ours(stack: Stack) -> None:
    """Taking the project down would remove it, whoever made it."""
    name = f"esc{secrets.token_hex(3)}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        stack.write(
            f"services:\n  a:\n    {IDLE}\n    networks: [n]\nnetworks:\n  n:\n    driver_opts:\n"
            f"      com.docker.network.bridge.name: {name}\n"
        )
        done = stack.run("up", "-d", check=False)
        assert done.returncode != 0 and name in done.stderr
        stack.run("down", "-t", "0")
        assert os.path.exists(f"/sys/class/net/{name}")
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False)


@pytest.mark.parametrize("part", ["volume", "container"])
def test_a_name_is_never_a_path(stack: Stack, tmp_path: pathlib.Path, part: str) -> None:
    """What `down -v` removes would be wherever it leads."""
    trap = tmp_path / "trap"
    name = "/".join([".."] * 16) + str(trap)
    text = f"services:\n  a:\n    {IDLE}\n"
    if part == "volume":
        text += f"    volumes: ['vol:/v']\nvolumes: {{vol: {{name: '{name}'}}}}\n"
    else:
        text += f"    container_name: '{name}'\n"
    stack.write(text)
    done = stack.run("up", "-d", check=False)
    assert done.returncode != 0
    assert not os.path.lexists(trap)
    stack.write(f"services:\n  a:\n    {IDLE}\n")


def test_an_index_of_ours_cannot_be_written_by_output(stack: Stack) -> None:
    """Terminal controls and torn records of a hostile program stay bytes of its own stream."""
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n"
        "    command: [sh, -c, \"printf 'one\\\\0\\\\377two\\\\n'; sleep 1000\"]\n"
    )
    (container,) = containers(stack)
    data = wait_for(lambda: (container / "logs" / "stdout").read_bytes(), what="output")
    assert data == b"one\0\xfftwo\n"
    assert (container / "logs" / "index").stat().st_size % 24 == 0
    assert json.loads((container / "state.json").read_text())["status"] == "running"


# ------------------------------------------------------------------ settings of the kernel


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("kernel.printk_ratelimit", ""),
        ("net/../../../{trap}", ""),
        ("net.core.somaxconn", "    network_mode: host\n"),
        ("kernel.msgmax", "    ipc: host\n"),
    ],
)
def test_sysctls_of_the_machine_are_refused_before_any_effect(
    stack: Stack, tmp_path: pathlib.Path, name: str, extra: str
) -> None:
    trap = tmp_path / "trap"
    trap.write_text("as it was")
    name = name.format(trap=trap)
    setting = pathlib.Path("/proc/sys/", name.replace(".", "/")) if "/" not in name else trap
    before = setting.read_text()
    stack.write(f"services:\n  a:\n    {IDLE}\n    sysctls:\n      {name}: '77'\n{extra}")
    assert name in stack.out("config")
    assert "machine-sysctl" in stack.run("lint", check=False).stdout
    for command in (("plan",), ("up", "-d"), ("create",), ("run", "--rm", "a", "true")):
        done = stack.run(*command, check=False)
        assert done.returncode == 1 and re.search(r"compose.yaml:7:\d+: services.a.sysctls", done.stderr), (
            done.stderr
        )
        assert not (stack.state / "lib" / "containers").exists() or containers(stack) == []
    assert setting.read_text() == before


# ------------------------------------------------------------------ what tells of the machine and of others


def test_every_namespace_is_new(stack: Stack) -> None:
    """That of time too, where the kernel has it; exec and the first process are in the same."""
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    shown = "for n in cgroup ipc mnt net pid time uts; do readlink /proc/{0}/ns/$n; done"
    first = stack.shell("a", shown.format(1)).split()
    assert stack.shell("a", shown.format("self")).split() == first
    ours = [os.readlink(path) for path in pathlib.Path("/proc/self/ns").iterdir()]
    kinds = {link.partition(":")[0] for link in first}
    assert kinds == {"cgroup", "ipc", "mnt", "net", "pid", "uts"} | (
        {"time"} & {o.partition(":")[0] for o in ours}
    )
    assert set(first).isdisjoint(ours)


def test_what_tells_of_neighbours_is_masked(stack: Stack) -> None:
    """Each path that Docker hides, where this machine has it: files are empty, directories too; none is written."""
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    masked = [
        "/proc/" + name for name in "acpi asound interrupts kcore keys latency_stats sched_debug scsi".split()
    ]
    masked += ["/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap"]
    masked += sorted(glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"))
    for path in filter(os.path.exists, masked):
        found = stack.shell("a", f"ls -A {path} 2>/dev/null; cat {path} 2>/dev/null | head -c 10")
        assert found in ("", path), path


def test_the_files_that_tell_of_each_processors_heat_are_on_the_list(tmp_path: pathlib.Path) -> None:
    """This machine need not have them."""
    there = [str(path) for path in pathlib.Path("/sys/devices/system/cpu").glob("cpu[0-9]*")]
    assert there
    assert {f"{path}/thermal_throttle" for path in there} <= set(defaults.MASKED)


def test_default_mounts_have_dockers_flags(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    found = {}
    for line in stack.shell("a", "cat /proc/self/mountinfo").splitlines():
        own, _, file_system = line.partition(" - ")
        found[own.split()[4]] = (
            file_system.split()[0],
            {*own.split()[5].split(","), *file_system.split()[2].split(",")},
        )
    for path, kind, flags in (
        ("/proc", "proc", "rw nosuid nodev noexec"),
        ("/dev", "tmpfs", "nosuid mode=755 size=65536k"),
        ("/dev/pts", "devpts", "nosuid noexec gid=5 mode=620 ptmxmode=666"),
        ("/dev/mqueue", "mqueue", "nosuid nodev noexec"),
        ("/dev/shm", "tmpfs", "nosuid nodev noexec size=65536k"),
        ("/sys", "sysfs", "ro nosuid nodev noexec"),
        ("/proc/sys", "proc", "ro"),
        ("/proc/sysrq-trigger", "proc", "ro"),
    ):
        if path.startswith("/proc/") and not os.path.exists(path):
            continue  # a kernel without it
        assert found[path][0] == kind, path
        assert set(flags.split()) <= found[path][1], (path, found[path])
    assert found["/sys/fs/cgroup"][0] in ("tmpfs", "cgroup2") and "ro" in found["/sys/fs/cgroup"][1]
    assert stack.shell("a", "stat -c %a /dev/shm") == "1777"
