"""Images for tests of the REST API: tarballs of root filesystems and archives, made in memory."""

from __future__ import annotations

import io
import os
import pathlib
import shutil
import tarfile
from collections.abc import Mapping
from typing import Any

from tests.api_client import Client


def tar(files: Mapping[str, bytes | None]) -> bytes:
    """Return an archive of files; a directory is None."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data or b""))
    return made.getvalue()


def busybox() -> bytes:
    found = shutil.which("busybox")
    assert found, "the tests need busybox-static"
    return pathlib.Path(found).read_bytes()


def rootfs() -> bytes:
    """Return a root filesystem with a shell."""
    program = busybox()
    return tar({"bin": None, "tmp": None, "bin/busybox": program, "bin/sh": program})


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


def member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = opened.extractfile(name)
        assert found is not None
        return found.read()


def imported(client: Client, name: str, tag: str = "latest", **query: Any) -> str:
    """Import a root filesystem under a name; return its id."""
    answer = client.post(
        "/images/create",
        {"fromSrc": "-", "repo": name, "tag": tag, "changes": ['CMD ["/bin/sh"]'], **query},
        rootfs(),
    )
    return str(answer.lines[-1]["status"])


def layer(size_bytes: int, name: str = "data") -> bytes:
    """Return a layer that does not compress."""
    return tar({name: os.urandom(size_bytes)})
