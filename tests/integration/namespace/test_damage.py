"""Objects on the disk that are damaged, one at a time: what is not damaged is listed, entered and removed as ever."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from composer.backends.namespace.observing import NamespaceObserver
from composer.errors import ComposerError
from composer.runtime.base import state
from composer.runtime.objects import booting, kernel_state
from composer.runtime.objects.journal import ProjectEvents
from tests.integration.namespace.conftest import Stack, wait_for
from tests.integration.namespace.test_escapes import IDLE, make_image, rootfs
from tests.sampling import of_today

pytestmark = pytest.mark.root

DAMAGES: tuple[Any, ...] = (
    None,
    3,
    -1,
    1 << 70,
    0.5,
    True,
    "x",
    "../..",
    "\0",
    [],
    ["x"],
    [[1]],
    {},
    {"x": []},
)
RAW = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to everything inside a JSON value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


MOST = int(os.environ.get("COMPOSER_DAMAGES", "200"))
"""How many damages of one record are tried, others each day."""


def damaged(data: bytes) -> Iterator[bytes]:
    yield from RAW
    every = list(_at_every_place(data))
    step = -(-len(every) // MOST)
    yield from of_today(every, step)


def _at_every_place(data: bytes) -> Iterator[bytes]:
    whole = json.loads(data)
    for path in list(places(whole)):
        for value in DAMAGES:
            copy = json.loads(data)
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            yield json.dumps(copy).encode()
        copy = json.loads(data)
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        yield json.dumps(copy).encode()


def says(path: pathlib.Path, key: str) -> str:
    return str(json.loads(path.read_text())[key])


def everything(stack: Stack) -> dict[str, Any]:
    """Return what all listings show, each asked for on its own."""
    paths = state.paths_of({"COMPOSER_ROOT": str(stack.state)})
    observer = NamespaceObserver(paths)
    asked = {
        "project": lambda: observer.observe("healthy"),
        "ls": lambda: [c for c in observer.projects() if c.labels["com.docker.compose.project"] == "healthy"],
        "holds": lambda: observer.holds("healthy"),
        "networks": lambda: [n for n in observer.networks() if n.name.startswith("healthy")],
        "volumes": lambda: [v for v in observer.volumes() if v.name.startswith("healthy")],
        "images": lambda: [i for i in observer.images() if "healthy:1" in i.references],
        "image": lambda: observer.find_image("healthy:1"),
        "faults": lambda: kernel_state.network_faults(paths),
        "boot": lambda: [one.name for one in booting.returning(paths) if one.project == "healthy"],
        "disk": lambda: [use for use in observer.disk_use().volumes if use.name.startswith("healthy")],
    }
    found = {key: ask() for key, ask in asked.items()}
    # what may be wrong of the damaged one is its own: but no more than an error
    own: tuple[Callable[[], object], ...] = (
        lambda: observer.observe(stack.name),
        lambda: observer.find_image("hostile:1"),
        lambda: observer.probes(f"{stack.name}-a-1"),
        lambda: observer.usage(f"{stack.name}-a-1"),
    )
    for ask_own in own:
        try:
            ask_own()
        except ComposerError:
            pass
    return found


@pytest.fixture
def pair(stack: Stack) -> Iterator[Stack]:
    """Two projects with everything in one state directory: one is healthy, the stack's own will be damaged."""
    image = make_image(stack, rootfs(), "--expose", "80", "-e", "A=b", "--label", "c=d", "--volume", "/v")
    stack.run("image", "tag", image, "healthy:1")
    text = (
        "services:\n  a:\n    image: IMAGE\n    command: sleep 1000\n    stop_grace_period: 0s\n    restart: always\n"
        "    ports: ['127.0.0.1::80']\n    volumes: ['vol:/data', {type: tmpfs, target: /t}]\n"
        "    healthcheck: {test: 'true', interval: 1s}\nvolumes: {vol: }\n"
    )
    other = Stack(stack.directory, stack.state, "healthy")
    for one, name in ((stack, image), (other, "healthy:1")):
        one.up(text.replace("IMAGE", name), "--wait")
    yield stack
    other.run("down", "-v", "-t", "0")


def test_no_damaged_object_breaks_the_listing_of_others(pair: Stack) -> None:
    lib = pair.state / "lib"
    containers = [
        path for path in (lib / "containers").iterdir() if says(path / "meta.json", "project") == pair.name
    ]
    networks = [
        path
        for path in (lib / "networks").iterdir()
        if says(path / "network.json", "name").startswith(pair.name)
    ]
    volumes = list((lib / "volumes").glob(f"{pair.name}_*"))
    files = [path / name for path in containers for name in ("meta.json", "state.json", "health.json")]
    files += [path / "network.json" for path in networks] + [path / "volume.json" for path in volumes]
    assert len(files) == 5
    pair.run("stop", "-t", "0")
    probe = {"started_ns": 1, "ended_ns": 2, "exit_code": 0, "output": "fine"}
    (containers[0] / "health.json").write_text(json.dumps({"status": "healthy", "probes": [probe]}))
    wanted = everything(pair)
    assert all(wanted[key] for key in ("ls", "networks", "volumes", "image", "boot"))
    for path in files:
        original = path.read_bytes()
        for data in damaged(original):
            path.write_bytes(data)
            try:
                found = everything(pair)
            except Exception as error:
                raise AssertionError(f"{path.name} with {data[:300]!r}") from error
            assert found == wanted, f"{path.name} with {data[:300]!r}"
        path.write_bytes(original)


def test_no_damaged_object_keeps_the_others_from_their_boot(pair: Stack) -> None:
    """Nor from what is said of their networks: `up` looks at the records of all containers that run."""
    paths = state.paths_of({"COMPOSER_ROOT": str(pair.state)})
    lib = pair.state / "lib"
    (container,) = [
        path for path in (lib / "containers").iterdir() if says(path / "meta.json", "project") == pair.name
    ]
    (network,) = [
        path
        for path in (lib / "networks").iterdir()
        if says(path / "network.json", "name").startswith(pair.name)
    ]
    (healthy,) = {path.name for path in (lib / "networks").iterdir()} - {network.name}
    assert kernel_state.network_faults(paths) == {}
    assert set(kernel_state.projects_in(paths, healthy)) == {"healthy"}
    for path in (
        *(container / f"{name}.json" for name in ("meta", "config", "state")),
        network / "network.json",
    ):
        original = path.read_bytes()
        for data in damaged(original):
            path.write_bytes(data)
            try:
                faults = kernel_state.network_faults(paths)
                others = [one.name for one in booting.returning(paths) if one.project == "healthy"]
            except Exception as error:
                raise AssertionError(f"{path.name} with {data[:3000]!r}") from error
            assert healthy not in faults
            assert others == ["healthy-a-1"]
        path.write_bytes(original)


def test_no_damaged_image_breaks_the_listing_of_others(pair: Stack) -> None:
    """Its record is written anew for the healthy one, under another id."""
    images = pair.state / "lib" / "images" / "images"
    (record,) = images.iterdir()
    bad = images / ("0" * 64 + ".json")
    wanted = everything(pair)
    for data in damaged(record.read_bytes()):
        bad.write_bytes(data)
        try:
            found = everything(pair)
        except Exception as error:
            raise AssertionError(f"with {data[:300]!r}") from error
        assert found == wanted, f"with {data[:300]!r}"
    bad.unlink()


def test_a_damaged_table_of_names_costs_names_and_nothing_else(pair: Stack) -> None:
    table = pair.state / "lib" / "images" / "references.json"
    original = table.read_bytes()
    observer = NamespaceObserver(state.paths_of({"COMPOSER_ROOT": str(pair.state)}))
    whole = json.loads(original)
    (good,) = [name for name in whole if "healthy" in name]
    for value in (*DAMAGES, {"id": 3}, {"id": "sha256:" + "0" * 64, "digest": []}):
        table.write_text(json.dumps({**whole, "docker.io/library/other:1": value, "\x1b[31m//": whole[good]}))
        assert observer.find_image("healthy:1") is not None
        assert len(observer.images()) == 1
        try:
            observer.find_image("other:1")
        except ComposerError:
            pass
    table.write_bytes(original)


def test_damaged_lines_of_the_journal_are_passed_over(pair: Stack) -> None:
    paths = state.paths_of({"COMPOSER_ROOT": str(pair.state)})
    journal = pathlib.Path(paths.project(pair.name)) / "events"
    before = sum(1 for line in journal.read_bytes().splitlines() if line)
    with journal.open("ab") as file:
        for line in (
            *RAW[1:],
            b'{"time_ns": "x"}',
            b'{"time_ns":1,"kind":1,"action":[],"id":{},"attributes":1}',
        ):
            file.write(line + b"\n")
    events = ProjectEvents(paths, pair.name, since_ns=0, until_ns=None)
    seen = 0
    while events.next(0) is not None:
        seen += 1
    events.close()
    assert seen >= before


@pytest.mark.parametrize("file", ["config.json", "meta.json", "state.json"])
def test_commands_go_on_beside_a_damaged_container(pair: Stack, file: str) -> None:
    """Those of the healthy project as ever, and the damaged container can be removed."""
    healthy = Stack(pair.directory, pair.state, "healthy")
    containers = (pair.state / "lib" / "containers").iterdir()
    (bad,) = [path for path in containers if says(path / "meta.json", "project") == pair.name]
    pair.run("stop", "-t", "0")
    (bad / file).write_text('{"composer": [], "process": 1, "status": {}, "labels": {}, "mounts": 7}')
    for command in (
        ["ps", "-a"],
        ["ls"],
        ["exec", "-T", "a", "pwd"],
        ["logs"],
        ["stats", "--no-stream"],
        ["image", "ls"],
        ["image", "prune", "-f"],
        ["system", "df"],
        ["restart", "-t", "0"],
        ["up", "-d"],
        ["volume", "ls"],
        ["network", "ls"],
    ):
        done = healthy.run(*command, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for command in (
        ["ps", "-a"],
        ["ls", "-a"],
        ["exec", "-T", "a", "pwd"],
        ["stats", "--no-stream"],
        ["top"],
    ):
        done = pair.run(*command, check=False)
        assert "bug" not in done.stderr and "Traceback" not in done.stderr, f"{command}: {done.stderr}"
    pair.run("down", "-v", "-t", "0")
    assert not bad.exists()


def test_an_import_that_was_killed_leaves_nothing_behind(stack: Stack) -> None:
    """Layers and blobs that are half made go with the next command that adds something."""
    pipe = stack.directory / "pipe"
    os.mkfifo(pipe)
    process = stack.popen("image", "import", str(pipe), "never:1")
    images = stack.state / "lib" / "images"
    with pipe.open("wb") as file:
        file.write(rootfs()[:200_000])
        file.flush()
        wait_for(lambda: half_made(images), what="a layer that is being made")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert half_made(images)
    make_image(stack, rootfs())
    assert half_made(images) == []
    stack.write(f"services:\n  a:\n    {IDLE}\n")


def half_made(images: pathlib.Path) -> list[str]:
    return [str(path) for part in ("layers", "blobs", "host") for path in (images / part).glob("*.tmp")] + [
        str(path) for part in ("layers", "blobs", "host") for path in (images / part).glob(".*.tmp")
    ]


def test_no_volume_is_pruned_that_a_damaged_container_may_use(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:/v']\nvolumes: {{vol: }}\n")
    stack.run("stop", "-t", "0")
    (meta,) = (stack.state / "lib" / "containers").glob("*/meta.json")
    original = meta.read_text()
    whole = json.loads(original)
    broken = {**whole, "mounts": [{**mount, "target": 7, "type": []} for mount in whole["mounts"]]}
    # The configuration tells of its volumes where meta.json does not; where both are damaged nobody knows.
    config = meta.parent / "config.json"
    configured = config.read_text()
    for text, other, code in (
        (json.dumps(broken), configured, 0),
        ("{torn", configured, 0),
        ("{torn", "", 1),
    ):
        meta.write_text(text)
        config.write_text(other)
        done = stack.run("volume", "prune", "-a", "-f", check=False)
        assert done.returncode == code, done.stderr
        assert (stack.state / "lib" / "volumes" / f"{stack.name}_vol" / "_data").exists()
    meta.write_text(original)
    config.write_text(configured)


def test_damaged_records_of_a_log_cost_what_they_say_and_nothing_else(stack: Stack) -> None:
    """Streams that do not exist, ends beyond the file, times of other centuries, and half a record."""
    stack.up(
        "services:\n  a:\n    image: host\n    stop_grace_period: 0s\n"
        "    command: [sh, -c, 'echo one; echo two; exec sleep 1000']\n"
    )
    (index,) = (stack.state / "lib" / "containers").glob("*/logs/index")
    wait_for(
        lambda: stack.out("logs", "--no-log-prefix", "a").splitlines() == ["one", "two"], what="both lines"
    )
    good = index.read_bytes()
    largest = (1 << 64) - 1
    for record in ((1, 7, 5), (1, largest, largest), (largest, 0, 3), (0, 1, largest), (1, 0, 1 << 62)):
        bad = struct.pack("<QQQ", *record)
        for data in (good + bad, bad + good, good + bad[:11]):
            index.write_bytes(data)
            for options in ([], ["-t"], ["--tail", "1"]):
                done = stack.run("logs", "--no-log-prefix", *options, "a", check=False)
                assert done.returncode == 0 and "bug" not in done.stderr, (record, done.stderr)
                assert done.stdout.rstrip().endswith("two"), (record, options, done.stdout)
    index.write_bytes(good)
