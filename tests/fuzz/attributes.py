"""Coverage-guided fuzzing of values on their way to a backend (``make fuzz-attributes``).

An input is a compose file, as somebody writes it: attributes of services, networks and volumes with whatever the
loader lets pass. It is loaded, planned and brought up on the backend in memory; then the built-in runtime says what it
cannot do of it, makes networks, volumes and containers of it in a state directory of its own, and reads them back.
Only links, rules and processes are not made. A `ComposerError` may end any of this; what else ends it is a finding.
All of the machine but the work directory is read-only then, and the network namespace is an empty one.

    python -m tests.fuzz.attributes SECONDS [DIRECTORY]      as root
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fuzz import harness
from tests.fuzz.harness import ROOT

MAX_INPUT = 3000
FILES = {
    "e.env": "A=b\n",
    "l.env": "a=b\n",
    "x": "content\n",
    "s.json": '{"defaultAction": "SCMP_ACT_ALLOW"}',
}
_KEY = b"k" * 32


class _Silent:
    """Events of the engine, which nobody looks at."""

    def begin(self, resources: Any) -> None:
        pass

    def progress(self, event: Any) -> None:
        str(event)

    def warn(self, sentence: str) -> None:
        sentence.encode()


def run_one(data: bytes, work: Path) -> None:
    project_directory = work / "project"
    for entry in os.listdir(work):
        shutil.rmtree(work / entry, ignore_errors=True)
    project_directory.mkdir()
    try:
        project = _project(data.decode("utf-8", errors="replace"), project_directory)
    except _composer_error():
        return
    for stage in (_in_memory, _on_the_runtime):
        try:
            stage(project, work / "state")
        except BaseExceptionGroup as group:
            _check(group)
        except _composer_error():
            pass  # said to the user, with a place


def _check(group: BaseExceptionGroup[BaseException]) -> None:
    """Raise what is in a group and no error of ours."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _check(error)
        elif not isinstance(error, _composer_error()):
            raise error


def _composer_error() -> type[Exception]:
    from composer.errors import ComposerError

    return ComposerError


def _project(text: str, directory: Path) -> Any:
    from composer.schema.load import LoadOptions, load

    for name, content in FILES.items():
        (directory / name).write_text(content)
    (directory / "compose.yaml").write_text(text, encoding="utf-8", errors="replace")
    return load(
        LoadOptions(working_dir=str(directory), home=str(directory), environment={"A": "1"}, name="fuzz")
    )


def _in_memory(project: Any, root: Path) -> None:
    from composer.backends.memory import Behaviour, MemoryBackend
    from composer.engine import actions
    from composer.engine.engine import Engine
    from composer.engine.options import Options
    from composer.engine.progress import Cancellation
    from composer.engine.resolving import resolve

    ticks = itertools.count(1, 1000)
    backend = MemoryBackend(clock=lambda: next(ticks))
    for service, tree in (project.tree.get("services") or {}).items():
        backend.behave(service, Behaviour(exits=(0, 0, None)))
        backend.add_image(resolve.image_of(project, service, tree))
    engine = Engine(backend, _Silent(), _KEY, cancel=Cancellation())
    try:
        plan = actions.plan_up(engine, project, Options())
        str(plan)
        if len(plan.steps) < 60:
            _waitless(engine, project)
    finally:
        backend.close()


def _waitless(engine: Any, project: Any) -> None:
    """Carry the plan's creations out one by one: waiting is another's to test, and takes time."""
    from composer.engine import actions
    from composer.engine.operations.containers import CreateContainer
    from composer.engine.operations.registry import perform
    from composer.engine.operations.resources import CreateNetwork, CreateVolume
    from composer.engine.options import Options

    for step in actions.plan_up(engine, project, Options()).steps:
        if isinstance(step.operation, CreateNetwork | CreateVolume | CreateContainer):
            perform(engine.backend, step.operation, str)  # type: ignore[arg-type]


def _on_the_runtime(project: Any, root: Path) -> None:
    from composer.backends.namespace.backend import NamespaceBackend
    from composer.engine.observe import observe
    from composer.engine.options import Options
    from composer.engine.planning.reconcile import reconcile
    from composer.engine.resolving import resolve
    from composer.runtime.base import state

    paths = state.Paths(str(root / "lib"), str(root / "run"))
    backend = NamespaceBackend(paths)
    world = observe(backend, project, _KEY)
    reconcile(project, world, Options())
    for key in project.tree.get("networks") or {}:
        if not resolve.is_external(project.tree["networks"][key] or {}):
            backend.create_network(resolve.network_spec(project, key, {}))
    for key in project.tree.get("volumes") or {}:
        if not resolve.is_external(project.tree["volumes"][key] or {}):
            backend.create_volume(resolve.volume_spec(project, key, {}))
    for service in list(project.tree.get("services") or {})[:4]:
        spec = resolve.container_spec(project, service, 1, labels={}, firsts={})
        id = backend.create_container(spec._replace(image="host"))
        backend.container(id)
        _look_at_launch(paths.container(id))
    backend.observe("fuzz")


def _look_at_launch(bundle: str) -> None:
    """Read a container's configuration as its first process does, as far as that has no effect."""
    from composer.runtime.base import records
    from composer.runtime.container import container, mounts, process, seccomp

    config = records.config(bundle)
    assert config is not None, "a configuration of ours that our own reader refuses"
    container.namespace_flags(config)
    for entry in config["mounts"]:
        mounts.split_options(entry.get("options", ()))
    process.user_of(config["process"]["user"])
    process.build_environment(config["process"]["env"], process.Identity(0, 0, [], "/"))
    profile = config["linux"].get("seccomp")
    if profile not in (None, "default"):
        seccomp.FilterCache().get(profile, ())


def seeds() -> Iterator[bytes]:
    """Yield the cases of the loader that are one file each, and the examples."""
    for directory in (ROOT / "tests" / "cases", ROOT / "examples"):
        for path in sorted(directory.rglob("compose.yaml")):
            data = path.read_bytes()
            if len(data) <= MAX_INPUT and b"include" not in data and b"extends" not in data:
                yield data


def words() -> set[str]:
    text = (ROOT / "composer" / "schema" / "compose-spec.json").read_text()
    values = (
        "service: container: host none private 0.0.0.0 ::1 fd00::/64 10.0.0.0/8 /proc /dev ../ 1e99 -1 "
        "99999999999999999999 SIGRTMIN+3 ALL CAP_ 0777 tcp udp sctp 65536 1-65535 :ro,z rshared tmpfs volume image "
        "bind cluster npipe 1ns 9223372036854775808 seccomp=s.json"
    )
    return {f"{name}: " for name in re.findall(r'"([a-z][a-z0-9_]+)"', text)} | set(values.split())


def _load() -> None:
    from composer.backends import memory  # noqa: F401
    from composer.engine import (
        actions,  # noqa: F401
        observe,  # noqa: F401
    )
    from composer.engine.planning import reconcile  # noqa: F401
    from composer.engine.resolving import resolve  # noqa: F401
    from composer.runtime.network import bridges  # noqa: F401
    from composer.runtime.objects import bundle, networks  # noqa: F401
    from composer.schema import load  # noqa: F401


def _isolate(directory: Path, work: Path) -> None:
    """Make all of the machine read-only but the two directories, and leave its network; make no links."""
    from composer.runtime.base import syscalls
    from composer.runtime.network import bridges

    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET)
    syscalls.mount(None, "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
    for place in (directory, work):
        syscalls.mount(str(place), str(place), None, syscalls.MS_BIND)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    syscalls.make_readonly_tree(root)
    os.close(root)
    for place in (directory, work):
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND
        syscalls.mount(None, str(place), None, flags)
    bridges.raise_up = lambda record, directory, links=(): None


if __name__ == "__main__":
    harness.main(
        harness.Fuzzer(
            "attributes", run_one, seeds, words, _load, _isolate, max_input=MAX_INPUT, input_seconds=20
        )
    )
