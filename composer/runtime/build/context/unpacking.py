"""Archives that ADD unpacks: recognised by their contents, plain or compressed, and unpacked into a directory.

The names and links of an archive are resolved with that directory as their root (`composer.runtime.images.archive`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer.errors import ImageError
from composer.runtime.build.context.reading import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.images.tar import Reader


def is_archive(fd: int) -> bool:
    """Tell whether a regular file is a tar with an entry, compressed or not; one that begins damaged is none."""
    head = os.pread(fd, 512, 0)
    if not head:
        return False
    try:
        return next(iter(_reader(fd)), None) is not None
    except ImageError as error:
        if error.hint is not None:
            raise  # an archive that cannot be read here: no decoder, sparse files
        return False


def unpack(
    fd: int, directory: int, *, owner: tuple[int, int] | None = None, epoch_ns: int | None = None
) -> int:
    """Unpack a regular file into an open directory; return the bytes of contents. Raises ImageError."""
    from composer.runtime.images.archive import unpack_over

    reader = _reader(fd)
    size_bytes = unpack_over(reader, directory, owner=owner, epoch_ns=epoch_ns)
    reader.drain()  # damage behind the end of the archive is found too
    return size_bytes


def _reader(fd: int) -> Reader:
    from composer.runtime.images.compression import decompress
    from composer.runtime.images.tar import Reader, Source

    return Reader(Source(decompress(_chunks(fd))))


def _chunks(fd: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(fd, PIECE_BYTES, offset):
        offset += len(chunk)
        yield chunk
