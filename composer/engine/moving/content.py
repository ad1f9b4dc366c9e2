"""What a volume holds, as a digest: equal for equal files, whatever wrote the archive they came in.

Paths, types, modes, owners, link targets, hard links, contents and capabilities count, and the times of files to the
second. The order of an archive does not.
"""

from __future__ import annotations

import hashlib
import queue
import tarfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from composer.archives import Pieces, StrictInfo
from composer.errors import CopyFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_PIECE_BYTES = 1 << 20
_AHEAD = 8
_CAPABILITIES = "SCHILY.xattr.security.capability"


def digest(archive: Iterable[bytes]) -> str:
    """Return the digest of a tar archive's files. Raises CopyFailed."""
    lines: dict[str, str] = {}
    links: dict[str, str] = {}
    with _opened(archive) as reader:
        for info in reader:
            name = info.name.strip("/")
            if info.islnk():
                links[name] = info.linkname.strip("/")
            else:
                lines[name] = _line(reader, info)
            # kept for random access, which a stream does not have; a volume may have millions
            reader.members = []  # type: ignore[attr-defined]
    whole = hashlib.sha256()
    for text in sorted([f"{name}\0{line}" for name, line in lines.items()] + _groups(links)):
        whole.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return f"sha256:{whole.hexdigest()}"


def is_empty(archive: Iterable[bytes]) -> bool:
    """Tell whether an archive has nothing but the entry of its top directory. Raises CopyFailed."""
    with _opened(archive) as reader:
        return all("/" not in info.name.strip("/") for info in reader)


@contextmanager
def _opened(archive: Iterable[bytes]) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=cast("BinaryIO", Pieces(archive)), mode="r:", tarinfo=StrictInfo) as reader:
            yield reader
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise CopyFailed(f"cannot read the archive of a volume: {error}") from error


def _line(reader: tarfile.TarFile, info: tarfile.TarInfo) -> str:
    contents = ""
    if info.isreg():
        found = hashlib.sha256()
        file = reader.extractfile(info)
        while file is not None and (piece := file.read(_PIECE_BYTES)):
            found.update(piece)
        contents = found.hexdigest()
    device = f"{info.devmajor}:{info.devminor}" if info.isdev() else ""
    # a directory's time is that of its last entry, and so of the copy
    # before 1970 there is no time for Docker Engine
    mtime = max(0, int(info.mtime)) if info.isreg() else ""
    kind = info.type.decode() if not info.isreg() else "0"
    parts = (kind, f"{info.mode & 0o7777:o}", info.uid, info.gid, info.linkname, device, mtime, contents)
    return "\0".join((*map(str, parts), info.pax_headers.get(_CAPABILITIES, "")))


def _groups(links: dict[str, str]) -> list[str]:
    """Return a line for each file with several names; under which of them its contents came does not count."""
    groups: dict[str, set[str]] = {}
    for name, first in links.items():
        groups.setdefault(first, {first}).add(name)
    return [f"links\0{'|'.join(sorted(names))}" for names in groups.values()]


class Summed:
    """An archive on its way, whose digest is known at its end. Iterate over it once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._ahead: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._result: str | Exception = ""
        self._thread = threading.Thread(target=self._sum, daemon=True)

    def __iter__(self) -> Iterator[bytes]:
        self._thread.start()
        try:
            for piece in self._pieces:
                self._put(piece)
                yield piece
        finally:
            self._put(None)
            self._thread.join()

    def _put(self, piece: bytes | None) -> None:
        while self._thread.is_alive():
            try:
                self._ahead.put(piece, timeout=1)
            except queue.Full:
                continue  # unless the thread has failed meanwhile, it reads on
            return

    def _sum(self) -> None:
        try:
            self._result = digest(iter(self._ahead.get, None))
        except Exception as error:
            self._result = error

    @property
    def digest(self) -> str:
        """The digest, when all has been read. Raises CopyFailed."""
        if isinstance(self._result, Exception):
            raise self._result
        return self._result
