"""The build cache: what counts for a step, what does not, and what is removed when."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
from typing import Any

import pytest

from tests.integration.namespace.building.conftest import Workshop, cached
from tests.registries import registry

pytestmark = pytest.mark.root


def test_the_same_build_again_is_the_same_image(shop: Workshop) -> None:
    shop.write("a.txt", "a")
    dockerfile = "FROM base\nRUN echo 1 > /one\nCOPY a.txt /\nWORKDIR /w\nENV A=b\n"
    shop.build(dockerfile)
    first = shop.id()
    again = shop.build(dockerfile)
    assert shop.id() == first
    assert again.count("CACHED") == 4
    shop.build("FROM scratch\nENV A=b\n", tag="plain")
    first = shop.id("plain")
    shop.build("FROM scratch\nENV A=b\n", tag="plain")
    assert shop.id("plain") == first


def test_contents_count_and_times_do_not(shop: Workshop) -> None:
    path = shop.write("a.txt", "a")
    dockerfile = "FROM base\nCOPY a.txt /\nRUN cat /a.txt > /b\n"
    shop.build(dockerfile)
    os.utime(path, (1, 1))
    assert cached(shop.build(dockerfile), "COPY a.txt")
    path.write_text("b")
    output = shop.build(dockerfile)
    assert not cached(output, "COPY a.txt")
    assert not cached(output, "RUN cat")
    assert shop.text("/b") == "b"
    path.chmod(0o600)
    assert not cached(shop.build(dockerfile), "COPY a.txt")
    shop.write("unused.txt", "x")
    assert cached(shop.build(dockerfile), "COPY a.txt")


def test_arguments_count_from_their_declaration_on(shop: Workshop) -> None:
    dockerfile = "FROM base\nRUN echo early\nARG V\nRUN echo late\n"
    shop.build(dockerfile, "--build-arg", "V=1")
    output = shop.build(dockerfile, "--build-arg", "V=2")
    assert cached(output, "RUN echo early")
    assert not cached(output, "RUN echo late")
    # proxies are passed on, and change nothing of the result
    assert cached(
        shop.build(dockerfile, "--build-arg", "V=2", "--build-arg", "HTTP_PROXY=http://x"), "RUN echo late"
    )


def test_a_linked_copy_is_kept_over_another_base(shop: Workshop) -> None:
    shop.write("a.txt", "a")
    shop.build("FROM base\nRUN echo 1\nCOPY --link a.txt /a\n", tag="one")
    output = shop.build("FROM base\nRUN echo 2\nCOPY --link a.txt /a\n", tag="two")
    assert cached(output, "COPY --link")
    shop.stack.run("image", "rm", "one")
    assert shop.text("/a", "two") == "a"


def test_the_cache_can_be_left_out(shop: Workshop) -> None:
    dockerfile = (
        "FROM base AS a\nRUN echo a > /a\nFROM base AS b\nRUN echo b > /b\n"
        "FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    )
    shop.build(dockerfile)
    output = shop.build(dockerfile, "--no-cache")
    assert not cached(output, "RUN echo a")
    assert not cached(output, "COPY --from=b")
    output = shop.build(dockerfile, "--no-cache-filter", "b")
    assert cached(output, "RUN echo a")
    assert not cached(output, "RUN echo b")


def test_builds_that_leave_it_out_do_not_wait_for_each_other(shop: Workshop) -> None:
    """Each waits for the other within the step that both have; one after the other would wait in vain."""
    shop.write(
        "Dockerfile",
        """\
        FROM base
        RUN --mount=type=cache,id=meeting,target=/meeting mkdir /meeting/$(cat /proc/sys/kernel/random/uuid) && \\
            for i in $(seq 600); do [ $(ls /meeting | wc -l) -ge 2 ] && exit 0; sleep 0.05; done; exit 1
        """,
    )
    command = ("image", "build", "--no-cache", "-t")
    running = [shop.stack.popen(*command, name, ".") for name in ("one", "two")]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert shop.id("one")
    assert shop.id("two")


def test_another_project_and_another_image_share_steps(shop: Workshop) -> None:
    shop.build("FROM base\nRUN echo shared > /s\n", tag="one")
    assert cached(shop.build("FROM base\nRUN echo shared > /s\nCMD x\n", tag="two"), "RUN echo shared")


def test_images_outlive_the_cache_and_the_reverse(shop: Workshop) -> None:
    dockerfile = "FROM base\nRUN echo 1 > /one\n"
    shop.build(dockerfile)
    shop.stack.run("builder", "prune", "-af")
    assert shop.text("/one") == "1\n"
    shop.build(dockerfile, "--no-cache")
    shop.stack.run("image", "rm", "built")
    output = shop.build(dockerfile)
    assert cached(output, "RUN echo 1")
    assert shop.text("/one") == "1\n"


def test_pruning_keeps_within_a_size(shop: Workshop) -> None:
    for number in range(4):
        shop.build(
            f"FROM base AS big\nRUN dd if=/dev/zero of=/big bs=1M count=2 && echo {number} > /n\n"
            "FROM scratch\nCOPY --from=big /n /\n",
            tag=f"n{number}",
        )
    shop.stack.run("builder", "prune", "-f", "--max-used-space", "5MB")
    left = [
        line
        for line in shop.stack.out("system", "df", "-v").splitlines()
        if " 2.09" in line or " 2.1" in line
    ]
    assert len(left) == 2
    output = shop.build((shop.directory / "Dockerfile").read_text())
    assert cached(output, "RUN dd")  # of what was used last the most is kept
    shop.stack.run("builder", "prune", "-f", "--filter", "until=24h")
    assert cached(shop.build((shop.directory / "Dockerfile").read_text()), "RUN dd")


# ---------------------------------------------------------------------------- caches elsewhere

STAGES = (
    "FROM base AS early\n"
    "RUN --mount=type=cache,id=export,target=/c cat /proc/sys/kernel/random/uuid > /early && rm -f /bin/vi\n"
    "FROM base\nCOPY --from=early /early /\nCOPY a.txt /a\nRUN echo last > /last\n"
)


def forget_everything(shop: Workshop) -> None:
    shop.stack.run("image", "rm", "built")
    shop.stack.run("builder", "prune", "-af")
    assert "Build Cache     0 " in shop.stack.out("system", "df")


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_cache_in_a_directory_is_used_where_there_is_no_other(shop: Workshop, mode: str) -> None:
    shop.write("a.txt", "a")
    shop.build(STAGES, "--cache-to", f"type=local,dest=cache,mode={mode}")
    first, files = shop.id(), shop.image()[0]
    forget_everything(shop)
    output = shop.build(STAGES, "--cache-from", "type=local,src=cache")
    assert cached(output, "RUN --mount") is (mode == "max")
    if mode == "max":
        assert cached(output, "RUN echo last")
        assert shop.id() == first
        assert shop.image()[0] == files
        assert "bin/vi" in files
    # what came from there is in the local cache now
    assert cached(shop.build(STAGES), "RUN --mount")


def test_a_cache_in_a_registry_is_used_where_there_is_no_other(
    shop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop.write("a.txt", "a")
    with registry(tmp_path_factory.mktemp("registry")) as host:
        shop.build(
            STAGES,
            "--cache-to",
            f"type=registry,ref={host}/cache:own,mode=max",
            "--cache-from",
            f"{host}/none",
        )
        first = shop.id()
        forget_everything(shop)
        assert cached(shop.build(STAGES, "--cache-from", f"{host}/cache:own"), "RUN --mount")
        assert shop.id() == first
    forget_everything(shop)
    output = shop.build(STAGES, "--cache-from", f"{host}/cache:own")
    assert "cannot read the cache of" in output
    assert not cached(output, "RUN --mount")


@pytest.mark.parametrize(
    "wanted",
    [("--cache-to", "type=inline"), ("--build-arg", "BUILDKIT_INLINE_CACHE=1")],
    ids=["cache-to", "argument"],
)
def test_an_image_has_its_cache_in_itself(
    shop: Workshop, tmp_path_factory: pytest.TempPathFactory, wanted: tuple[str, str]
) -> None:
    shop.write("a.txt", "a")
    dockerfile = (
        "FROM base AS early\nRUN echo early > /early\n"
        "FROM base\nCOPY --from=early /early /early/\nCOPY a.txt /a\nRUN echo last > /last && rm -f /bin/vi\nENV A=1\n"
    )
    with registry(tmp_path_factory.mktemp("registry")) as host:
        name = f"{host}/app:1"
        shop.build(dockerfile, *wanted, tag=name)
        first, files = shop.id(name), shop.image(name)[0]
        assert all(
            cached(shop.build(dockerfile, *wanted, tag=name), step) for step in ("RUN echo last", "COPY a")
        )
        assert shop.id(name) == first
        shop.stack.run("image", "push", name)
        shop.stack.run("image", "rm", name)
        shop.stack.run("builder", "prune", "-af")
        output = shop.build(dockerfile, *wanted, "--cache-from", f"type=registry,ref={name}", tag="again")
        assert cached(output, "RUN echo last")
        assert cached(output, "COPY a.txt")
        assert not cached(output, "RUN echo early")  # of another stage: no layer of the image
        assert shop.image("again")[0] == files
        # what is built on it does not have the cache of its base
        shop.build("FROM again\nRUN echo more\n", tag=f"{host}/more:1")
        shop.stack.run("image", "push", f"{host}/more:1")
        told = shop.build("FROM base\nRUN echo other\n", "--cache-from", f"{host}/more:1", tag="other")
    assert f"cannot read the cache of '{host}/more:1': the image has no build cache" in told


def test_an_inline_cache_is_equal_wherever_it_was_made(shop: Workshop) -> None:
    dockerfile = "FROM base\nRUN touch -d @1 /a\nWORKDIR /w\n"
    epoch = ("--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--cache-to", "type=inline")
    shop.build(dockerfile, *epoch)
    first = shop.id()
    forget_everything(shop)
    shop.build(dockerfile, *epoch)
    assert shop.id() == first


def test_a_cache_elsewhere_that_cannot_be_used_stops_nothing(shop: Workshop) -> None:
    shop.write("a.txt", "a")
    dockerfile = "FROM base\nCOPY a.txt /a\nRUN echo 1 > /one\n"
    shop.build(dockerfile, "--cache-to", "type=local,dest=cache")
    forget_everything(shop)
    for path in (shop.directory / "cache/blobs/sha256").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    output = shop.build(
        dockerfile, "--cache-from", "type=local,src=cache", "--cache-from", "type=local,src=none"
    )
    damaged = f"the cache of '{shop.directory}/cache'"
    assert f"cannot read {damaged}" in output or f"cannot use {damaged}" in output
    assert f"cannot read the cache of '{shop.directory}/none': there is none yet" in output
    assert not cached(output, "RUN echo 1")
    assert shop.text("/one") == "1\n"


BLOB = "sha256:" + "f" * 64


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": [{"digest": "sha256:../../../../../../../dev/zero"}]},
        {"manifests": [{"digest": BLOB}]},
        {"manifests": None},
        {"manifests": [{}, 1]},
        {"a": 1},
        [],
    ],
)
def test_a_cache_of_somebody_else_leads_nowhere(shop: Workshop, index: object) -> None:
    blobs = shop.directory / "cache/blobs/sha256"
    blobs.mkdir(parents=True)
    os.mkfifo(blobs / BLOB.removeprefix("sha256:"))  # whoever opens it waits
    (shop.directory / "cache/index.json").write_text(json.dumps(index))
    output = shop.build("FROM base\nRUN echo 1\n", "--cache-from", "type=local,src=cache")
    assert f"cannot read the cache of '{shop.directory}/cache'" in output


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        '"x"',
        "[" * 100_000,
        '{"layers": 5, "config": {"digest": "x"}}',
        '{"layers": [{}], "config": {"digest": "x"}}',
        '{"layers": [], "config": "x"}',
        '{"layers": [], "config": {}}',
        '{"layers": [], "config": {"digest": "x", "mediaType": "application/vnd.composer.build.cache.v1+json"}}',
    ],
    ids=lambda text: text[:30],
)
def test_a_manifest_that_is_none_is_a_warning(shop: Workshop, manifest: str) -> None:
    blobs = shop.directory / "cache/blobs/sha256"
    blobs.mkdir(parents=True)
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    (blobs / digest).write_text(manifest)
    index = {"manifests": [{"digest": f"sha256:{digest}"}]}
    (shop.directory / "cache/index.json").write_text(json.dumps(index))
    output = shop.build("FROM base\nRUN echo 1\n", "--cache-from", "type=local,src=cache")
    assert f"cannot read the cache of '{shop.directory}/cache'" in output


def test_a_description_that_is_too_large_is_a_warning(shop: Workshop) -> None:
    blobs = shop.directory / "cache/blobs/sha256"
    blobs.mkdir(parents=True)
    config = {"digest": BLOB, "mediaType": "application/vnd.composer.build.cache.v1+json"}
    manifest = json.dumps({"layers": [], "config": config}).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    (blobs / digest).write_bytes(manifest)
    with open(blobs / BLOB.removeprefix("sha256:"), "wb") as file:
        file.truncate((64 << 20) + 1)
    index = {"manifests": [{"digest": f"sha256:{digest}"}]}
    (shop.directory / "cache/index.json").write_text(json.dumps(index))
    output = shop.build("FROM base\nRUN echo 1\n", "--cache-from", "type=local,src=cache")
    assert f"cannot read the cache of '{shop.directory}/cache': it exceeds 64 MiB" in output


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [{"digest": "sha256:../../../../../../../etc/passwd"}]},
        {"layers": [{"digest": BLOB}]},  # a FIFO
        {"seconds": "1e999"},
        {"seconds": "9" * 400},
    ],
    ids=["digest", "fifo", "infinite", "long"],
)
def test_a_step_of_somebody_else_leads_nowhere(shop: Workshop, change: dict[str, Any]) -> None:
    dockerfile = "FROM base\nRUN echo 1 > /one\n"
    shop.build(dockerfile, "--cache-to", "type=local,dest=cache")
    forget_everything(shop)
    blobs = shop.directory / "cache/blobs/sha256"
    os.mkfifo(blobs / BLOB.removeprefix("sha256:"))
    index = json.loads((shop.directory / "cache/index.json").read_text())
    digest = index["manifests"][0]["digest"]
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
    config = (blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text()
    if "seconds" in change:
        config = re.sub(r'"seconds":[0-9.e-]+', f'"seconds":{change["seconds"]}', config)
        assert change["seconds"] in config
    else:
        manifest["layers"] = change["layers"] * len(manifest["layers"])
    manifest["config"]["digest"] = put(blobs, config)
    index["manifests"][0]["digest"] = put(blobs, json.dumps(manifest))
    (shop.directory / "cache/index.json").write_text(json.dumps(index))
    output = shop.build(dockerfile, "--cache-from", "type=local,src=cache")
    assert ("cannot use the cache of" in output) is ("layers" in change)
    assert shop.text("/one") == "1\n"


def put(blobs: pathlib.Path, text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    (blobs / digest).write_text(text)
    return f"sha256:{digest}"


@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_an_index_that_never_ends_is_not_read(shop: Workshop, kind: str) -> None:
    (shop.directory / "cache").mkdir()
    index = shop.directory / "cache/index.json"
    if kind == "fifo":
        os.mkfifo(index)
    else:
        index.symlink_to("/dev/zero")
    output = shop.build("FROM base\nRUN echo 1\n", "--cache-from", "type=local,src=cache")
    assert "'index.json' is no regular file" in output


def test_forms_of_caches(shop: Workshop) -> None:
    assert "cache_from 'type=gha' is not used" in shop.build("FROM base\n", "--cache-from", "type=gha")
    assert "type 'gha' is not supported" in shop.refuse("FROM base\n", "--cache-to", "type=gha")
    assert "use type=local,dest=DIRECTORY" in shop.refuse("FROM base\n", "--cache-to", "type=gha")
    assert "an image has the steps of its own layers" in shop.build(
        "FROM base\n", "--cache-to", "type=inline,mode=max"
    )
    assert "dest is missing" in shop.refuse("FROM base\n", "--cache-to", "type=local")
    assert "mode 'all'" in shop.refuse("FROM base\n", "--cache-to", "type=local,dest=x,mode=all")
    shop.build("FROM base\n", "--cache-from", "type=gha")


@pytest.mark.parametrize("order", [("image", "builder"), ("builder", "image")])
def test_in_any_order_two_prunes_leave_nothing(shop: Workshop, order: tuple[str, str]) -> None:
    shop.write("file", "x" * 100_000)
    shop.build("FROM base\nRUN echo one > /one\nCOPY file /file\n")
    for kind in order:
        shop.stack.run(kind, "prune", "-af")
    assert list((shop.stack.state / "lib/images/layers").iterdir()) == []
    assert list((shop.stack.state / "lib/build/snapshots").iterdir()) == []
