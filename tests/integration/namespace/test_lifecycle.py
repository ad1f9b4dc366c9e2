"""Stopping, restarting, health, exec, exit codes, names and ports, on real containers."""

from __future__ import annotations

import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import urllib.request

import pytest

from composer.backends.namespace.observing import NamespaceObserver
from composer.runtime.base.state import Paths

from .conftest import COMMAND, Stack, find_process, wait_for

pytestmark = pytest.mark.root

IDLE = "image: host\n    command: [sleep, infinity]\n    stop_signal: SIGKILL"


def rows(stack: Stack) -> dict[str, dict[str, object]]:
    """Return `ps -a` by container name."""
    found = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    return {row["Name"].removeprefix(f"{stack.name}-"): row for row in found}


# ------------------------------------------------------------------ exit codes and restarts


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("[/no/such/program]", 127, "no such file"),
        ("[no-such-program]", 127, "PATH"),
        ("[/etc]", 126, "permission denied"),
        ("[/etc/os-release]", 126, "permission denied"),
    ],
)
def test_a_program_that_cannot_be_executed_fails_up_and_has_dockers_code(
    stack: Stack, command: str, code: int, words: str
) -> None:
    stack.write(f"services:\n  a:\n    image: host\n    command: {command}\n")
    result = stack.run("up", "-d", check=False)
    assert result.returncode == 1
    assert words in result.stderr
    assert rows(stack)["a-1"]["ExitCode"] == code
    assert stack.run("start", check=False).returncode == 1
    assert stack.run("run", "--rm", "-T", "a", check=False).returncode == code


def test_exit_codes_are_kept_for_signals_and_statuses(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  three: {image: host, command: [sh, -c, 'exit 3']}\n"
        "  killed: {image: host, init: true, command: [sh, -c, 'kill -TERM $$$$']}\n"
    )
    wait_for(lambda: all(row["State"] == "exited" for row in rows(stack).values()))
    assert rows(stack)["three-1"]["ExitCode"] == 3
    assert rows(stack)["killed-1"]["ExitCode"] == 143
    assert stack.run("wait", "three", check=False).returncode == 3


def test_between_two_runs_it_is_restarting(stack: Stack) -> None:
    """Also while the next run is being set up: down and stop would not stop what was only created."""
    stack.up("services: {a: {image: host, command: [sh, -c, 'echo run; exit 3'], restart: always}}")
    observer = NamespaceObserver(Paths(f"{stack.state}/lib", f"{stack.state}/run"))
    [log] = stack.state.glob("lib/containers/*/logs/stdout")
    seen = set()
    while log.read_text().count("run") < 6:  # as often as it can: each moment between two runs is to be seen
        [container] = observer.observe(stack.name).containers
        seen.add((container.state.value, container.exit_code))
    assert ("restarting", 3) in seen
    assert seen <= {("restarting", 3), ("running", None)}
    stack.run("down")


def test_on_failure_restarts_as_often_as_it_may_with_growing_pauses(stack: Stack) -> None:
    stack.up(
        "services:\n  a: {image: host, command: [sh, -c, 'echo run; exit 1'], restart: 'on-failure:3'}\n"
        "  longer: {image: host, command: [sh, -c, 'echo run; exit 1'], restart: 'on-failure:5'}\n"
    )
    wait_for(lambda: rows(stack)["a-1"]["State"] == "exited" and stack.out("logs", "a").count("run") == 4)
    wait_for(
        lambda: stack.out("logs", "longer").count("run") == 6, timeout_s=30, what="two more runs of another"
    )
    assert stack.out("logs", "a").count("run") == 4


def test_a_stopped_container_is_not_restarted(stack: Stack) -> None:
    stack.up("services:\n  a: {image: host, command: [sleep, infinity], init: true, restart: always}\n")
    stack.run("stop")
    assert rows(stack)["a-1"]["State"] == "exited"
    stack.run("start")
    assert rows(stack)["a-1"]["State"] == "running"


# ------------------------------------------------------------------ stopping


def test_the_stop_signal_comes_first_and_the_grace_period_is_kept(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  polite:\n    image: host\n    stop_signal: SIGUSR1\n"
        "    command: [sh, -c, \"trap 'echo bye; exit 7' USR1; echo set; while :; do sleep 0.05; done\"]\n"
        "  stubborn:\n    image: host\n    stop_grace_period: 1s\n"
        "    command: [sh, -c, \"trap 'echo no' TERM; echo set; while :; do sleep 0.05; echo on; done\"]\n"
    )
    wait_for(lambda: stack.out("logs").count("set") == 2, what="both traps")
    stack.run("stop")
    # it went on for as many rounds as a second has room for, not for Docker's own ten
    assert 1 <= stack.out("logs", "--no-log-prefix", "stubborn").partition("no")[2].count("on") <= 40
    assert rows(stack)["polite-1"]["ExitCode"] == 7
    assert rows(stack)["stubborn-1"]["ExitCode"] == 137
    assert "bye" in stack.out("logs", "polite")
    assert "no" in stack.out("logs", "stubborn")


def test_who_only_sleeps_is_not_waited_for(stack: Stack) -> None:
    stack.up(
        "services:\n  a: {image: host, command: [sleep, infinity], stop_grace_period: 1h}\n"
        "  b: {image: host, command: [sh, -c, 'echo b; sleep 7200; echo'], stop_grace_period: 1h}\n"
        "  c: {image: host, command: [tail, -f, /dev/null], stop_grace_period: 1h}\n"
    )
    stack.run("stop")
    assert {row["ExitCode"] for row in rows(stack).values()} == {137}


def test_a_program_without_a_handler_may_finish_what_it_does(stack: Stack) -> None:
    """As with Docker: the kernel drops the signal, and the grace period is time to end by itself."""
    stack.up(
        "services:\n"
        "  job: {image: host, command: [sh, -c, 'echo working; sleep 2; echo finished']}\n"
        "  busy: {image: host, command: [sh, -c, 'echo working; n=0; while [ $$n -lt 30 ]; do n=$$((n+1)); "
        "sleep 0.1; done; echo finished']}\n"
    )
    wait_for(lambda: stack.out("logs").count("working") == 2, what="both")
    stack.run("stop")
    assert stack.out("logs").count("finished") == 2
    assert {row["ExitCode"] for row in rows(stack).values()} == {0}


def test_a_handler_that_comes_later_gets_the_signal(stack: Stack) -> None:
    """An entry point without one, and then a server that has one: it ends in order."""
    stack.up(
        "services:\n"
        "  db:\n    image: host\n    stop_grace_period: 60s\n"
        "    command: [sh, -c, \"echo preparing; sleep 1.5; trap 'echo orderly; exit 5' TERM; echo ready; "
        'while :; do sleep 0.1; done"]\n'
    )
    wait_for(lambda: "preparing" in stack.out("logs"), what="the start")
    stack.run("stop")
    assert "orderly" in stack.out("logs")
    assert rows(stack)["db-1"]["ExitCode"] == 5


# ------------------------------------------------------------------ health


def test_a_dependency_becomes_healthy_and_only_then_the_other_starts(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  db:\n    image: host\n    init: true\n    command: [sh, -c, 'sleep 0.4; touch /ready; exec sleep 99']\n"
        "    healthcheck: {test: test -e /ready, interval: 30s}\n"
        "  web:\n    image: host\n    init: true\n    command: [sleep, infinity]\n"
        "    depends_on: {db: {condition: service_healthy}}\n",
        "--wait",
    )
    assert rows(stack)["db-1"]["Health"] == "healthy"


def test_an_unhealthy_dependency_fails_up_and_says_what_the_probe_said(stack: Stack) -> None:
    stack.write(
        "services:\n"
        "  db:\n    image: host\n    init: true\n    command: [sleep, infinity]\n"
        "    healthcheck: {test: 'echo cannot reach disk; exit 1', interval: 200ms, retries: 2}\n"
        f"  web:\n    {IDLE}\n    depends_on: {{db: {{condition: service_healthy}}}}\n"
    )
    result = stack.run("up", "-d", check=False)
    assert result.returncode == 1
    assert "unhealthy" in result.stderr
    assert "cannot reach disk" in result.stderr


# ------------------------------------------------------------------ exec


def test_exec_passes_code_input_environment_user_and_directory(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    assert stack.run("exec", "-T", "a", "sh", "-c", "exit 9", check=False).returncode == 9
    for program in ("no-such", ""):
        failed = stack.run("exec", "-T", "a", program, check=False)
        assert failed.returncode == 127, failed.stderr
        assert f"exec: '{program}': executable file not found in $PATH" in failed.stderr
    out = stack.out(
        "exec", "-T", "-e", "X=1", "-u", "nobody", "-w", "/tmp", "a", "sh", "-c", "echo $X; id -un; pwd"
    )
    assert out.split() == ["1", "nobody", "/tmp"]
    piped = subprocess.run(
        [COMMAND, "exec", "-T", "a", "wc", "-c"],
        input=b"x" * 300_000,
        capture_output=True,
        cwd=stack.directory,
        env=stack.environment(),
        timeout=30,
        check=True,
    )
    assert piped.stdout.strip() == b"300000"
    assert "Seccomp:\t2" in stack.inside("a", "cat", "/proc/self/status")
    assert stack.shell("a", "ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3"


def test_exec_with_a_terminal_has_its_size_and_its_signals(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n")
    pid, master = os.forkpty()
    if pid == 0:
        os.chdir(stack.directory)
        os.execve(COMMAND, [COMMAND, "exec", "a", "sh"], stack.environment())
    import fcntl
    import struct
    import termios

    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    seen = b""

    def shows(wanted: bytes) -> bool:
        nonlocal seen
        if wanted not in seen and select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096)
        return wanted in seen

    wait_for(lambda: shows(b"#"), what="a prompt")
    os.write(master, b"stty size; tty\n")
    wait_for(lambda: shows(b"33 77"), what="the size of the terminal")
    wait_for(lambda: shows(b"/dev/pts/"), what="the terminal's name")
    os.write(master, b"sleep 100.25\n")
    wait_for(lambda: find_process("sleep\0" + "100.25"), what="the command to interrupt")
    seen = b""
    os.write(master, b"\x03")
    wait_for(lambda: shows(b"# "), what="a prompt after the interrupt")
    os.write(master, b"exit 5\n")
    wait_for(lambda: shows(b"exit 5\r\n"), what="the echo")
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 5


# ------------------------------------------------------------------ networks


NETWORKS = f"""
services:
  web:
    {IDLE}
    scale: 3
    networks: {{front: {{aliases: [site]}}, back: }}
  db:
    {IDLE}
    networks: [back]
  lonely:
    {IDLE}
    networks: [front]
networks:
  front:
  back: {{internal: true}}
"""


def test_names_resolve_as_docker_has_them(stack: Stack) -> None:
    stack.up(NETWORKS)
    everywhere = stack.shell("lonely", "getent ahostsv4 web | grep STREAM | wc -l")
    assert everywhere == "3"
    look_up = "import socket; print(*{socket.gethostbyname_ex('site')[2][0] for _ in range(30)})"
    assert len(stack.inside("lonely", "python3", "-c", look_up).split()) == 3, "replicas take turns"
    assert stack.shell("db", f"getent hosts {stack.name}-web-2 | wc -l") == "1"
    assert stack.shell("lonely", "getent hosts db || echo unknown") == "unknown"
    assert "eth0" in stack.shell("web", "ls /sys/class/net")
    assert stack.shell("web", "ls /sys/class/net | grep -c eth") == "2"


def test_an_internal_network_has_no_way_out_and_no_foreign_names(stack: Stack) -> None:
    stack.up(NETWORKS)
    assert stack.shell("db", "ip route | grep -c default || true") == "0"
    assert stack.shell("db", "getent hosts example.com || echo nothing") == "nothing"
    assert stack.shell("web", "ip route | grep -c default") == "1"


def test_networks_are_kept_apart(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  a: {image: host, stop_signal: SIGKILL, command: [python3, -m, http.server, '80'], networks: [one]}\n"
        f"  b:\n    {IDLE}\n    networks: [two]\n"
        f"  c:\n    {IDLE}\n    networks: [one]\n"
        "networks: {one: , two: }\n"
    )
    address = stack.shell("a", "hostname -I").split()[0]
    fetch = f"curl -s -o /dev/null -m 2 -w '%{{http_code}}' http://{address}/ || true"
    wait_for(lambda: stack.shell("c", fetch) == "200", what="the server, from its own network")
    assert stack.shell("b", fetch) == "000"


def test_ports_are_published_for_tcp_and_udp_from_host_and_containers(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  web:\n    image: host\n    stop_signal: SIGKILL\n    command: [python3, -m, http.server, '80']\n"
        "    ports: ['0:80', '127.0.0.1::80']\n"
        "  echo:\n    image: host\n    stop_signal: SIGKILL\n    ports: ['0:7/udp']\n"
        "    command:\n      - python3\n      - -c\n      - |\n"
        "        import socket\n"
        "        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7))\n"
        "        while True:\n            data, peer = s.recvfrom(100); s.sendto(data.upper(), peer)\n"
        f"  other:\n    {IDLE}\n"
    )
    ports = [int(p["PublishedPort"]) for p in rows(stack)["web-1"]["Publishers"]]  # type: ignore[attr-defined]
    host = re.search(
        r"inet ([\d.]+)/.* scope global eth0",
        subprocess.run(["ip", "a"], capture_output=True, text=True).stdout,
    )
    assert host is not None

    def code(url: str) -> int:
        try:
            return int(urllib.request.urlopen(url, timeout=2).status)
        except OSError:
            return 0

    for port in ports:
        wait_for(lambda port=port: code(f"http://127.0.0.1:{port}/") == 200, what="127.0.0.1")  # type: ignore[misc]
    publishers = rows(stack)["web-1"]["Publishers"]
    every = next(p["PublishedPort"] for p in publishers if p["URL"] == "0.0.0.0")  # type: ignore[attr-defined]
    assert code(f"http://{host[1]}:{every}/") == 200
    for service in ("other", "web"):
        assert (
            stack.shell(service, f"curl -s -o /dev/null -w '%{{http_code}}' http://{host[1]}:{every}/")
            == "200"
        )
    udp = int(stack.out("port", "--protocol", "udp", "echo", "7").strip().rsplit(":", 1)[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(1)

        def answers() -> bool:
            asker.sendto(b"hello", ("127.0.0.1", udp))
            try:
                return asker.recv(100) == b"HELLO"
            except OSError:
                return False

        wait_for(answers, what="the UDP service")


def test_a_port_that_is_taken_is_named(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.write(f"services:\n  a:\n    {IDLE}\n    ports: ['127.0.0.1:{port}:80']\n")
        result = stack.run("up", "-d", check=False)
    assert result.returncode == 1
    assert f"{port}" in result.stderr
    assert "in use" in result.stderr
    stack.run("up", "-d")


# ------------------------------------------------------------------ attached up


def test_the_first_interrupt_stops_in_reverse_order(stack: Stack) -> None:
    stack.write(
        "services:\n"
        "  db: {image: host, command: [sh, -c, \"trap 'echo db; exit 0' TERM; echo up; while :; do sleep .1; done\"]}\n"
        "  web:\n    image: host\n    depends_on: [db]\n"
        "    command: [sh, -c, \"trap 'echo web; exit 0' TERM; echo up; while :; do sleep 0.05; done\"]\n"
    )
    process = stack.popen("up")
    wait_for(lambda: len(rows(stack)) == 2 and all("up" in stack.out("logs", s) for s in ("db", "web")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out.index("| web") < out.index("| db")
    assert {row["State"] for row in rows(stack).values()} == {"exited"}


def test_abort_on_container_exit_has_the_code_of_the_one_that_ended(stack: Stack) -> None:
    stack.write(f"services:\n  main: {{image: host, command: [sh, -c, 'exit 5']}}\n  side:\n    {IDLE}\n")
    result = stack.run("up", "--abort-on-container-exit", "--exit-code-from", "main", check=False)
    assert result.returncode == 5


def test_what_a_caller_has_open_for_its_children_is_not_kept(stack: Stack, tmp_path: pathlib.Path) -> None:
    """Such as the lock of `flock FILE composer up`, which nobody else could have before the stack is down."""
    stack.write("services: {a: {image: host, command: [sleep, inf], init: true}}")
    with (tmp_path / "lock").open("w") as lock:
        up = stack.popen("up", "-d", pass_fds=(lock.fileno(),))
        up.communicate(timeout=30)
    assert up.returncode == 0
    for role in ("keeper", "supervisor"):
        held = pathlib.Path(f"/proc/{stack.pid(role)}/fd").iterdir()
        assert str(tmp_path / "lock") not in {os.readlink(fd) for fd in held}
    stack.run("down")
