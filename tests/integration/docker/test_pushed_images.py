"""What the built-in runtime pushes, Docker Engine pulls: the same image; and the commands on images work there too."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator

import pytest

from composer.runtime.images import Store
from tests.archives import archive, directory, file
from tests.integration.docker.conftest import Stack
from tests.registries import registry

pytestmark = [pytest.mark.docker, pytest.mark.root]

FILES = archive(
    directory("etc", 0o755), file("etc/noise", os.urandom(400_000)), file("text", b"text " * 90_000)
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


def pushed(root: pathlib.Path, name: str, compression: str) -> tuple[str, str]:
    """Push an image of a store of its own; return its id and the registry's digest."""
    store = Store(str(root / "lib" / "images"))
    (root / "root.tar").write_bytes(FILES)
    image = store.import_rootfs(str(root / "root.tar"), name, {"Cmd": ["true"]})
    pusher = store.pusher({"HOME": str(root), "PATH": os.environ["PATH"]})
    try:
        return image.id, store.push(name, pusher, compression=compression)
    finally:
        pusher.close()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_engine_pulls_what_was_pushed(
    stack: Stack, host: str, tmp_path: pathlib.Path, compression: str
) -> None:
    name = f"{host}/pushed:{compression}"
    id, digest = pushed(tmp_path, name, compression)
    try:
        stack.engine("pull", name)
        (found,) = json.loads(stack.engine("image", "inspect", name))
        assert found["Id"] == id
        assert found["RepoDigests"] == [f"{host}/pushed@{digest}"]
    finally:
        stack.engine("image", "rm", "-f", name)


def test_the_commands_on_images(stack: Stack, host: str, tmp_path: pathlib.Path) -> None:
    name = f"{host}/commands:1"
    id, _ = pushed(tmp_path, name, "gzip")
    copy = f"{host}/commands:2"
    try:
        stack.ours("image", "pull", name)
        stack.ours("image", "tag", name, copy)
        assert stack.ours("image", "push", copy).stdout.startswith("2: digest: sha256:")
        refused = stack.ours("image", "push", "--compression", "zstd", copy, check=False)
        assert refused.returncode == 1 and "compresses with gzip" in refused.stderr
        listed = stack.ours(
            "image", "ls", "--digests", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", f"{host}/commands"
        )
        assert set(listed.stdout.splitlines()) == {f"1 {id}", f"2 {id}"}
        mine = stack.ours(
            "image", "history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}", name
        )
        theirs = stack.engine("history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}", name)
        assert mine.stdout == theirs
        assert stack.ours("image", "rm", copy).stdout == f"Untagged: {copy}\n"
        said = stack.ours("image", "rm", name).stdout.splitlines()
        assert said[0] == f"Untagged: {name}" and f"Deleted: {id}" in said
        assert any(line.startswith(f"Untagged: {host}/commands@sha256:") for line in said)
    finally:
        stack.engine("image", "rm", "-f", name, copy)
