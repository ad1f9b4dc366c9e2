"""Coverage-guided fuzzing of the control socket (``make fuzz-control SECONDS=300 CORPUS=…``; group ``fuzz``: atheris).

One input is what a client sends: packets, apart from each other by a line ``#packet``. They go over a real socket to
the real connection, request check and task; what would make processes, cgroups, links or rules is replaced. Findings
are an exception that nobody expected, an answer that calls itself an internal error, a connection that does not answer
a greeting afterwards, and a file outside of the state directory. Each is saved and told once per place.

    python -m tests.fuzz.control SECONDS [DIRECTORY]
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz import harness

SEPARATOR = b"\n#packet\n"
MAX_INPUT = 8192
PROJECT = "fuzzed"
IDS = {name: digit * 64 for name, digit in (("created", "a"), ("running", "b"), ("restarting", "c"))}
_SETTLED = 3
"""Turns of the loop after each packet: for callbacks that ask to be called again."""


class Finding(Exception):
    """What the supervisor should not have done."""


class FakeKeeper:
    """Holds nothing: the descriptors of a test are the test's."""

    def hold(self, descriptors: dict[str, int], pid: int = 0) -> None:
        pass

    def drop(self, *keys: str) -> None:
        pass


class FakeNetworks:
    """Has no network, and takes everything back."""

    @property
    def firewall(self) -> FakeNetworks:
        return self

    def plan(self, container: str, wanted: Sequence[Any], present: Sequence[Any] = ()) -> list[Any]:
        return []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **named: None


class Guard:
    """Finds nothing missing."""

    def ask(self, reply: Callable[[dict[str, Any]], None]) -> None:
        reply({"ok": True})


class Supervisor:
    """As much of a supervisor as connections and tasks see, without any effect outside of its directory."""

    def __init__(self, directory: Path) -> None:
        from composer.runtime.base import files, loop
        from composer.runtime.container import cgroups

        self.project, self.root = PROJECT, str(directory / "lib")
        self.run_directory = str(directory / "run")
        self.boot = files.boot_id()
        self.errors: list[BaseException] = []
        self.loop = loop.Loop(self.on_error)
        self.hierarchies = cgroups.detect()
        self.keeper, self.networks, self.names = FakeKeeper(), FakeNetworks(), FakeNetworks()
        self.tasks: dict[str, Any] = {}
        self.guard = Guard()

    def task(self, id: str) -> Any:
        from composer.runtime.base import files
        from composer.runtime.supervision import task

        if id not in self.tasks:
            bundle = f"{self.root}/containers/{id}"
            config = files.read_json(f"{bundle}/config.json")
            if config is None:
                raise KeyError(f"no container {id[:12]} in project {self.project}")
            self.tasks[id] = task.Task(self, id, bundle, config)  # type: ignore[arg-type]
            self.tasks[id].cgroup = FakeNetworks()
        return self.tasks[id]

    def forget(self, id: str) -> None:
        self.tasks.pop(id, None)

    def on_error(self, error: BaseException) -> None:
        self.errors.append(error)

    def emit(self, kind: str, action: str, id: str, attributes: dict[str, str]) -> None:
        json.dumps(attributes)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: None


class Control:
    """Where connections say that they are gone."""

    def leave(self, peer: Any) -> None:
        pass


def _isolate() -> None:
    """Replace what makes a process: nothing of a packet may run."""
    from composer.runtime.container import process
    from composer.runtime.supervision import executions, launching

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise OSError(1, "no processes here")

    def execute(supervisor: Any, task: Any, spec: dict[str, Any], stdio: Any, **called: Any) -> None:
        process.user_of(spec["process"]["user"])
        identity = process.Identity(0, 0, [], "/")
        process.build_environment(spec["process"].get("env", ()), identity)
        [argument.encode("utf-8", "surrogateescape") for argument in spec["process"]["args"]]
        called["on_started"]({"error": "no processes here", "kind": "StartFailed", "exit_code": 126}, -1)

    launching.clone = refuse
    executions.Execution = execute  # type: ignore[assignment,misc]


def make_state(directory: Path) -> None:
    """Make three containers: one that never ran, one that runs, one that waits for its next start."""
    (directory / "run").mkdir(parents=True)
    for name, id in IDS.items():
        bundle = directory / "lib/containers" / id
        bundle.mkdir(parents=True)
        own = {
            "id": id,
            "name": name,
            "names": [name],
            "project": PROJECT,
            "event": {},
            "restart": {"policy": "always"} if name == "restarting" else {},
            "stop": {"signal": 15, "timeout_s": 10},
            "network": {"endpoints": [], "ports": []},
        }
        process = {"args": ["true"], "env": [], "cwd": "/", "terminal": False, "user": {"name": "0"}}
        linux = {"namespaces": [{"type": "pid"}, {"type": "network"}], "resources": {}}
        config = {"composer": own, "process": process, "linux": linux, "mounts": [], "hostname": name}
        (bundle / "config.json").write_text(json.dumps(config))
        (bundle / "state.json").write_text(json.dumps({"status": name, "pid": 0}))


def _is_fresh(directory: Path) -> bool:
    """Tell whether no packet has changed the state: most are refused."""
    for name, id in IDS.items():
        bundle = directory / "lib/containers" / id
        state = {"status": name, "pid": 0}
        if not bundle.exists() or (bundle / "state.json").read_text() != json.dumps(state):
            return False
        if sorted(os.listdir(bundle)) != ["config.json", "state.json"]:
            return False
    return sorted(os.listdir(directory / "lib")) == ["containers"]


def run_one(data: bytes, directory: Path) -> None:
    """Send one input's packets. Raises a Finding, or what nobody expected."""
    from composer.runtime.supervision import control

    if not _is_fresh(directory):
        for part in ("lib", "run"):
            shutil.rmtree(directory / part, ignore_errors=True)
        make_state(directory)
    before = sorted(os.listdir(directory))
    supervisor = Supervisor(directory)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with ours:
            ours.setblocking(False)
            control.Peer(supervisor, Control(), theirs)  # type: ignore[arg-type]
            for packet in [*data.split(SEPARATOR)[:16], b'{"op":"hello"}']:
                if packet:
                    answers = _send(supervisor, ours, packet)
            if not any(b'"version"' in answer for answer in answers):
                raise Finding("a greeting is not answered any more")
        _turn(supervisor)
    finally:
        theirs.close()
        supervisor.loop.close()
    if sorted(os.listdir(directory)) != before:
        raise Finding(f"files outside of the state directory: {os.listdir(directory)}")


def _send(supervisor: Supervisor, ours: socket.socket, packet: bytes) -> list[bytes]:
    ours.send(packet)
    _turn(supervisor)
    answers = []
    while True:
        try:
            answers.append(ours.recv(1 << 17))
        except BlockingIOError:
            break
    for answer in answers:
        if b"internal error" in answer and not supervisor.errors:
            raise Finding(answer.decode())
    return answers


def _turn(supervisor: Supervisor) -> None:
    """Let the loop do what is to be done now, and raise what went wrong in there."""
    loop = supervisor.loop
    for _ in range(_SETTLED):
        loop.after(0, loop.stop)
        loop.run()
    if supervisor.errors:
        raise supervisor.errors[0]


def seeds() -> Iterator[bytes]:
    """Yield requests of ours, one by one and in the orders in which they come."""
    process = {
        "args": ["sh", "-c", "true"],
        "env": ["A=b"],
        "cwd": "/",
        "user": {"name": "1:2", "groups": [3]},
    }
    limits = {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}], "oomScoreAdj": 5}
    requests: list[dict[str, Any]] = [{"op": "hello"}, {"op": "signal", "signal": 15}]
    for id in (*IDS.values(), "f" * 64):
        requests += [
            {"op": "start", "id": id, "seen_ns": 0},
            {"op": "start", "id": id, "attach": True},
            {"op": "stop", "id": id, "timeout_s": 0.0, "signal": 9},
            {"op": "kill", "id": id, "signal": 9},
            {"op": "exec", "id": id, "process": {**process, **limits}, "privileged": True, "detached": True},
            {"op": "move_ports", "id": id, "source": IDS["running"]},
        ]
        plain = (
            "prepare",
            "unprepare",
            "wait",
            "pause",
            "unpause",
            "remove",
            "reload",
            "reconnect",
            "attach",
        )
        requests += [{"op": op, "id": id} for op in plain]
    packets = [json.dumps(request).encode() for request in requests]
    yield from packets
    for step in (3, 5, 7):
        yield SEPARATOR.join((packets * step)[::step][:12])
    yield b"[" * 4000
    yield b'{"op":' * 1000


def words() -> set[str]:
    found = {
        *IDS.values(),
        *IDS,
        "true",
        "false",
        "null",
        "1e308",
        "-1",
        "18446744073709551616",
        "\n#packet\n",
    }
    for seed in seeds():
        found.update(re.findall(r'\\?"([a-zA-Z_]+)\\?"', seed.decode()))
    return found


def _load() -> None:
    from composer.runtime.supervision import control, requests, task  # noqa: F401


if __name__ == "__main__":
    harness.main(
        harness.Fuzzer(
            "control",
            run_one,
            seeds,
            words,
            _load,
            isolate=lambda directory, work: _isolate(),
            max_input=MAX_INPUT,
            address_space=3 << 30,
        )
    )
