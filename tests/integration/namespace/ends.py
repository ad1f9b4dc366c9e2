"""Ends of our processes, of containers and of the machine, made by hand."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from .conftest import Stack, find_process, wait_for


def states(stack: Stack) -> list[pathlib.Path]:
    return sorted(stack.state.glob("lib/containers/*/state.json"))


def state_of(stack: Stack, service: str) -> dict[str, Any]:
    """Return what the disk says about a service's first container."""
    for path in states(stack):
        if json.loads((path.parent / "meta.json").read_text())["name"] == f"{stack.name}-{service}-1":
            found: dict[str, Any] = json.loads(path.read_text())
            return found
    return {}


def change_states(stack: Stack, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Change what the disk says, while nobody of ours is there to write it."""
    for path in states(stack):
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, **change(state)}))


def kill_both(stack: Stack) -> None:
    """Kill keeper and supervisor in one moment: neither can do anything about the other."""
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    os.kill(keeper, signal.SIGSTOP)
    kill(supervisor)
    kill(keeper)


def kill(pid: int) -> None:
    """Kill a process and wait until it has ended."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        import select

        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000), f"{pid} does not end"
    finally:
        os.close(pidfd)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, whether anybody has reaped it or not."""

    def has_ended() -> bool:
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_for(has_ended, what=f"the end of {pid}")


def kill_containers(stack: Stack) -> None:
    for path in states(stack):
        state = json.loads(path.read_text())
        if state.get("pid") and state["status"] in ("running", "paused"):
            try:
                kill(state["pid"])
            except ProcessLookupError:
                continue


def reboot(stack: Stack) -> None:
    """Leave what a reboot leaves: the state below lib, which names another boot of the machine."""
    if find_process(f"composer: keeper {stack.name}"):
        kill_both(stack)
    kill_containers(stack)
    shutil.rmtree(stack.state / "run", ignore_errors=True)
    change_states(stack, lambda _: {"boot_id": "a boot before this one"})
    for record in stack.state.glob("lib/networks/*/network.json"):
        bridge = json.loads(record.read_text())["bridge"]
        subprocess.run(["ip", "link", "delete", bridge], check=True)
    subprocess.run(["nft", "delete", "table", "inet", "composer"], check=False, capture_output=True)
