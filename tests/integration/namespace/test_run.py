"""``run``, ``attach`` and ``pause`` on real containers: input, terminal, exit codes, signals."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from .conftest import COMMAND, Stack, wait_for

pytestmark = pytest.mark.root

PROJECT = """
services:
  job:
    image: host
    command: [sh, -c, 'echo out; echo err >&2; exit 4']
  echo:
    image: host
    command: [cat]
    stdin_open: true
    stop_signal: SIGKILL
  shell:
    image: host
    command: [sh]
    tty: true
    stdin_open: true
    stop_signal: SIGKILL
"""


def test_run_passes_output_code_and_input_through(stack: Stack) -> None:
    stack.write(PROJECT)
    result = stack.run("run", "--rm", "-T", "job", check=False)
    assert (result.returncode, result.stdout) == (4, "out\n")
    assert "err" in result.stderr.splitlines()
    process = subprocess.run(
        [
            COMMAND,
            "--backend",
            "namespace",
            "run",
            "--rm",
            "-T",
            "job",
            "sh",
            "-c",
            "sort; cat /etc/hostname | wc -l",
        ],
        cwd=stack.directory,
        env=stack.environment(),
        input="b\na\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout) == (0, "a\nb\n1\n"), process.stderr
    assert stack.out("ps", "-aq") == ""


def test_run_kept_and_its_environment(stack: Stack) -> None:
    stack.write(PROJECT)
    out = stack.out(
        "run", "-T", "-e", "A=b c", "-w", "/tmp", "-u", "65534", "job", "sh", "-c", "echo $A $PWD $(id -u)"
    )
    assert out == "b c /tmp 65534\n"
    [row] = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    assert row["Name"].startswith(f"{stack.name}-job-run-") and row["ExitCode"] == 0
    stack.run("down")


def test_nothing_that_the_command_was_given_stays_open(stack: Stack) -> None:
    """As under `flock FILE composer up -d`, or where somebody reads a pipe to its end."""
    stack.write(PROJECT)
    reader, writer = os.pipe()
    process = stack.popen("up", "-d", "echo", pass_fds=(writer,))
    process.communicate(timeout=60)
    os.close(writer)
    assert select.select([reader], [], [], 10)[0], "somebody still has the pipe"
    assert os.read(reader, 1) == b""
    os.close(reader)
    stack.run("down")


def test_run_detached_removes_what_has_ended(stack: Stack) -> None:
    stack.write("services: {job: {image: host, command: [sleep, inf], init: true}}")
    first = stack.out("run", "-d", "--rm", "job", "sh", "-c", "echo done; exit 3").strip()
    wait_for(lambda: not (stack.state / "lib/containers" / first).exists(), what="its removal")
    assert stack.out("ps", "-aq") == ""
    second = stack.out("run", "-d", "--rm", "--name", "mine", "job").strip()
    assert stack.out("ps", "-aq").strip() == second
    stack.run("down")  # which stops and removes what removes itself
    assert stack.out("ps", "-aq") == ""
    failed = stack.run("run", "-d", "--rm", "job", "/no/such/program", check=False)
    assert failed.returncode != 0
    assert stack.out("ps", "-aq") == ""


def test_what_removes_itself_takes_along_what_its_project_had_of_the_machine(stack: Stack) -> None:
    """Without a command: its tree is still being removed when the supervisor ends."""
    stack.write("services: {job: {image: host, command: [sleep, inf], init: true}}")
    script = "mkdir /tmp/many; cd /tmp/many; for i in $(seq 20000); do : > $i; done"
    stack.run("run", "-d", "--rm", "job", "sh", "-c", script)
    wait_for(lambda: not os.listdir(stack.state / "lib/containers"), what="its removal", timeout_s=60)
    wait_for(lambda: not os.listdir(stack.state / "run/projects"), what="the end of the project")
    stack.run("down")


def test_the_network_of_what_removed_itself_goes_with_the_next_command(stack: Stack) -> None:
    stack.write("services: {job: {image: host, network_mode: bridge, command: ['true']}}")
    stack.run("run", "-d", "--rm", "job")
    wait_for(lambda: not os.listdir(stack.state / "lib/containers"), what="its removal")
    stack.run("down")
    assert os.listdir(stack.state / "lib/networks") == []


def test_what_ended_while_nobody_was_there_is_removed_by_the_next_command(stack: Stack) -> None:
    stack.write(
        "services: {job: {image: host, command: [sleep, inf]}, web: {image: host, command: [sleep, inf]}}"
    )
    id = stack.out("run", "-d", "--rm", "job").strip()
    pid = json.loads((stack.state / "lib/containers" / id / "state.json").read_text())["pid"]
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    os.kill(keeper, signal.SIGSTOP)
    for victim in (supervisor, keeper, pid):
        os.kill(victim, signal.SIGKILL)
    stack.run("up", "-d", "web")
    wait_for(
        lambda: stack.out("ps", "-aq").split() == stack.out("ps", "-q", "web").split(), what="its removal"
    )


def test_run_passes_signals_on(stack: Stack) -> None:
    stack.write(PROJECT)
    process = stack.popen(
        "run",
        "--rm",
        "-T",
        "job",
        "sh",
        "-c",
        "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (5, "bye\n")


def converse(stack: Stack, *arguments: str, say: list[tuple[str, str]]) -> tuple[int, str]:
    """Run the command in a terminal; for each pair wait for the first and type the second."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(stack.directory)
        os.execve(COMMAND, [COMMAND, "--backend", "namespace", *arguments], stack.environment())
    seen = ""
    deadline_s = time.monotonic() + 30
    rest = list(say)
    while time.monotonic() < deadline_s:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data.decode(errors="replace")
        if rest and rest[0][0] in seen:
            os.write(master, rest.pop(0)[1].encode())
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return os.waitstatus_to_exitcode(status), seen


def test_run_in_a_terminal(stack: Stack) -> None:
    stack.write(PROJECT)
    code, seen = converse(
        stack, "run", "--rm", "job", "sh", say=[("# ", "tty; stty size\n"), ("/dev/", "exit 7\n")]
    )
    assert code == 7, seen
    assert "/dev/console" in seen or "/dev/pts/0" in seen


def echoed(stack: Stack, line: str) -> str:
    """Attach to the service that echoes, write a line and return what it says; it is left running."""
    process = subprocess.Popen(
        [COMMAND, "--backend", "namespace", "attach", "echo"],
        cwd=stack.directory,
        env=stack.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(line)
    process.stdin.flush()
    found = process.stdout.readline()
    process.kill()
    process.communicate()
    return found


def test_attach_writes_reads_and_detaches(stack: Stack) -> None:
    stack.up(PROJECT, "echo", "shell")
    assert echoed(stack, "one\n") == "one\n"
    assert json.loads(stack.out("ps", "--format", "json", "echo"))["State"] == "running"
    code, seen = converse(stack, "attach", "shell", say=[("", "echo $((20+3))\n"), ("23", "\x10\x11")])
    assert code == 0, seen
    assert json.loads(stack.out("ps", "--format", "json", "shell"))["State"] == "running"


def test_attached_input_survives_the_supervisor(stack: Stack) -> None:
    stack.up(PROJECT, "echo")
    old = stack.pid("supervisor")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: stack.pid("supervisor") != old, what="a new supervisor")
    assert echoed(stack, "still\n") == "still\n"


def test_kill_ends_what_is_paused(stack: Stack) -> None:
    stack.up(PROJECT, "echo")
    stack.run("pause")
    stack.run("kill", timeout_s=20)
    assert "Exited (137)" in stack.out("ps", "-a", "--format", "{{.Status}}")


def test_pause_freezes_and_unpause_goes_on(stack: Stack) -> None:
    stack.up(
        "services:\n"
        + "".join(
            f"  {name}: {{image: host, stop_signal: SIGKILL, "
            "command: [sh, -c, 'while :; do echo x; sleep 0.05; done']}\n"
            for name in ("tick", "other")
        )
    )

    def ticks(service: str) -> int:
        return stack.out("logs", "--no-log-prefix", service).count("x")

    def wait_for_ticks(service: str) -> None:
        before = ticks(service)
        wait_for(lambda: ticks(service) > before + 5, what=f"more output of {service}")

    stack.run("pause", "tick")
    assert json.loads(stack.out("ps", "-a", "--format", "json", "tick"))["State"] == "paused"
    wait_for_ticks("other")  # by then everything that it wrote before has been read
    before = ticks("tick")
    wait_for_ticks("other")
    assert ticks("tick") == before
    stack.run("unpause", "tick")
    wait_for_ticks("tick")


def test_down_takes_the_anonymous_volumes_that_went_from_one_container_to_the_next(stack: Stack) -> None:
    """With what `volumes_from` shows elsewhere, and after -V has renewed them; rm -v leaves what another has."""
    stack.up(
        "services:\n"
        "  own: {image: host, command: [sleep, inf], init: true, volumes: [/own]}\n"
        "  guest: {image: host, command: [sleep, inf], init: true, volumes_from: [own]}\n"
    )
    stack.shell("own", "echo kept > /own/file")
    stack.run("up", "-d", "--force-recreate")
    assert stack.shell("guest", "cat /own/file") == "kept"
    stack.run("up", "-d", "-V")
    assert stack.shell("guest", "ls /own") == ""
    assert len(stack.out("volume", "ls", "-q").split()) == 1
    stack.run("rm", "-s", "-f", "-v", "own")
    assert len(stack.out("volume", "ls", "-q").split()) == 1
    stack.run("down", "-v")
    assert stack.out("volume", "ls", "-q") == ""
