"""What is built goes to a registry, by every command that pushes; and the commands on images around that."""

from __future__ import annotations

import json

import pytest

from tests.integration.namespace.building.conftest import Workshop
from tests.uploads import Memory

pytestmark = pytest.mark.root

RECIPE = "FROM base\nRUN echo one > /one\nENV A=1\n"


def test_build_and_push_in_one(shop: Workshop, memory: Memory) -> None:
    names = [f"{memory.host}/app:{tag}" for tag in ("1", "2")]
    shop.build(RECIPE, "-t", names[1], "--push", tag=names[0])
    found = memory.manifests["app", "1"][1]
    assert found == memory.manifests["app", "2"][1]
    manifest = json.loads(found)
    assert manifest["config"]["digest"] == shop.id(names[0])
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"gzip"}
    said = shop.stack.out(
        "image", "ls", "--digests", "--format", "{{.Tag}} {{.Digest}}", f"{memory.host}/app"
    )
    assert {line.split()[0] for line in said.splitlines()} == {"1", "2"}
    digest = next(key[1] for key in memory.manifests if key[1].startswith("sha256:"))
    assert {line.split()[1] for line in said.splitlines()} == {digest}


def test_a_push_needs_a_name(shop: Workshop) -> None:
    shop.write("Dockerfile", RECIPE)
    done = shop.stack.run("image", "build", "--push", ".", check=False)
    assert done.returncode != 0 and "--push needs a --tag" in done.stderr


def test_a_project_is_built_and_pushed(shop: Workshop, memory: Memory) -> None:
    shop.write("Dockerfile", RECIPE)
    shop.write(
        "compose.yaml",
        f"services:\n  web: {{build: ., image: '{memory.host}/web'}}\n  other: {{image: base}}\n"
        f"  bad: {{build: ., image: 'localhost:1/bad', profiles: [bad]}}\n",
    )
    shop.stack.run("build", "--push")
    assert ("web", "latest") in memory.manifests
    said = shop.stack.run("push")
    assert "other Skipped" in said.stdout + said.stderr
    quiet = shop.stack.run("push", "-q")
    assert "Pushed" not in quiet.stdout + quiet.stderr
    shop.stack.run("build", "bad")
    failed = shop.stack.run("--profile", "bad", "push", "bad", check=False)
    assert failed.returncode == 1 and "cannot push image 'localhost:1/bad:latest'" in failed.stderr
    assert shop.stack.run("--profile", "bad", "push", "--ignore-push-failures").returncode == 0


def test_push_says_what_the_registry_has(shop: Workshop, memory: Memory) -> None:
    shop.build(RECIPE, tag=f"{memory.host}/app:1")
    shop.stack.run("image", "tag", f"{memory.host}/app:1", f"{memory.host}/app:2")
    said = shop.stack.out("image", "push", "-a", f"{memory.host}/app")
    digest = next(key[1] for key in memory.manifests if key[1].startswith("sha256:"))
    assert said.splitlines() == [f"{tag}: digest: {digest}" for tag in ("1", "2")]
    assert shop.stack.out("image", "push", "-q", f"{memory.host}/app:2") == f"{memory.host}/app:2\n"
    zstd = shop.stack.out("image", "push", "--compression", "zstd", f"{memory.host}/app:2").split()[-1]
    assert zstd != digest
    kinds = {
        layer["mediaType"].rpartition("+")[2]
        for layer in json.loads(memory.manifests["app", zstd][1])["layers"]
    }
    assert kinds == {"zstd"}
    for arguments, words in (
        (("-a", f"{memory.host}/app:1"), "--all-tags"),
        (("missing:1",), "does not exist locally with the tag: missing:1"),
        (("-a", "missing"), "does not exist locally"),
    ):
        failed = shop.stack.run("image", "push", *arguments, check=False)
        assert failed.returncode == 1 and words in failed.stderr


def test_history_is_that_of_the_build(shop: Workshop) -> None:
    shop.build(RECIPE)
    lines = shop.stack.out(
        "image", "history", "--no-human", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}", "built"
    )
    rows = [line.split("|") for line in lines.splitlines()]
    assert rows[0] == [shop.id()[7:19], "ENV A=1", "0"]
    assert rows[1][:2] == ["<missing>", "RUN /bin/sh -c echo one > /one # buildkit"] and int(rows[1][2]) > 0
    assert len(rows) == 3, "the layer of the import, which has no history"
    whole = shop.stack.out("image", "history", "-q", "--no-trunc", "built").splitlines()
    assert whole == [shop.id(), "<missing>", "<missing>"]
    assert shop.stack.out("image", "history", "base").splitlines()[0].split()[:3] == [
        "IMAGE",
        "CREATED",
        "CREATED",
    ]
    assert "no such image" in shop.stack.run("image", "history", "nothing", check=False).stderr


def test_removal_has_the_words_and_the_rules_of_docker(shop: Workshop) -> None:
    shop.build(RECIPE)
    id = shop.id()
    for name in ("built:2", "other:1"):
        shop.stack.run("image", "tag", "built", name)
    refused = shop.stack.run("image", "rm", id[7:19], check=False)
    assert refused.returncode == 1 and "names of several repositories" in refused.stderr
    assert shop.stack.out("image", "rm", "other:1") == "Untagged: other:1\n"
    container = shop.stack.out("container", "create", "--name", "user", "built").strip()
    assert shop.stack.out("image", "rm", "built:2") == "Untagged: built:2\n", "another name is left"
    refused = shop.stack.run("image", "rm", "built", "nothing", check=False)
    assert refused.returncode == 1
    assert "is in use by user" in refused.stderr and "no such image: nothing" in refused.stderr
    said = shop.stack.out("image", "rm", "-f", "built", "nothing").splitlines()
    assert said[:2] == ["Untagged: built:latest", f"Deleted: {id}"]
    assert len(said) == 2, "the container has the layers"
    shop.stack.run("container", "rm", container)


def test_a_running_container_keeps_its_image(shop: Workshop) -> None:
    shop.build(RECIPE)
    id = shop.id()
    shop.stack.run("container", "run", "-d", "--name", "user", "--network", "none", "built", "sleep", "1000")
    refused = shop.stack.run("image", "rm", "-f", id, check=False)
    assert refused.returncode == 1 and "in use by running containers (user)" in refused.stderr
    assert shop.stack.out("image", "rm", "-f", "built") == "Untagged: built:latest\n"
    assert shop.stack.out("image", "ls", "-q", "--no-trunc", "-f", "dangling=true").split() == [id]
    shop.stack.run("container", "rm", "-f", "user")
    shop.stack.run("builder", "prune", "-af")
    said = shop.stack.out("image", "rm", id).splitlines()
    assert said[0] == f"Deleted: {id}" and len(said) == 2, "its own layer; that of the base stays"


def test_a_digest_goes_and_its_tag_stays(shop: Workshop, memory: Memory) -> None:
    name = f"{memory.host}/app"
    shop.build(RECIPE, "--push", tag=f"{name}:1")
    digest = next(key[1] for key in memory.manifests if key[1].startswith("sha256:"))
    assert shop.stack.out("image", "rm", f"{name}@{digest}") == f"Untagged: {name}@{digest}\n"
    assert shop.stack.out("image", "ls", "--format", "{{.Tag}} {{.Digest}}", name) == "1 <none>\n"
