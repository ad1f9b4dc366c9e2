"""Where caches of builds are kept: a directory in OCI's layout, or a registry."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.patterns import pattern
from composer.runtime.base import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.runtime.build.cache.exchange import Place

_PIECE_BYTES = 1 << 20
_MODES = ("min", "max")
_DIGEST = pattern("sha256:[0-9a-f]{64}")
MOST_MANIFESTS = 100
"""Of a cache: what more there are is not looked at."""
_MOST_BYTES = 4 << 20
"""The largest manifest."""


class Target(NamedTuple):
    """Where a cache is to be written, and how much of it."""

    place: Place
    is_whole: bool


_INLINE = "inline"
_HINT = "use type=local,dest=DIRECTORY, type=registry,ref=NAME, or type=inline"


class Directory:
    """A cache in a directory."""

    def __init__(self, path: str) -> None:
        self.name = self._path = path

    def _blob(self, digest: str) -> str:
        """Return where a blob is. Raises ValueError for what is no digest: it would lead somewhere else."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"invalid digest '{digest[:80]}'")
        return f"{self._path}/blobs/sha256/{digest.removeprefix('sha256:')}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self._blob(digest))

    def put(self, digest: str, path: str) -> None:
        os.makedirs(f"{self._path}/blobs/sha256", exist_ok=True)
        temporary = f"{self._blob(digest)}.{os.getpid()}.tmp"
        import shutil

        shutil.copyfile(path, temporary)
        os.rename(temporary, self._blob(digest))

    def put_manifest(self, data: bytes) -> None:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        os.makedirs(f"{self._path}/blobs/sha256", exist_ok=True)
        files.write_bytes(self._blob(digest), data, mode=0o644)
        media_type = json.loads(data)["mediaType"]
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{"mediaType": media_type, "digest": digest, "size": len(data)}],
        }
        files.write_bytes(f"{self._path}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}', mode=0o644)
        files.write_bytes(f"{self._path}/index.json", json.dumps(index).encode(), mode=0o644)

    def manifests(self) -> list[bytes]:
        try:
            index = json.loads(files.whole(_regular(f"{self._path}/index.json"), _MOST_BYTES))
        except FileNotFoundError:
            return []
        listed = index.get("manifests") if isinstance(index, dict) else ()
        found = [one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict)]
        return [
            files.whole(self.chunks(str(one.get("digest"))), _MOST_BYTES) for one in found[:MOST_MANIFESTS]
        ]

    def chunks(self, digest: str) -> Iterator[bytes]:
        yield from _regular(self._blob(digest))


def _regular(path: str) -> Iterator[bytes]:
    """Yield what a file holds. Raises ValueError for another kind: no FIFO is waited for, and no device is read."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"'{os.path.basename(path)}' is no regular file")
        while piece := file.read(_PIECE_BYTES):
            yield piece


def source(text: str, registry: Callable[[str], Place]) -> Place | None:
    """Return the place of a ``cache_from``; None for a kind that is another builder's. Raises BuildFailed.

    ``registry`` returns a place in a registry by an image's name.
    """
    fields = _fields(text)
    if fields["type"] == "local":
        return Directory(_path(text, fields, "src"))
    return registry(_reference(text, fields)) if fields["type"] == "registry" else None


def target(text: str, registry: Callable[[str], Place]) -> Target | None:
    """Return where a ``cache_to`` is written; None for the image itself.

    Raises BuildFailed, also for a kind that is another builder's.
    """
    fields = _fields(text)
    mode = fields.get("mode", "min")
    if mode not in _MODES:
        raise BuildFailed(
            f"invalid cache_to '{text}': mode '{mode}' is unknown", hint="use mode=min or mode=max"
        )
    if fields["type"] == "local":
        return Target(Directory(_path(text, fields, "dest")), mode == "max")
    if fields["type"] == "registry":
        return Target(registry(_reference(text, fields)), mode == "max")
    if fields["type"] == _INLINE:
        return None
    raise BuildFailed(
        f"cache_to '{text}': type '{fields['type']}' is not supported by the built-in runtime", hint=_HINT
    )


def is_inline(texts: Sequence[str], build_args: Mapping[str, str]) -> bool:
    """Tell whether an image is to have its cache in itself: by a ``cache_to``, or by the argument of older builders."""
    wanted = build_args.get("BUILDKIT_INLINE_CACHE", "").lower() in ("1", "t", "true")
    return wanted or any(_fields(text)["type"] == _INLINE for text in texts)


def _fields(text: str) -> dict[str, str]:
    """Read ``type=local,src=DIR``; a name alone is one in a registry."""
    if "=" not in text:
        return {"type": "registry", "ref": text}
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    return {"type": "registry", **fields}


def _path(text: str, fields: dict[str, str], name: str) -> str:
    path = fields.get(name)
    if not path:
        raise BuildFailed(f"invalid cache '{text}': {name} is missing", hint=f"add {name}=DIRECTORY")
    return os.path.abspath(path)


def _reference(text: str, fields: dict[str, str]) -> str:
    if not fields.get("ref"):
        raise BuildFailed(f"invalid cache '{text}': ref is missing", hint="add ref=NAME")
    return fields["ref"]
