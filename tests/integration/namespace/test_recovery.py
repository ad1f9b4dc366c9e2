"""After a reboot, a kill or a full disk, in every state of a container: what was to run runs again."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from . import ends
from .conftest import Stack, find_process, wait_for

pytestmark = pytest.mark.root

SERVER = """
services:
  web:
    image: host
    command: ["python3", "-m", "http.server", "8000", "--bind", "0.0.0.0"]
    stop_signal: SIGKILL
    restart: always
    ports: ["127.0.0.1::8000"]
"""
WORKER = """
services:
  worker:
    image: host
    command: [sh, -c, 'while [ ! -e /data/die ]; do sleep 0.02; done; rm /data/die; exit 42']
    volumes: [data:/data]
    stop_signal: SIGKILL
    restart: always
volumes:
  data:
"""


def _answers(stack: Stack) -> bool:
    shown = stack.run("port", "web", "8000", check=False).stdout.strip()
    if not shown:
        return False
    try:
        return bool(urllib.request.urlopen(f"http://{shown}/", timeout=2).status == 200)
    except OSError:
        return False


def _bound(server: socket.socket, port: int) -> bool:
    try:
        server.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _status(stack: Stack, service: str) -> str:
    return str(ends.state_of(stack, service).get("status"))


@pytest.mark.parametrize("verb", [("up", "-d"), ("restart",), ("start",)])
def test_after_a_reboot_what_was_published_is_published_again(stack: Stack, verb: tuple[str, ...]) -> None:
    stack.up(SERVER)
    (before,) = stack.out("ps", "-q").split()
    ends.reboot(stack)
    stack.run(*verb)
    wait_for(lambda: _answers(stack), what="the published port")
    assert stack.out("ps", "-q").split() == [before]
    assert ends.state_of(stack, "web")["error"] == ""


def test_what_everybody_was_killed_around_is_published_again_by_its_restart(stack: Stack) -> None:
    """Neither keeper, supervisor nor container lives; the firewall still leads the port to an address."""
    stack.up(SERVER)
    ends.kill_both(stack)
    ends.kill_containers(stack)
    stack.run("up", "-d")
    wait_for(lambda: _answers(stack), what="the published port")


def test_a_port_that_somebody_took_meanwhile_costs_a_container_nothing_else(stack: Stack) -> None:
    stack.up(
        SERVER.replace("127.0.0.1::8000", "127.0.0.1:18997:8000")
        + "    healthcheck: {test: [CMD, 'true'], interval: 100ms}\n"
    )
    pid = ends.state_of(stack, "web")["pid"]
    ends.kill_both(stack)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A probe that was on its way holds what the supervisor had until it has become its program.
        wait_for(lambda: _bound(other, 18997), what="a free port")
        other.listen()
        stack.run("up", "-d", "--wait")
        assert ends.state_of(stack, "web")["pid"] == pid
        assert "healthy" in stack.out("ps")


# ------------------------------------------------------------------ states × who dies


STATES = ("starting again", "restarting", "running", "paused", "ended unseen", "ended unwritten")
VICTIMS = ("command", "supervisor", "keeper", "both")


def _put_into(stack: Stack, state: str) -> None:
    """Leave on the disk what is there in a state, with the processes that go with it. Nobody of ours lives."""
    container = {"running": "running", "paused": "paused"}.get(state)
    if container is None:
        ends.kill_containers(stack)
    written = {
        "starting again": {"status": "starting", "again": True, "pid": 0},
        "restarting": {"status": "restarting", "pid": 0},
    }
    ends.change_states(stack, lambda _: written.get(state, {}))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("victim", VICTIMS)
def test_every_state_has_a_way_on_whoever_dies(stack: Stack, state: str, victim: str) -> None:
    stack.up(WORKER)
    if state == "paused":
        stack.run("pause")
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    first = ends.state_of(stack, "worker")["pid"]
    if victim == "both":
        ends.kill_both(stack)
        _put_into(stack, state)
        stack.run("up", "-d")
    elif victim == "supervisor":
        os.kill(keeper, signal.SIGSTOP)
        ends.kill(supervisor)
        _put_into(stack, state)
        os.kill(keeper, signal.SIGCONT)
    elif victim == "keeper":
        # Both are stopped while the container ends, so that the supervisor learns of both ends at once.
        os.kill(supervisor, signal.SIGSTOP)
        ends.kill(keeper)
        if state not in ("running", "paused"):
            ends.kill_containers(stack)
        os.kill(supervisor, signal.SIGCONT)
    else:
        command = stack.popen("restart", "-t", "0")
        wait_for(lambda: ends.state_of(stack, "worker")["pid"] != first, what="a stop")
        command.kill()
        command.communicate()
        stack.run("up", "-d")
    wait_for(lambda: _status(stack, "worker") in ("running", "paused"), what="the worker")
    if _status(stack, "worker") == "paused":
        assert state == "paused"
        stack.run("unpause")
    # Supervised as before: its end is seen, known, and followed by another start.
    again = ends.state_of(stack, "worker")
    (data,) = stack.state.glob("lib/volumes/*/_data")
    (data / "die").touch()
    before = again.get("restarts", 0)
    wait_for(lambda: ends.state_of(stack, "worker").get("restarts", 0) > before, what="a restart")
    wait_for(lambda: _status(stack, "worker") == "running", what="the worker")


@pytest.mark.parametrize("state", ["starting again", "restarting", "running", "paused"])
def test_in_no_state_does_a_reboot_keep_it_from_running_again(stack: Stack, state: str) -> None:
    stack.up(WORKER)
    if state == "paused":
        stack.run("pause")
    ends.kill_both(stack)
    _put_into(stack, state)
    ends.reboot(stack)
    stack.run("up", "-d")
    wait_for(lambda: _status(stack, "worker") == "running", what="the worker")


def test_a_start_that_was_under_way_for_the_first_time_is_made_by_the_next_command(stack: Stack) -> None:
    stack.up(WORKER)
    ends.kill_both(stack)
    ends.kill_containers(stack)
    ends.change_states(stack, lambda _: {"status": "starting", "again": False, "pid": 0})
    stack.run("up", "-d")
    wait_for(lambda: _status(stack, "worker") == "running", what="the worker")


def test_how_a_program_ended_is_known_where_the_supervisor_died_before_it_wrote_that(stack: Stack) -> None:
    stack.up(WORKER.replace("restart: always", "restart: 'no'"))
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    (data,) = stack.state.glob("lib/volumes/*/_data")
    (data / "die").touch()
    wait_for(lambda: not (data / "die").exists(), what="the end of the worker")
    ends.kill(supervisor)
    assert stack.pid("keeper") == keeper
    wait_for(lambda: _status(stack, "worker") == "exited", what="the end")
    assert ends.state_of(stack, "worker")["exit_code"] == 42


# ------------------------------------------------------------------ a full disk


@pytest.fixture
def small(tmp_path: pathlib.Path, stack: Stack) -> Iterator[Stack]:
    """The same, with its state on a small file system of its own."""
    state = tmp_path / "small"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(state)], check=True)
    made = Stack(stack.directory, state, stack.name)
    try:
        yield made
        (state / "ballast").unlink(missing_ok=True)
        made.run("down", "-v", "-t", "0", check=False)
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def _fill(stack: Stack) -> pathlib.Path:
    """Leave not one byte of room; removing what is returned makes room again."""
    ballast = stack.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def _children_of(pid: int) -> int:
    return len(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@pytest.mark.parametrize("victim", ["nobody", "supervisor", "keeper", "both"])
def test_a_full_disk_at_a_restart_delays_it_and_no_more(small: Stack, victim: str) -> None:
    small.up(WORKER)
    restarts = ends.state_of(small, "worker").get("restarts", 0)
    keeper, supervisor = small.pid("keeper"), small.pid("supervisor")
    ballast = _fill(small)
    ends.kill_containers(small)
    if victim in ("supervisor", "keeper"):
        ends.kill(supervisor if victim == "supervisor" else keeper)
    elif victim == "both":
        ends.kill_both(small)
    if victim != "both":
        wait_for(lambda: find_process(f"composer: supervisor {small.name}"), what="a supervisor")
        wait_for(lambda: find_process(f"composer: keeper {small.name}"), what="a keeper")
    ballast.unlink()
    if victim == "both":
        small.run("up", "-d")
    wait_for(lambda: _status(small, "worker") == "running", timeout_s=20, what="the worker")
    wait_for(
        lambda: ends.state_of(small, "worker").get("restarts", 0) > restarts, timeout_s=20, what="a restart"
    )


def test_an_end_on_a_full_disk_is_written_when_there_is_room(small: Stack) -> None:
    small.up(WORKER.replace("restart: always", "restart: 'no'"))
    (data,) = small.state.glob("lib/volumes/*/_data")
    (data / "die").touch()
    ballast = _fill(small)
    wait_for(lambda: not (data / "die").exists(), what="the end of the worker")
    wait_for(lambda: "No space left" in small.logs() or _status(small, "worker") == "exited")
    ballast.unlink()
    wait_for(lambda: _status(small, "worker") == "exited", what="the end on the disk")
    assert ends.state_of(small, "worker")["exit_code"] == 42


def test_a_full_disk_makes_no_keeper_after_keeper(small: Stack) -> None:
    small.up(WORKER)
    keeper = small.pid("keeper")
    shutil.rmtree(small.state / "lib/supervision")  # so that a new keeper has something to write
    ballast = _fill(small)
    ends.kill(keeper)
    new = wait_for(lambda: find_process(f"composer: keeper {small.name}"), what="a keeper")
    last = int(pathlib.Path("/proc/sys/kernel/ns_last_pid").read_text())
    wait_for(lambda: _settled(small, new), what="a keeper that stays")
    assert int(pathlib.Path("/proc/sys/kernel/ns_last_pid").read_text()) - last < 400
    ballast.unlink()


def _settled(stack: Stack, pid: int) -> bool:
    """Tell whether a keeper lives, and has for longer (a second) than those that died at once did."""
    uptime_s = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    born_ticks = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    is_it = find_process(f"composer: keeper {stack.name}") == pid
    return is_it and uptime_s - born_ticks / os.sysconf("SC_CLK_TCK") > 1


# ------------------------------------------------------------------ the run state goes


@pytest.mark.parametrize("part", ["run", "run/projects", "run/projects/*", "run/projects/*/control.sock"])
def test_run_state_removed_under_a_running_project_is_made_again(stack: Stack, part: str) -> None:
    stack.up(WORKER)
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    (path,) = stack.state.glob(part)
    if path.is_dir():
        _remove_tree(stack, path)
    else:
        path.unlink()
    assert stack.out("exec", "-T", "worker", "echo", "there") == "there\n"
    assert (stack.pid("keeper"), stack.pid("supervisor")) == (keeper, supervisor)
    assert supervisors(stack) == [str(supervisor)], "there are two supervisors"
    stack.run("restart", "-t", "0", "worker")
    stack.run("stop", "-t", "0")
    assert json.loads(stack.out("ps", "-a", "--format", "json"))["State"] == "exited"


def _remove_tree(stack: Stack, path: pathlib.Path) -> None:
    """Remove a directory that somebody writes to: nobody finds it once it is somewhere else."""
    aside = path.rename(stack.directory.parent / "removed")

    def is_gone() -> bool:
        shutil.rmtree(aside, ignore_errors=True)
        return not aside.exists()

    wait_for(is_gone, what="the end of what was removed")


def supervisors(stack: Stack) -> list[str]:
    """Return the supervisors of the project; what one of them forks has its title until it has its own."""
    title = f"composer: supervisor {stack.name}"
    found = [entry for entry in os.listdir("/proc") if entry.isdigit() and _title(entry).rstrip() == title]
    return [pid for pid in found if _parent(pid) not in found]


def _parent(pid: str) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def _title(pid: str) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0")
    except OSError:
        return ""


def test_a_supervisor_killed_after_its_run_state_was_removed_comes_back_once(stack: Stack) -> None:
    stack.up(WORKER)
    supervisor = stack.pid("supervisor")
    _remove_tree(stack, stack.state / "run")
    ends.kill(supervisor)
    assert stack.out("exec", "-T", "worker", "echo", "there") == "there\n"
    stack.run("down", "-v", "-t", "0")
    wait_for(lambda: not find_process(f"composer: keeper {stack.name}"), what="the end of the keeper")


def test_a_socket_of_another_is_not_removed_at_the_end(stack: Stack) -> None:
    """Whoever took the name over has it: an ending supervisor removes its own socket alone."""
    stack.up(WORKER)
    (path,) = stack.state.glob("run/projects/*/control.sock")
    supervisor = stack.pid("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    path.unlink()
    other = path.with_name("other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        server.bind(f"/proc/self/fd/{directory}/{other.name}")  # an address has at most 107 bytes
        os.close(directory)
        os.rename(other, path)
        taken = path.stat().st_ino
        ends.kill(supervisor)  # nobody of ours looks after it now but the next, which takes the name back
        new = wait_for(lambda: find_process(f"composer: supervisor {stack.name}"), what="a supervisor")
        wait_for(lambda: path.exists() and path.stat().st_ino != taken, what="its own socket")
        assert new != supervisor


def test_a_full_disk_ends_no_health_check(small: Stack) -> None:
    check = "healthcheck: {test: [CMD-SHELL, 'echo x >> /t/probes'], interval: 100ms}\n    tmpfs: [/t]"
    small.up(WORKER.replace("restart: always", f"restart: always\n    {check}"))
    probes = pathlib.Path(f"/proc/{ends.state_of(small, 'worker')['pid']}/root/t/probes")
    wait_for(probes.exists, what="the first probe")
    ballast = _fill(small)
    before = len(probes.read_text())
    wait_for(lambda: len(probes.read_text()) > before + 8, what="probes on the full disk")
    ballast.unlink()
    before = len(probes.read_text())
    wait_for(lambda: len(probes.read_text()) > before + 4, what="probes behind it")
    assert _status(small, "worker") == "running"


# ------------------------------------------------------------------ the control socket


def test_a_request_that_is_none_is_answered_and_wedges_nothing(stack: Stack) -> None:
    stack.up(WORKER)
    (path,) = stack.state.glob("run/projects/*/control.sock")
    before = len(os.listdir(f"/proc/{stack.pid('supervisor')}/fd"))
    directory = os.open(path.parent, os.O_RDONLY)
    packets = [
        b"[" * 60_000,
        b'{"op":' * 20_000,
        b"[]",
        b'{"op":"exec","id":1}',
        b'{"op":"stop","id":"../../x"}',
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(10)
        client.connect(f"/proc/self/fd/{directory}/{path.name}")
        for packet in packets:
            client.sendmsg(
                [packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, directory.to_bytes(4, "little"))]
            )
            assert "invalid request" in json.loads(client.recv(1 << 17))["error"]
        client.send(b'{"op":"hello"}')
        assert json.loads(client.recv(1 << 17))["ok"]
    os.close(directory)
    wait_for(
        lambda: len(os.listdir(f"/proc/{stack.pid('supervisor')}/fd")) == before, what="closed descriptors"
    )
    assert "Traceback" not in stack.logs()
