"""An image of busybox alone, as an archive that every engine loads."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import shutil
import tarfile
from typing import Any

_PROGRAMS = (
    "sh sleep echo cat ls true false ping wc head tail "
    "ps env id hostname stty seq kill touch rm mkdir nc wget nslookup grep httpd"
).split()


def archive(name: str, **config: Any) -> bytes:
    """Return an archive of ``docker save``'s form. ``config`` is Docker's: Cmd, Env, …"""
    layer = _layer()
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {"Env": ["PATH=/bin"], **config},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "busybox"}],
    }
    text = json.dumps(document).encode()
    id = hashlib.sha256(text).hexdigest()
    tag = name if ":" in name else f"{name}:latest"
    manifest = [{"Config": f"{id}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    return _tar({"manifest.json": json.dumps(manifest).encode(), f"{id}.json": text, "layer.tar": layer})


def _layer() -> bytes:
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox-static is required: apt-get install busybox-static"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("bin", "etc", "tmp", "data"):
            info = tarfile.TarInfo(directory)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        _add(tar, "bin/busybox", pathlib.Path(busybox).read_bytes(), 0o755)
        for program in _PROGRAMS:
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\nuser:x:1000:\n", 0o644)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            _add(tar, name, data, 0o644)
    return buffer.getvalue()
