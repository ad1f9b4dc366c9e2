"""An application of examples/compose in a folder of its own, driven by the command."""

from __future__ import annotations

import pathlib
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests import examples_base
from tests.integration.namespace.conftest import Stack, wait_for
from tests.ports import free_port

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "compose"


class Example(Stack):
    """An example in a folder of its own, on a port that nobody else has."""

    port = 0

    def environment(self) -> dict[str, str]:
        ports = {f"{name}_PORT": str(self.port) for name in ("HELLO", "NOTES", "REGISTRY")}
        return {**super().environment(), **ports, "BASE": examples_base.NAME}

    def fetch(self, path: str = "/", data: bytes | None = None) -> str:
        """Return what the published port answers; nothing while it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            return ""
        except OSError:
            return ""


def _left(example: Example) -> list[str]:
    """Return what is still there of this example, whatever else runs on the machine."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if str(example.state) in line]
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if command.startswith("composer: ") and example.name in command:
            found.append(command)
    for part in ("containers", "names", "networks", "volumes"):
        found += [str(path) for path in (example.state / "lib" / part).glob("*")]
    return found


@pytest.fixture
def example(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Example]:
    """The example that the test's parameter or marker names; afterwards nothing of it may be left."""
    name = str(request.param)
    shutil.copytree(EXAMPLES / name, tmp_path / name)
    made = Example(tmp_path / name, tmp_path / "state", f"e2e-{name}-{secrets.token_hex(4)}")
    made.port = free_port()
    yield made
    made.run("down", "-v", "-t", "1", check=False)
    wait_for(lambda: not _left(made), what="the end of everything that was started")


@pytest.fixture(scope="module")
def base_archive() -> pathlib.Path:
    """An archive with the base of the examples' images: in a corner it must be there already."""
    found = examples_base.archive()
    if found is None:
        pytest.skip("needs root and mmdebstrap to make the base of the examples' images")
    return found
