"""The docker command under a pseudo-terminal: typing, window sizes, detach keys, Ctrl-C, signals that are passed on."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests import terminals, transcripts
from tests.api_client import Client
from tests.compared.api.image import archive

pytestmark = [pytest.mark.root, pytest.mark.oracle]

Run = Callable[..., AbstractContextManager[terminals.Terminal]]
NAME = "trterm"
CATCH = "trap 'echo caught; exit 11' INT TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(params=["ours", pytest.param("engine", marks=pytest.mark.docker)])
def docker(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Our server, and Docker Engine: what is tested holds for both."""
    found: Client = request.getfixturevalue("client" if request.param == "ours" else "engine")
    found.post("/images/load", {"quiet": 1}, archive(transcripts.IMAGE))
    yield found
    transcripts.clear(found)


@pytest.fixture
def run(docker: Client) -> Run:
    def start(*arguments: str) -> AbstractContextManager[terminals.Terminal]:
        return terminals.terminal(["docker", *arguments], transcripts.environment(docker.host))

    return start


def state(docker: Client) -> str:
    return str(docker.get(f"/containers/{NAME}/json")["State"]["Status"])


def becomes(docker: Client, wanted: str) -> None:
    deadline = time.monotonic() + 10
    while (found := state(docker)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_shell_at_a_terminal(run: Run) -> None:
    with run("run", "-it", "--rm", "--name", NAME, "box", "sh") as shell:
        shell.type("echo $((6*7)); tty_is=$(test -t 0 && echo yes); echo tty $tty_is\n")
        shell.wait_for("\n42")
        shell.wait_for("tty yes")
        shell.type("stty size\n")
        shell.wait_for("\n24 80")
        shell.resize(40, 100)
        deadline = time.monotonic() + 10
        while "\n40 100" not in shell.text:
            assert time.monotonic() < deadline, shell.text
            shell.type("stty size; echo asked\n")
            shell.wait_for("\nasked")
        shell.type("exit 9\n")
        assert shell.wait() == 9


def test_ctrl_c_is_the_programs(run: Run) -> None:
    with run("run", "-it", "--rm", "--name", NAME, "box", "sh", "-c", CATCH) as shell:
        shell.wait_for("ready")
        shell.type("\x03")
        shell.wait_for("caught")
        assert shell.wait() == 11


@pytest.mark.parametrize(
    ("options", "keys"), [([], "\x10\x11"), (["--detach-keys", "ctrl-x,x"], "\x18x")], ids=["usual", "own"]
)
def test_detach_keys_leave_it_running(run: Run, docker: Client, options: list[str], keys: str) -> None:
    with run("run", "-it", *options, "--name", NAME, "box", "sh") as shell:
        shell.type("x=kept; echo one\n")
        shell.wait_for("\none")
        shell.type(keys)
        assert shell.wait() == 0
    assert state(docker) == "running"
    with run("attach", *options, NAME) as again:
        again.type("echo $x\n")
        again.wait_for("kept")
        again.type("exit 3\n")
        assert again.wait() == 3
    becomes(docker, "exited")


def test_start_attached_and_exec_at_a_terminal(run: Run, docker: Client) -> None:
    docker.post(
        "/containers/create",
        {"name": NAME},
        {"Image": "box", "Cmd": ["sh"], "Tty": True, "OpenStdin": True, "StdinOnce": True},
    )
    with run("start", "-ai", NAME) as shell:
        shell.type("echo from start\n")
        shell.wait_for("\nfrom start")
        with run("exec", "-it", "-e", "A=b", NAME, "sh") as command:
            command.type("stty size; echo $A; ps -o pid,tty,args\n")
            command.wait_for("24 80")
            command.wait_for("\nb")
            command.resize(50, 132)
            deadline = time.monotonic() + 10
            while "\n50 132" not in command.text:
                assert time.monotonic() < deadline, command.text
                command.type("stty size; echo asked\n")
                command.wait_for("\nasked")
            command.type("exit 5\n")
            assert command.wait() == 5
        with run("exec", "-it", NAME, "sh") as command:
            command.type("echo here\n")
            command.wait_for("\nhere")
            command.type("\x10\x11")
            command.wait()
            assert "exec attach" in command.text or "read escape sequence" in command.text
        shell.type("exit\n")
        assert shell.wait() == 0


def test_a_program_without_a_terminal_gets_the_signals_of_its_client(run: Run) -> None:
    with run("run", "--rm", "--name", NAME, "box", "sh", "-c", CATCH) as client:
        client.wait_for("ready")
        client.process.send_signal(signal.SIGTERM)
        client.wait_for("caught")
        assert client.wait() == 11


def test_without_sig_proxy_only_the_client_ends(run: Run, docker: Client) -> None:
    with run("run", "--sig-proxy=false", "--name", NAME, "box", "sh", "-c", CATCH) as client:
        client.wait_for("ready")
        assert client.interrupt() in (-signal.SIGINT, 1, 130)
    assert state(docker) == "running"
    with run("attach", "--sig-proxy=false", NAME) as client:
        time.sleep(0.3)
        client.interrupt()
    assert state(docker) == "running"


def test_a_client_that_is_killed_leaves_its_container(run: Run, docker: Client) -> None:
    with run(
        "run", "-it", "--name", NAME, "box", "sh", "-c", "echo ready; sleep 1; echo still; exec sleep 100"
    ) as it:
        it.wait_for("ready")
        it.process.kill()
    assert state(docker) == "running"
    deadline = time.monotonic() + 10
    while b"still" not in docker.ask("GET", f"/containers/{NAME}/logs", {"stdout": 1}).body:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_followers_end_by_ctrl_c_and_with_the_container(run: Run, docker: Client) -> None:
    with run(
        "run", "-d", "--name", NAME, "box", "sh", "-c", "while :; do echo line; sleep 0.1; done"
    ) as first:
        assert first.wait() == 0
    for command in (["logs", "-f", NAME], ["stats", NAME], ["events"]):
        with run(*command) as follower:
            if command[0] == "events":
                time.sleep(0.5)
                subprocess.run(
                    ["docker", "exec", NAME, "true"], env=transcripts.environment(docker.host), check=True
                )
            follower.wait_for({"logs": "line", "stats": NAME, "events": "exec_create"}[command[0]])
            assert follower.interrupt() in (0, 1, 130, -signal.SIGINT)
    with run("logs", "-f", "--tail", "1", NAME) as follower:
        follower.wait_for("line")
        docker.delete(f"/containers/{NAME}", {"force": 1})
        assert follower.wait() in (0, 1)
