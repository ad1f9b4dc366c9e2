"""Coverage-guided fuzzing of what images bring: configurations, manifests, archives, layers (``make fuzz-images``).

An input is a kind on its first line, and lines that an image is put together from, with right digests and checksums,
so that mutations get past them:

    config   a configuration
    docker   manifest.json, a configuration (DIFF0, DIFF1, … stand for the layers' digests), then layers
    layout   index.json's and the manifest's fields (merged over right ones), a configuration, then layers
    layer    the entries of one layer, over a layer below
    raw      bytes of an archive

A layer is lines of ``kind|name|link|mode|uid|gid|major|minor|data``; ``---`` begins the next. Each input may be
stored or raise a `ComposerError`; what was stored must be listed, translated, saved and removed, and nothing outside
of its directory may change. Anything else is a finding. Layers are unpacked for real: as root, on a tmpfs.

    python -m tests.fuzz.images SECONDS [DIRECTORY]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.archives import archive, header, padded, pax
from tests.fuzz import harness

MAX_INPUT = 4096
CANARY = "alive"


# ------------------------------------------------------------------ from lines to archives


def number(text: str, limit: int = 0o7777777) -> int:
    try:
        return min(abs(int(text, 0)), limit)
    except ValueError:
        return 0


def layer_of(lines: list[str]) -> bytes:
    parts = []
    for line in lines:
        fields = [*line.split("|"), *[""] * 9][:9]
        kind, name, link, mode, uid, gid, major, minor, data = fields
        body = data.encode("utf-8", "surrogateescape") if kind in ("0", "7", "") else b""
        if kind == "x":
            keys = dict(pair.partition("=")[::2] for pair in data.split(",") if "=" in pair)
            encoded = {key: value.encode("utf-8", "surrogateescape") for key, value in keys.items()}
            parts.append(
                pax({key.encode("utf-8", "replace").decode(): value for key, value in encoded.items()})
            )
            continue
        parts.append(
            header(
                name.encode("utf-8", "surrogateescape")[:99],
                kind.encode("latin-1", "replace")[:1] or b"0",
                size=len(body),
                mode=number(mode, 0o7777),
                uid=number(uid),
                gid=number(gid),
                link=link.encode("utf-8", "surrogateescape")[:99],
                device=(number(major), number(minor)),
            )
        )
        parts.append(padded(body))
    return archive(*parts)


def layers_of(lines: list[str]) -> list[bytes]:
    groups: list[list[str]] = [[]]
    for line in lines:
        if line == "---":
            groups.append([])
        else:
            groups[-1].append(line)
    return [layer_of(group) for group in groups[:4]]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def member(name: str, data: bytes) -> bytes:
    return header(name, size=len(data)) + padded(data)


def with_digests(config: str, layers: list[bytes]) -> bytes:
    for index, data in enumerate(layers):
        config = config.replace(f"DIFF{index}", digest(data))
    return config.encode("utf-8", "surrogateescape")


def docker_archive(lines: list[str]) -> bytes:
    layers = layers_of(lines[2:])
    config = with_digests(lines[1], layers)
    members = [
        member("manifest.json", lines[0].encode("utf-8", "surrogateescape")),
        member("config.json", config),
    ]
    return archive(*members, *(member(f"{i}.tar", data) for i, data in enumerate(layers)))


def layout(lines: list[str]) -> bytes:
    layers = layers_of(lines[3:])
    config = with_digests(lines[2], layers)
    descriptors = [{"digest": digest(data), "size": len(data)} for data in layers]
    manifest = merged(
        {
            "schemaVersion": 2,
            "config": {"digest": digest(config), "size": len(config)},
            "layers": descriptors,
        },
        lines[1],
    )
    entry = {"digest": digest(manifest), "size": len(manifest)}
    index = merged({"schemaVersion": 2, "manifests": [entry]}, lines[0])
    blobs = [member(f"blobs/sha256/{digest(data)[7:]}", data) for data in (config, manifest, *layers)]
    return archive(member("index.json", index), *blobs)


def merged(right: dict[str, Any], text: str) -> bytes:
    """Return a document with fields of the input over it; ``{"manifests": [{"annotations": …}]}`` is merged inside."""
    try:
        wrong = json.loads(text)
    except (ValueError, RecursionError):
        return text.encode("utf-8", "surrogateescape")
    return json.dumps(_merge(right, wrong)).encode()


def _merge(right: Any, wrong: Any) -> Any:
    if isinstance(right, dict) and isinstance(wrong, dict):
        return {**right, **{key: _merge(right.get(key), value) for key, value in wrong.items()}}
    if isinstance(right, list) and isinstance(wrong, list) and len(right) == len(wrong):
        return [_merge(*pair) for pair in zip(right, wrong, strict=True)]
    return wrong


# ------------------------------------------------------------------ one input


def run_one(data: bytes, directory: Path) -> None:
    """Store what an input makes, use it, remove it. Raises what should not be raised, and for what changed outside."""
    work = directory / "run"
    shutil.rmtree(work, ignore_errors=True)
    (work / "outside").mkdir(parents=True)
    (work / "outside" / "canary").write_text(CANARY)
    kind, _, rest = data.partition(b"\n")
    lines = [*rest.decode("utf-8", "surrogateescape").split("\n"), "", "", ""]
    try:
        if kind == b"config":
            from composer.runtime.images import configuration, manifests

            whole = configuration.checked(manifests.parsed(rest, "the configuration"))
            translate(configuration.tolerant(whole.get("config")))
        elif kind == b"layer":
            unpack(layers_of(lines), work)
        else:
            made = (
                docker_archive(lines) if kind == b"docker" else layout(lines) if kind == b"layout" else rest
            )
            (work / "archive.tar").write_bytes(made)
            load(work)
    except _composer_error():
        pass
    assert sorted(os.listdir(work / "outside")) == ["canary"], "something was made outside"
    assert (work / "outside" / "canary").read_text() == CANARY, "something outside was written"
    assert os.stat(work / "outside" / "canary").st_nlink == 1, "something outside got another name"


def _composer_error() -> type[Exception]:
    from composer.errors import ComposerError

    return ComposerError


def unpack(layers: list[bytes], work: Path) -> None:
    from composer.runtime.images.archive import Bounds
    from composer.runtime.images.archive import unpack as unpack_layer
    from composer.runtime.images.tar import Reader, Source

    below: list[str] = []
    for index, data in enumerate(layers):
        target = work / f"layer{index}"
        target.mkdir()
        bounds = Bounds(size_bytes=8 << 20, entries=1000, free_bytes=0, free_inodes=0)
        unpack_layer(Reader(Source([data])), str(target), below=below, bounds=bounds)
        below.insert(0, str(target))


def load(work: Path) -> None:
    from composer.backends.namespace.observing import observed_image
    from composer.runtime.images import Store

    store = Store(str(work / "lib" / "images"))
    found = store.load(str(work / "archive.tar"))
    for image in [*store.images(), *found]:
        observed_image(image)
        translate(dict(image.config))
        assert store.find(image.id) is not None
        for name in image.references:
            assert store.find(name) is not None
    store.save([image.id for image in found], str(work / "saved.tar"))
    store.prune(unused=True)
    assert not store.images()


def translate(config: dict[str, Any]) -> None:
    """Make a container's configuration of an image's, as `create` does."""
    from composer.backends.namespace import translate
    from composer.engine.wanted import ContainerSpec
    from composer.runtime.images import configuration

    spec = ContainerSpec("project-service-1", "project", "service", 1, "image:1", {}, {"command": ["true"]})
    made = translate.oci_config(spec, config)
    json.dumps([made, configuration.exposed(config)]).encode()


# ------------------------------------------------------------------ seeds and words

CONFIG = (
    '{"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "config": {"Env": ["A=b"], '
    '"Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "Labels": {"a": "b"}, "User": "1:1", '
    '"WorkingDir": "/w", "StopSignal": "SIGTERM", "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": 2}}, '
    '"rootfs": {"type": "layers", "diff_ids": ["DIFF0", "DIFF1"]}, "history": [{"created_by": "RUN"}]}'
)
LAYER = """\
5|d||0755|1|2|||
0|d/f||0644|0|0|||text
2|l|../../outside|0777|0|0|||
1|d/h|d/f|0|0|0|||
3|n||0600|0|0|1|5|
6|p||0600|0|0|||
0|l/canary||0644|0|0|||out
0|.wh.gone||0|0|0|||
0|d/.wh..wh..opq||0|0|0|||"""
SECOND = """\
0|d/g||0644|0|0|||more
1|again|n|0|0|0|||
1|d/i|d/f|0|0|0|||
x||||||||SCHILY.xattr.user.a=b,mtime=1.5
0|../outside/x||0644|0|0|||x"""
GOOD = ("0|d/f||0644|0|0|||text", "0|d/g||0644|0|0|||more")
LINKED = ("0|d/f||0644|0|0|||text", "1|x|d/f|0|0|0|||\n0|.wh.d||0|0|0|||")
MANIFEST = '[{"Config": "config.json", "RepoTags": ["a/b:1"], "Layers": ["0.tar", "1.tar"]}]'
INDEX = '{"manifests": [{"annotations": {"io.containerd.image.name": "a/b:2"}}]}'


def seeds() -> Iterator[bytes]:
    yield f"config\n{CONFIG}".encode()
    for pair in ((LAYER, SECOND), GOOD, LINKED):
        layers = "\n---\n".join(pair)
        yield f"layer\n{layers}".encode()
        yield f"docker\n{MANIFEST}\n{CONFIG}\n{layers}".encode()
        yield f'layout\n{INDEX}\n{{"mediaType": "m"}}\n{CONFIG}\n{layers}'.encode()
    yield b"raw\n" + layer_of(GOOD[0].split("\n"))


def words() -> set[str]:
    from composer.runtime.images import configuration

    keys = {
        *configuration.CONFIG,
        *configuration.HEALTHCHECK,
        "config",
        "rootfs",
        "history",
        "diff_ids",
        "platform",
    }
    texts = (
        "null [] {} DIFF0 DIFF1 .wh. .wh..wh..opq ../ / | --- SCHILY.xattr. CMD-SHELL NONE SIGRTMIN+3 1e999 "
        "\\u0000 \\ud800 trusted.overlay.opaque"
    )
    return {f'"{key}": ' for key in keys} | set(texts.split())


def _load() -> None:
    from composer.backends.namespace import observing, translate  # noqa: F401


if __name__ == "__main__":
    harness.main(
        harness.Fuzzer("images", run_one, seeds, words, _load, max_input=MAX_INPUT, input_seconds=20)
    )
