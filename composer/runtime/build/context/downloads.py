"""What was fetched from URLs, kept for the next build: a server is asked whether it has changed (ETag), and no more.

A file is kept as another name of the one that was fetched, and handed out as another name of that: nothing is copied,
and nobody writes to either. Losing it costs another download. https://www.rfc-editor.org/rfc/rfc9110#name-etag
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from composer.patterns import pattern
from composer.runtime.base import files

_DIGEST = pattern("sha256:[0-9a-f]{64}")


class Known(NamedTuple):
    """A file that is kept: what its server calls this state of it, its SHA-256, its length, and its own name."""

    etag: str
    digest: str
    size_bytes: int
    name: str


class Downloads:
    """A directory of fetched files, one for each URL, which is made when it is missing."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def known(self, url: str) -> Known | None:
        """Return what is kept of a URL; None when it is nothing, or not whole."""
        found = files.read_json(self._record(url))
        if found is None:
            return None
        values = [found.get(field) for field in Known._fields]
        if [type(value) for value in values] != [str, str, int, str]:
            return None
        known = Known(*values)  # type: ignore[arg-type]
        if not _DIGEST.fullmatch(known.digest):
            return None
        try:
            state = os.lstat(self._data(url, known))
        except OSError:
            return None
        return known if state.st_size == known.size_bytes else None

    def hand_out(self, url: str, known: Known, directory: int, name: str) -> bool:
        """Give a kept file a name in an open directory; tell whether it is still there to be given one."""
        try:
            os.link(self._data(url, known), name, dst_dir_fd=directory, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            return False  # it was removed, or is on another file system
        return True

    def keep(self, url: str, known: Known, directory: int, name: str) -> None:
        """Keep a file of an open directory that was fetched from a URL, in the place of the one before."""
        before = self.known(url)
        data = self._data(url, known)
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            if before is None or self._data(url, before) != data:
                files.remove_file(data)
                os.link(name, data, src_dir_fd=directory, follow_symlinks=False)
            fd = os.open(data, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            files.write_json(self._record(url), known._asdict(), durable=True)
            if before is not None and self._data(url, before) != data:
                files.remove_file(self._data(url, before))
        except OSError:
            files.remove_file(self._record(url))  # what cannot be kept is fetched again

    def _record(self, url: str) -> str:
        return f"{self._directory}/{hashlib.sha256(os.fsencode(url)).hexdigest()}.json"

    def _data(self, url: str, known: Known) -> str:
        return f"{self._record(url)[:-5]}-{known.digest[7:]}"
