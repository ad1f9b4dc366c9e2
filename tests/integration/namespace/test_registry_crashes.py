"""Several processes that pull overlapping images, killed in between: a wrong byte is never stored.

``COMPOSER_PULL_ROUNDS`` says how often; make pulls runs fifty rounds.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from composer.runtime.images import Store
from tests.archives import archive, file
from tests.integration.namespace.conftest import wait_for
from tests.integration.namespace.test_registry import verify
from tests.registries import Proxy, push, registry, slow

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("COMPOSER_PULL_ROUNDS", "4"))
PULLERS = 8
PROGRAM = """
import sys
from composer.runtime.images import Store
store = Store(sys.argv[1])
puller = store.puller({})
for name in sys.argv[2:]:
    store.pull(name, puller)
"""


def start(store: str, *names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, store, *names], stderr=subprocess.PIPE)


def test_kills_between_concurrent_pulls_leave_a_store_that_verifies(tmp_path: pathlib.Path) -> None:
    chance = random.Random(ROUNDS)
    layers = [archive(file(f"file{n}", chance.randbytes(400_000)), file("same", b"%d" % n)) for n in range(8)]
    with registry(tmp_path) as host, Proxy(host) as proxy:
        # Image n is the first n layers: all chains overlap, the last is all of the others'.
        pushed = [push(host, f"app{n}", "1", layers[: n + 1]) for n in range(8)]
        names = [f"{proxy.host}/app{n}:1" for n in range(8)]
        proxy.on(r"^GET /v2/.*/blobs/", slow(0.004, 1 << 14), 0)
        for round_ in range(ROUNDS):
            # No store is removed before the end: ext4 is slow to use again what was just deleted.
            root = str(tmp_path / f"round{round_}/lib/images")
            doomed = [start(root, *chance.sample(names, 3)) for _ in range(PULLERS)]
            blobs = pathlib.Path(root, "blobs/sha256")
            wait_for(blobs.exists, what="the first pull")  # who is killed before shows nothing
            for process in chance.sample(
                doomed, PULLERS - 2 * (round_ % 2)
            ):  # in every other round two go on
                time.sleep(chance.uniform(0, 0.15))
                process.send_signal(signal.SIGKILL)
            for process in doomed:
                _, error = process.communicate(timeout=120)
                assert process.returncode in (0, -signal.SIGKILL), error.decode()
            verify(Store(root))
            last = start(root, *names)
            _, error = last.communicate(timeout=120)
            assert last.returncode == 0, error.decode()
            store = Store(root)
            verify(store)
            assert {image.id for image in store.images()} == {image.id for image in pushed}
            check_files(store, layers)
            store.prune()
            assert not list(pathlib.Path(root).rglob("*.tmp")), "what was half made is swept"
            assert {image.id for image in store.images()} == {image.id for image in pushed}


def check_files(store: Store, layers: list[bytes]) -> None:
    """Every unpacked file has the bytes of its archive."""
    for image in store.images():
        for number, directory in enumerate(reversed(image.layers)):
            path = pathlib.Path(directory)
            assert sorted(entry.name for entry in path.iterdir()) == [f"file{number}", "same"]
            assert (path / f"file{number}").read_bytes() == layers[number][512:400_512]
            assert (path / "same").read_bytes() == b"%d" % number
