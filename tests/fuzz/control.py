"""Coverage-guided fuzzing of the control socket (``make fuzz-control SECONDS=300 CORPUS=…``; group ``fuzz``: atheris).

One input is what a client sends: packets, apart from each other by a line ``#packet``. They go over a real socket to
the real door (`supervision.control`), request check and tasks; what would make processes, cgroups, links or rules is
replaced. Findings are an exception that nobody expected, an answer that calls itself an internal error, a connection
that does not answer a greeting afterwards, a door that stays when nobody is left, a descriptor that nobody closes, and
a file outside of the state directory. Each is saved and told once per place.

    python -m tests.fuzz.control SECONDS [DIRECTORY]
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.fuzz import harness
from tests.no_effects import NoCgroup, NoNetworks, Nothing

if TYPE_CHECKING:
    from composer.runtime.container.cgroups import Cgroup
    from composer.runtime.network.endpoints import Networks
    from composer.runtime.network.names import NameServer
    from composer.runtime.tasks.keeping import KeeperLink
    from composer.runtime.tasks.task import Task

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

    def hold(self, descriptors: Mapping[str, int], pid: int = 0) -> None:
        pass

    def drop(self, *keys: str) -> None:
        pass


class House:
    """What the door leads to: containers of a directory, on services that have no effect outside of it."""

    def __init__(self, directory: Path) -> None:
        from composer.runtime.base import files, loop
        from composer.runtime.container import cgroups, seccomp
        from composer.runtime.tasks import cgroup_removal, neighbours, reaping, services

        root, run = str(directory / "lib"), str(directory / "run")
        self.errors: list[BaseException] = []
        self.has_ended = False
        self.loop = loop.Loop(self.errors.append)
        boot = files.boot_id()
        self.services = services.Services(
            root=root,
            boot=boot,
            loop=self.loop,
            keeper=cast("KeeperLink", FakeKeeper()),
            reaper=reaping.Reaper(f"{run}/exits", boot),
            networks=cast("Networks", NoNetworks()),
            names=cast("NameServer", Nothing()),
            hierarchies=cgroups.detect(),
            cgroup_removal=cgroup_removal.CgroupRemoval(self.loop, lambda: None),
            filters=seccomp.FilterCache(f"{root}/cache"),
            emit=self.emit,
            on_error=self.errors.append,
        )
        self._neighbours = neighbours.Neighbours(
            find=self.task, forget=self.forget, on_ended=lambda: None, on_changed=lambda id: None
        )
        self._tasks: dict[str, Task] = {}

    def task(self, id: str) -> Task:
        from composer.runtime.base import records
        from composer.runtime.tasks import task

        if id not in self._tasks:
            bundle = f"{self.services.root}/containers/{id}"
            config = records.config(bundle)
            if config is None:
                raise KeyError(f"no container {id[:12]} in project {PROJECT}")
            self._tasks[id] = task.Task(self.services, self._neighbours, id, bundle, config)
            self._tasks[id].process.cgroup = cast("Cgroup", NoCgroup())
        return self._tasks[id]

    def has(self, id: str) -> bool:
        return id in self._tasks

    def forget(self, id: str) -> None:
        self._tasks.pop(id, None)

    def release(self) -> None:
        for found in self._tasks.values():
            found.release()

    def emit(self, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        json.dumps(attributes)

    def mend(self, reply: Callable[[dict[str, Any]], None]) -> None:
        reply({"ok": True})

    def is_idle(self) -> bool:
        return not any(found.is_busy() for found in self._tasks.values())

    def end(self) -> None:
        self.has_ended = True

    def reopen_log(self) -> None:
        pass


def _isolate() -> None:
    """Let no process be made: nothing of a packet may run. What a child would read of a packet is read here."""
    from composer.runtime.base import syscalls
    from composer.runtime.container import process
    from composer.runtime.tasks import executions

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise OSError(1, "no processes here")

    class Execution(executions.Execution):
        def __init__(
            self, services: Any, place: Any, spec: dict[str, Any], stdio: Any, **called: Any
        ) -> None:
            process.user_of(spec["process"]["user"])
            identity = process.Identity(0, 0, [], "/")
            process.build_environment(spec["process"].get("env", ()), identity)
            [argument.encode("utf-8", "surrogateescape") for argument in spec["process"]["args"]]
            super().__init__(services, place, spec, stdio, **called)

    syscalls.clone = refuse
    executions.Execution = Execution  # type: ignore[misc]


def make_state(directory: Path) -> None:
    """Make three containers: one that never ran, one that runs, one that waits for its next start."""
    from composer.runtime.base import records

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
        (bundle / "config.json").write_text(json.dumps({**config, "root": {"path": "rootfs"}}))
        if records.config(str(bundle)) is None:
            raise Finding("the fuzzer's own containers are none")
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
    return sorted(os.listdir(directory / "lib")) == ["containers", "supervision"]


def run_one(data: bytes, directory: Path) -> None:
    """Send one input's packets. Raises a Finding, or what nobody expected."""
    from composer.runtime.base import wire
    from composer.runtime.supervision import control

    if not _is_fresh(directory):
        for part in ("lib", "run"):
            shutil.rmtree(directory / part, ignore_errors=True)
        make_state(directory)
    before = sorted(os.listdir(directory))
    open_before = _descriptors()
    house = House(directory)
    door = control.Control(house, house.services, PROJECT, str(directory / "run"))
    try:
        door.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ours:
            ours.connect(str(directory / "run" / wire.SOCKET))
            ours.setblocking(False)
            answers: list[bytes] = []
            for packet in [*data.split(SEPARATOR)[:16], b'{"op":"hello"}']:
                if packet:
                    answers = _send(house, ours, packet)
            if not any(b'"version"' in answer for answer in answers):
                raise Finding("a greeting is not answered any more")
        _turn(house)
        if house.is_idle() and not house.has_ended:
            raise Finding("the last one has left, and the door is still there")
    finally:
        house.release()
        door.close()
        house.loop.close()
    left = _descriptors() - open_before
    if left:
        shown = sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in left)
        wire.close_all(sorted(left))
        raise Finding(f"descriptors that nobody closes: {shown}")
    if sorted(os.listdir(directory)) != before:
        raise Finding(f"files outside of the state directory: {os.listdir(directory)}")


def _descriptors() -> set[int]:
    return {fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.lexists(f"/proc/self/fd/{fd}")}


def _send(house: House, ours: socket.socket, packet: bytes) -> list[bytes]:
    ours.send(packet)
    _turn(house)
    answers = []
    while True:
        try:
            answers.append(ours.recv(1 << 17))
        except BlockingIOError:
            break
    for answer in answers:
        if b"internal error" in answer and not house.errors:
            raise Finding(answer.decode())
    return answers


def _turn(house: House) -> None:
    """Let the loop do what is to be done now, and raise what went wrong in there."""
    for _ in range(_SETTLED):
        house.loop.after(0, house.loop.stop)
        house.loop.run()
    if house.errors:
        raise house.errors[0]


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
            "update",
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
    from composer.runtime.supervision import control, requests  # noqa: F401
    from composer.runtime.tasks import task  # noqa: F401


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
