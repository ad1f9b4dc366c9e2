"""What wears a runtime out: leaks over many runs, a full disk, an emptied firewall, and programs that flood it."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

IDLE = "image: host\n    command: sleep 1000\n    stop_grace_period: 0s"


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def own_links(stack: Stack) -> int:
    """Count the interfaces that are in the bridge of this project's default network."""
    (bridge,) = [
        path.name
        for path in pathlib.Path("/sys/class/net").glob("cmp*")
        if (path / "brif").is_dir()
        and path.name[3:] in {p.name[:10] for p in stack.state.glob("lib/networks/*")}
    ]
    return len(os.listdir(f"/sys/class/net/{bridge}/brif"))


def test_failed_starts_and_commands_leave_nothing_in_the_supervisor(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    supervisor, keeper = stack.pid("supervisor"), stack.pid("keeper")
    stack.run("exec", "-T", "a", "nosuch", check=False)
    before = descriptors(supervisor), descriptors(keeper), own_links(stack)
    text = f"services:\n  a:\n    {IDLE}\n  bad:\n    image: host\n    command: nosuch\n    tty: true\n"
    stack.write(text)
    for _ in range(3):
        assert stack.run("up", "-d", check=False).returncode != 0
    for _ in range(10):
        stack.run("exec", "-T", "a", "nosuch", check=False)
    stack.run("rm", "-f", "bad")
    wait_for(
        lambda: (descriptors(supervisor), descriptors(keeper), own_links(stack)) == before,
        what=f"{before} descriptors and links again",
    )


def test_many_commands_and_probes_leave_no_descriptor(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n    healthcheck: {{test: 'true', interval: 0.02s}}\n")
    supervisor = stack.pid("supervisor")
    stack.shell("a", "true")
    before = descriptors(supervisor)
    many = [stack.popen("exec", "-T", "a", "true") for _ in range(20)]
    for one in many:
        one.communicate(timeout=60)
    assert [one.returncode for one in many] == [0] * 20
    # A probe may be on its way at any moment: it has five.
    wait_for(lambda: descriptors(supervisor) <= before, what=f"{before} descriptors again")


def test_a_stop_in_the_middle_of_a_start_ends_it(stack: Stack) -> None:
    stack.write(f"services:\n  a:\n    {IDLE}\n")
    stack.run("create")
    for _ in range(5):
        starting = stack.popen("start")
        stack.run("stop", "-t", "0", timeout_s=30)
        starting.communicate(timeout=30)
        stack.run("stop", "-t", "0", timeout_s=30)
        assert stack.out("ps", "-q", "--status", "running").strip() == ""


@pytest.fixture
def small_disk(stack: Stack) -> Iterator[pathlib.Path]:
    """The state directory on a file system of its own, with hardly any room."""
    stack.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(stack.state)], check=True)
    try:
        yield stack.state
        stack.run("down", "-v", "-t", "0", check=False)
    finally:
        subprocess.run(["umount", "-l", str(stack.state)], check=True)


def test_a_full_disk_keeps_nothing_from_ending(stack: Stack, small_disk: pathlib.Path) -> None:
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n"
        "    command: [sh, -c, 'while :; do echo 0123456789; done']\n"
        f"  b:\n    {IDLE}\n    restart: always\n"
    )
    supervisor = stack.pid("supervisor")
    wait_for(lambda: os.statvfs(small_disk).f_bfree == 0, timeout_s=60, what="a full disk")
    assert stack.pid("supervisor") == supervisor, "it did not outlive the full disk"
    stack.run("stop", "-t", "0", timeout_s=30)
    for log in small_disk.glob("lib/containers/*/logs/stdout"):
        os.truncate(log, 0)
    stack.run("down", "-t", "0", timeout_s=30)


def test_a_program_that_floods_its_output_goes_on_when_there_is_room_again(
    stack: Stack, small_disk: pathlib.Path
) -> None:
    stack.up("services:\n  a:\n    image: host\n    command: [cat, /dev/zero]\n    stop_grace_period: 0s\n")
    wait_for(lambda: os.statvfs(small_disk).f_bfree == 0, timeout_s=60, what="a full disk")
    (log,) = small_disk.glob("lib/containers/*/logs/stdout")
    length = log.stat().st_size
    fallocate = [
        "fallocate",
        "--punch-hole",
        "--keep-size",
        "-o",
        "0",
        "-l",
        str(length // 4096 * 4096),
        str(log),
    ]
    subprocess.run(fallocate, check=True)
    wait_for(lambda: log.stat().st_size > length + (1 << 20), what="more output")


def test_a_burst_of_questions_to_the_name_server_leaves_it_working(stack: Stack) -> None:
    """Each question for others costs a socket, and each connection: they must not take all there are."""
    stack.up(f"services:\n  a:\n    {IDLE}\n  b:\n    {IDLE}\n")
    supervisor = stack.pid("supervisor")
    flood = (
        "import socket,struct,time\n"
        "q=lambda n: struct.pack('>6H',n,256,1,0,0,0)+b'\\x04host\\x07example\\x00'+struct.pack('>2H',1,1)\n"
        "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "for n in range(3000): u.sendto(q(n),('127.0.0.11',53))\n"
        "c=[]\n"
        "for n in range(900):\n"
        "  s=socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.11',53)); c.append(s)\n"
        "time.sleep(1); print('done')\n"
    )
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs /usr/bin/python3")
    process = stack.popen("exec", "-T", "a", "/usr/bin/python3", "-Sc", flood)
    most = 0
    while process.poll() is None:
        most = max(most, descriptors(supervisor))
    assert process.communicate()[0].strip() == "done"
    assert most < 400
    assert stack.shell("b", "getent hosts a").endswith("a")
    assert stack.shell("a", "getent hosts b").endswith("b")
