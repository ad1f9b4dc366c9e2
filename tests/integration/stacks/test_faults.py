"""Faults, as a client in another container sees them; nothing of them stays."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import composer
from composer.faults import filling, wishes
from composer.session import own_modules
from composer.stacks import ports
from tests.integration.stacks.conftest import IMAGE

FILE = f"""
services:
  web:
    image: {IMAGE}
    command:
      - sh
      - -c
      - mkdir -p /www; echo hello >/www/index.html; head -c 300000 /dev/zero >/www/big; httpd -f -p 80 -h /www
    stop_signal: SIGKILL
    tmpfs: ["/small:size=1m"]
  client:
    image: {IMAGE}
    command: sleep 1000
    stop_signal: SIGKILL
"""


@pytest.fixture
def stack(directory: pathlib.Path, backend: str) -> Iterator[composer.Stack]:
    (directory / "compose.yaml").write_text(FILE)
    with composer.Stack(ports.apart(composer.load(directory / "compose.yaml")), backend=backend) as made:
        made.up(timeout=30)
        made["web"].wait_http(80, timeout=20)
        yield made
        made.heal()
        assert rules(made) == ""


def pid_of(stack: composer.Stack, service: str) -> int:
    rows = stack.backend.processes(stack[service].container().id)
    return int(rows.rows[0][rows.titles.index("PID")])


def rules(stack: composer.Stack) -> str:
    """Return what of faults is in the networks of the containers."""
    found = ""
    for container in stack.ps():
        rows = stack.backend.processes(container.id)
        pid = rows.rows[0][rows.titles.index("PID")]
        words = ["nsenter", "-n", "-t", pid, "sh", "-c", "nft list tables; tc qdisc show"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found += "".join(line for line in text.splitlines() if "composer_fault" in line or " tbf " in line)
    return found


def fetch(
    stack: composer.Stack, path: str = "index.html", *, host: str = "web", seconds: int = 2
) -> tuple[int, float]:
    """Return the exit code of a client in the other container, and how long it took."""
    ask = f"printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n' | nc -w {seconds} {host} 80 | grep -q '200 OK'"
    began = time.monotonic()
    return stack["client"].exec(
        ["sh", "-c", ask], check=False, timeout=60
    ).exit_code, time.monotonic() - began


def test_a_partition_lets_no_packet_through(stack: composer.Stack) -> None:
    with stack.partition(["web"], ["client"]):
        assert fetch(stack)[0] != 0
        assert stack["web"].exec(["ping", "-c1", "-W1", "client"], check=False).exit_code != 0
    assert fetch(stack)[0] == 0


def test_a_refused_port_refuses_at_once(stack: composer.Stack) -> None:
    fault = stack["web"].refuse(80)
    code, took = fetch(stack, seconds=20)
    assert code != 0 and took < 10
    stack.heal()
    assert fetch(stack)[0] == 0
    fault.heal()


def test_answers_are_late(stack: composer.Stack) -> None:
    with stack["web"].delay(700):
        code, took = fetch(stack, seconds=20)
        assert code == 0 and took >= 0.7
    with stack["web"].delay(700, ports=[81]):
        assert fetch(stack)[1] < 0.7 or fetch(stack)[1] < 0.7


def test_connections_are_reset(stack: composer.Stack) -> None:
    with stack["web"].reset_peer():
        assert fetch(stack, seconds=20)[0] != 0
    assert fetch(stack)[0] == 0


def test_connections_are_closed_late(stack: composer.Stack) -> None:
    ask = "printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc web 80 >/dev/null"
    with stack["web"].slow_close(700):
        began = time.monotonic()
        stack["client"].exec(["sh", "-c", ask], timeout=30)
        assert time.monotonic() - began >= 0.7


def test_packets_are_lost(stack: composer.Stack) -> None:
    address = stack["web"].container().endpoints[0].ipv4
    with stack["web"].loss(100):
        assert stack["client"].exec(["ping", "-c1", "-W1", address], check=False).exit_code != 0
    with stack["web"].loss(40):
        text = stack["client"].exec(["ping", "-c30", "-i0.05", "-W1", address], check=False).stdout
        assert ", 0% packet loss" not in text
    assert fetch(stack)[0] == 0


def test_a_service_sends_slowly(stack: composer.Stack) -> None:
    ask = "printf 'GET /big HTTP/1.0\\r\\n\\r\\n' | nc web 80 | wc -c"
    with stack["web"].bandwidth(100_000):
        began = time.monotonic()
        assert int(stack["client"].exec(["sh", "-c", ask], timeout=60).stdout) > 300_000
        assert time.monotonic() - began >= 1.5
    assert fetch(stack, "big")[0] == 0


def test_a_name_is_not_resolved(stack: composer.Stack) -> None:
    with stack["client"].dns_fail("web"):
        assert fetch(stack, seconds=20)[0] != 0
        assert stack["client"].exec(["ping", "-c1", "-W1", "client"]).exit_code == 0
    assert fetch(stack)[0] == 0


def test_a_disk_is_full(stack: composer.Stack) -> None:
    write = ["sh", "-c", "echo x >/small/x"]
    with stack["web"].disk_full("/small"):
        assert "No space left" in stack["web"].exec(write, check=False).stderr
    assert stack["web"].exec(write).exit_code == 0
    assert stack["web"].exec(["ls", "-A", "/small"]).stdout == "x\n"
    with pytest.raises(composer.errors.BackendError, match="in the container's own layer"):
        stack["web"].disk_full("/www")


def test_another_file_system_of_the_host_is_not_filled(tmp_path: pathlib.Path) -> None:
    """A bind mount may be of any disk of the machine, not only of the root's."""
    mine = tmp_path / "volumes" / "mine"
    mine.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mine)], check=True)
    try:
        with pytest.raises(filling.Refused, match="on a file system of the host"):
            filling.fill(filling.Filled(os.getpid(), str(mine), "x"))
        assert list(mine.iterdir()) == []
    finally:
        subprocess.run(["umount", str(mine)], check=True)


def test_two_faults_at_once(stack: composer.Stack) -> None:
    with stack["web"].delay(300), stack["client"].dns_fail("nowhere"):
        code, took = fetch(stack, seconds=20)
        assert code == 0 and took >= 0.3
    address = stack["web"].container().endpoints[0].ipv4
    with stack["web"].refuse(80), stack["client"].dns_fail("web"):
        assert fetch(stack, host=address)[0] != 0
    assert fetch(stack)[0] == 0


def test_bad_values_and_what_the_kernel_lacks_are_said(stack: composer.Stack) -> None:
    with pytest.raises(composer.errors.ProjectError, match="invalid percent"):
        stack["web"].loss(0)
    with pytest.raises(composer.errors.ProjectError, match="invalid name"):
        stack["web"].dns_fail("a b")
    with pytest.raises(composer.errors.Unsupported, match="sch_netem"):
        stack["web"].corrupt(5)
    stack["client"].stop(timeout=0)
    with pytest.raises(composer.errors.ProjectError, match="no address"):
        stack.partition(["web"], ["client"])


def test_a_fault_goes_with_the_process_that_made_it(stack: composer.Stack, directory: pathlib.Path) -> None:
    words = [sys.executable, "-m", "composer", "-p", stack.name, "fault", "refuse", "web", "80"]
    process = subprocess.Popen(words, cwd=directory, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "port 80/tcp refuses connections" in process.stderr.readline()
    listed = [sys.executable, "-m", "composer", "fault", "ls", "--format", "{{.Fault}}"]
    shown = subprocess.run(listed, cwd=directory, capture_output=True, text=True, check=True).stdout
    assert shown == "port 80/tcp refuses connections\n"
    ps = [sys.executable, "-m", "composer", "-p", stack.name, "ps", "--format", "{{.Service}} {{.Status}}"]
    shown = subprocess.run(ps, cwd=directory, capture_output=True, text=True, check=True).stdout
    assert [" (fault: port 80/tcp refuses connections)" in line for line in shown.splitlines()] == [
        False,
        True,
    ]
    assert fetch(stack)[0] != 0
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 10
    while rules(stack) and time.monotonic() < until:
        time.sleep(0.05)
    assert fetch(stack)[0] == 0
    assert "fault" not in subprocess.run(ps, cwd=directory, capture_output=True, text=True, check=True).stdout
    assert subprocess.run(listed, cwd=directory, capture_output=True, text=True, check=True).stdout == ""


def test_a_fault_whose_command_dies_while_it_is_made_is_undone(
    stack: composer.Stack, tmp_path: pathlib.Path
) -> None:
    """Nobody is there to hear that it has been made."""
    pid = pid_of(stack, "web")
    filled = filling.Filled(pid, "/small", "late")
    wish = wishes.Wish("late", "disk_full", stack.name, "web", "x", pid, {"path": "/small"})
    agent = subprocess.Popen(
        own_modules.command("composer.faults.agent", str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdin is not None and agent.stdout is not None
    agent.stdout.close()
    agent.stdin.write(json.dumps(wish._asdict()) + "\n")
    agent.stdin.close()
    agent.wait(timeout=30)
    assert filled.name not in stack["web"].exec(["ls", "-A", "/small"]).stdout


def test_a_link_of_the_container_leads_to_nothing_of_the_host(
    stack: composer.Stack, tmp_path: pathlib.Path
) -> None:
    mine = tmp_path / "volumes" / "mine" / "_data"
    mine.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mine)], check=True)
    try:
        stack["web"].exec(["busybox", "ln", "-s", str(mine), "/small/link"])
        with pytest.raises(composer.errors.BackendError, match="no such file or directory"):
            stack["web"].disk_full("/small/link")
        assert list(mine.iterdir()) == []
    finally:
        subprocess.run(["umount", str(mine)], check=True)
