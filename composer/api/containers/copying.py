"""Files of containers, as archives."""

from __future__ import annotations

import base64
import json
import posixpath
import stat as modes
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api import times
from composer.api.http.call import TAR
from composer.api.http.problems import Problem
from composer.runtime.base import records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta
    from composer.runtime.objects.inside import PathStat

_GO_KINDS = (
    (modes.S_ISDIR, 1 << 31),
    (modes.S_ISLNK, 1 << 27),
    (modes.S_ISBLK, 1 << 26),
    (modes.S_ISCHR, 1 << 26 | 1 << 21),
    (modes.S_ISFIFO, 1 << 25),
    (modes.S_ISSOCK, 1 << 24),
)
_GO_BITS = ((modes.S_ISUID, 1 << 23), (modes.S_ISGID, 1 << 22), (modes.S_ISVTX, 1 << 20))


def _asked(call: Call) -> tuple[World, Meta, str]:
    world, meta = call.world, call.world.container(call.parameters["id"])
    path = call.query.text("path")
    if not path:
        raise Problem(400, 'bad parameter: "path" is required')
    return world, meta, path if path.startswith("/") else f"/{path}"


def _missing(call: Call, path: str) -> Problem:
    return Problem(404, f"Could not find the file {path} in container {call.parameters['id']}")


def go_mode(mode: int) -> int:
    """Return a mode as Go's os.FileMode."""
    found = mode & 0o777
    found |= next((bits for is_kind, bits in _GO_KINDS if is_kind(mode)), 0)
    return found | sum(bit for mask, bit in _GO_BITS if mode & mask)


def _header(found: PathStat) -> tuple[str, str]:
    document = {
        "name": found.name,
        "size": found.size_bytes,
        "mode": go_mode(found.mode),
        "mtime": times.written(found.modified_ns),
        "linkTarget": found.link_target,
    }
    text = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    return "X-Docker-Container-Path-Stat", text


def stat(call: Call) -> None:
    world, meta, path = _asked(call)
    try:
        found = world.engine.reading.stat_path(meta["id"], path)
    except errors.NotFound:
        raise _missing(call, path) from None
    call.send_whole(200, b"", "", [_header(found)])


def read(call: Call) -> None:
    world, meta, path = _asked(call)
    try:
        found, pieces = world.engine.reading.read_path(meta["id"], path)
    except errors.NotFound:
        raise _missing(call, path) from None
    world.core.emit(meta, "container", "archive-path", meta["id"])
    _send(call, pieces, [_header(found)])


def _send(call: Call, pieces: Any, headers: list[tuple[str, str]]) -> None:
    try:
        sink = call.begin(200, TAR, headers)
        for piece in pieces:
            sink.write(piece)
        sink.end()
    finally:
        pieces.close()


def export(call: Call) -> None:
    world, meta = call.world, call.world.container(call.parameters["id"])
    pieces = world.engine.reading.export(meta["id"])
    world.core.emit(meta, "container", "export", meta["id"])
    _send(call, pieces, [])


def write(call: Call) -> tuple[int, Any]:
    world, meta, path = _asked(call)
    reading = world.engine.reading
    try:
        found = reading.stat_path(meta["id"], posixpath.join(path, "."))
    except errors.NotFound:
        try:
            reading.stat_path(meta["id"], path)
        except errors.NotFound:
            raise _missing(call, path) from None
        raise Problem(400, "extraction point is not a directory") from None
    if not modes.S_ISDIR(found.mode):
        raise Problem(400, "extraction point is not a directory")
    if _is_read_only(world, meta, path):
        raise Problem(403, "container rootfs is marked read-only")
    # A directory is never replaced by something else, nor the reverse: what ``noOverwriteDirNonDir`` asks for.
    to_user = call.query.flag("copyUIDGID") and _has_user(world, meta)
    world.engine.files.write_path(meta["id"], path, _plain(call), to_user=to_user)
    return 200, None


def _has_user(world: World, meta: Meta) -> bool:
    """Tell whether somebody said which user a container has: else Docker leaves to files the owners that they have."""
    if world.core.config(meta["id"])["process"]["user"].get("name") not in (None, "", "0"):
        return True
    said = records.request(world.paths.container(meta["id"])).get("config") or {}
    image = world.core.store.find(meta["image_id"])
    return bool(said.get("User") or (image is not None and image.config.get("User")))


def _is_read_only(world: World, meta: Meta, path: str) -> bool:
    """Tell whether a path is in a root that nobody may write to: a volume in it may be written."""
    if not world.core.config(meta["id"])["root"].get("readonly"):
        return False
    targets = [mount["target"].rstrip("/") for mount in meta["mounts"] if not mount.get("read_only")]
    clean = posixpath.normpath(path)
    return not any(clean == target or clean.startswith(f"{target}/") for target in targets)


def _plain(call: Call) -> Iterator[bytes]:
    """Yield an archive as it is without compression."""
    from composer.runtime.images import compression

    return compression.decompress(call.upload())
