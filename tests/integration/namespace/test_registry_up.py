"""From a registry to a running container, through the command: pull, up, and what goes wrong in words."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator

import pytest

from tests.integration.namespace.conftest import Stack
from tests.registries import Pushed, push, registry

pytestmark = pytest.mark.root


def rootfs() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
        for name in ("sh", "sleep", "cat"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return raw.getvalue()


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Pushed]]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield (
            host,
            push(host, "box", "1", [rootfs()], Cmd=["sleep", "1000"], Env=["PATH=/bin", "FROM=registry"]),
        )


def test_up_pulls_what_is_missing_and_pull_what_is_asked_for(
    stack: Stack, pushed: tuple[str, Pushed]
) -> None:
    host, image = pushed
    stack.up(f"services: {{web: {{image: '{host}/box:1', stop_signal: SIGKILL}}}}")
    assert stack.shell("web", "echo $FROM") == "registry"
    assert stack.out("images", "-q").strip() == image.id.removeprefix("sha256:")
    assert " Running" in stack.run("up", "-d").stderr
    stack.write(f"services: {{web: {{image: '{host}/box@{image.digest}', stop_signal: SIGKILL}}}}")
    assert "Pull" not in stack.run("up", "-d").stderr, "what came by its tag is known by its digest"


def test_an_image_that_the_registry_does_not_have(stack: Stack, pushed: tuple[str, Pushed]) -> None:
    host, _ = pushed
    stack.write(f"services: {{web: {{image: '{host}/box:2'}}, other: {{image: '{host}/box:1'}}}}")
    failed = stack.run("pull", check=False)
    assert failed.returncode == 1
    assert f"cannot pull '{host}/box:2': image not found on {host}: manifest unknown" in failed.stderr
    assert stack.run("pull", "--ignore-pull-failures").returncode == 0
    assert stack.out("image", "ls", "-q").strip(), "the other one is here"
    stack.write(f"services: {{web: {{image: '{host}/box:3', pull_policy: never}}}}")
    refused = stack.run("up", "-d", check=False)
    assert (refused.returncode, "pull_policy is never" in refused.stderr) == (1, True)
