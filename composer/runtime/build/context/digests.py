"""The checksum of what a selection would put into a layer: the part of a step's cache key that files make.

Names, types, modes, owners, link targets, device numbers, extended attributes and contents count; times do not, and
neither does where in the tree a source was. Files that are one file under several names count as such.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from composer.errors import BuildFailed
from composer.runtime.build.context.reading import Unstable, hash_contents, read_stable, xattrs_of
from composer.runtime.build.context.trees import place_of
from composer.runtime.build.context.walking import ENTER, FILE, Walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.runtime.build.context.reading import Entry
    from composer.runtime.build.context.selecting import Selection, Source
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.context.trees import Tree


class Digest:
    """A checksum that is fed in the order of a walk, by who computes it and by who copies."""

    def __init__(self, tree: Tree) -> None:
        self._owner = tree.owner
        self._hash = hashlib.sha256(b"files 1\n")
        self._links: dict[tuple[int, int], str] = {}

    def source(self, source: Source) -> None:
        """Begin a source: hard links are within one. Of a directory the contents are copied, and the name is not."""
        self._links.clear()
        self._hash.update(b"directory\0" if source.is_directory else b"file\0%s\0" % os.fsencode(source.name))

    def directory(self, path: str, state: os.stat_result, xattrs: Mapping[str, bytes]) -> None:
        if path:
            self._add("d", path, state, "", xattrs)

    def other(self, path: str, entry: Entry) -> None:
        """Add a link, a device, a FIFO or a socket."""
        state = entry.state
        number = state.st_rdev if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode) else 0
        self._add("l", path, state, f"{number}\0{entry.link}", entry.xattrs)

    def hard_link(self, path: str, state: os.stat_result) -> bool:
        """Add a file that was met before under another name; tell whether it was."""
        identity = (state.st_dev, state.st_ino)
        first = self._links.setdefault(identity, path)
        if first == path:
            return False
        self._hash.update(os.fsencode(f"h\0{path}\0{first}\0"))
        return True

    def file(self, path: str, entry: Entry, contents: bytes) -> None:
        self._add("f", path, entry.state, contents.hex(), entry.xattrs)

    def _add(
        self, kind: str, path: str, state: os.stat_result, what: str, xattrs: Mapping[str, bytes]
    ) -> None:
        uid, gid = self._owner or (state.st_uid, state.st_gid)
        size = state.st_size if kind == "f" else 0
        text = f"{kind}\0{path}\0{state.st_mode:o} {uid} {gid} {size} {len(xattrs)}\0{what}\0"
        self._hash.update(os.fsencode(text))
        for name, value in xattrs.items():
            self._hash.update(os.fsencode(f"{name}\0{len(value)}\0") + value)

    def result(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def digest(tree: Tree, selection: Selection, cache: StatCache | None = None) -> str:
    """Return the checksum (``sha256:…``) of what `copying.copy` would write. Raises BuildFailed."""
    result = Digest(tree)
    for source in selection.sources:
        result.source(source)
        walk = Walk(tree, source, selection.excludes)
        try:
            if not source.is_directory:
                _add_source(result, tree, source, cache)
                continue
            with walk:
                for step in walk.steps():
                    if step.kind == FILE:
                        _add(result, step.fd, step.name, step.path, cache)
                    elif step.kind == ENTER:
                        result.directory(step.path, os.fstat(step.fd), xattrs_of(step.fd))
        except OSError as error:
            raise unreadable(selection.step, walk.at, error) from error
    return result.result()


def unreadable(step: str, path: str, error: OSError) -> BuildFailed:
    """Return the error for a file that cannot be read, or that does not stand still."""
    reason = (error.strerror or str(error)).removeprefix("open: ").lower()
    hint = None
    if isinstance(error, Unstable):
        hint = "do not change the files while they are copied, or exclude them by .dockerignore"
    elif isinstance(error, PermissionError):
        hint = "exclude it (.dockerignore, --exclude), or change its permissions"
    return BuildFailed(f"{step}: cannot read '/{path}': {reason}", hint=hint)


def _add_source(result: Digest, tree: Tree, source: Source, cache: StatCache | None) -> None:
    parent = place_of(tree.fd, os.path.dirname(source.path))
    try:
        _add(result, parent, os.path.basename(source.path), "", cache)
    finally:
        os.close(parent)


def _add(result: Digest, directory: int, name: str, path: str, cache: StatCache | None) -> None:
    read_stable(directory, name, lambda entry: _add_entry(result, entry, path, cache), is_listed=bool(path))


def _add_entry(result: Digest, entry: Entry, path: str, cache: StatCache | None) -> None:
    state = entry.state
    if entry.fd < 0:
        result.other(path, entry)
        return
    if state.st_nlink > 1 and result.hard_link(path, state):
        return
    contents = cache.get(state) if cache is not None else None
    if contents is None:
        contents = hash_contents(entry.fd, state)
        if cache is not None:
            cache.put(state, contents)
    result.file(path, entry, contents)
