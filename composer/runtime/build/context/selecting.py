"""Which files a COPY or an ADD takes from a tree: sources with wildcards and links become places in the tree.

BuildKit's rules: a source is looked up with the tree as its root, links followed; of a directory the contents are
taken; a wildcard that matches nothing selects nothing, and a name that is not there is an error.
"""

from __future__ import annotations

import errno
import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.build.context.patterns import BadPattern, Patterns, glob, has_wildcards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.build.context.trees import Tree, Way

_PIVOT = "/./"


class Source(NamedTuple):
    """One file or directory to copy. ``path`` is its place in the tree, where no part is a link; ``""`` is the top.

    ``name`` is how it was called: what a file is called in a directory. ``includes``: of a directory only what matches
    (``--parents``).
    """

    path: str
    name: str
    is_directory: bool
    includes: Patterns | None = None


class Selection(NamedTuple):
    """What to copy and where to. ``target`` is absolute, and ends with ``/`` where it has to be a directory.

    ``step`` is the instruction, for messages. ``unmatched`` are the wildcards that matched nothing.
    """

    sources: tuple[Source, ...]
    target: str
    excludes: Patterns | None
    step: str
    unmatched: tuple[str, ...] = ()


def select(
    tree: Tree,
    sources: Sequence[str],
    target: str,
    *,
    workdir: str = "/",
    parents: bool = False,
    excludes: Sequence[str] = (),
    step: str = "COPY",
) -> Selection:
    """Find the sources in the tree. Raises BuildFailed, which names ``step`` (``Dockerfile:3: COPY a /b``)."""
    finding = _Finding(tree, step)
    left_out = finding.patterns(excludes) if excludes else None
    found: list[Source] = []
    unmatched: list[str] = []
    for source in sources:
        matches = list(finding.below(source) if parents else finding.matches(source))
        if not matches:
            unmatched.append(source)
        found += matches
    return Selection(tuple(found), target_path(target, workdir), left_out, step, tuple(unmatched))


def target_path(target: str, workdir: str = "/") -> str:
    """Return a target as an absolute path without dots; a slash at its end stays, and ``.`` stands for one."""
    is_directory = not target or target.endswith("/") or target == "."
    path = posixpath.normpath(posixpath.join("/", workdir, target)).lstrip("/")
    return f"/{path}/" if is_directory and path else f"/{path}"


class _Finding:
    """The sources of one instruction, looked for in one tree."""

    def __init__(self, tree: Tree, step: str) -> None:
        self._tree = tree
        self._step = step

    def patterns(self, texts: Sequence[str]) -> Patterns:
        try:
            return Patterns(texts)
        except BadPattern as error:
            raise self._failed(f"invalid pattern among {', '.join(texts)}: {error}") from None

    def matches(self, source: str) -> Iterator[Source]:
        """Yield what a source stands for, in the order of names."""
        path = _inside(source)
        fixed, wild = _split(path)
        if not wild:
            yield self._source(path, path)
            return
        try:
            globs = [glob(part) for part in wild]
        except BadPattern as error:
            raise self._failed(
                f"invalid pattern '{source}': {error}", "write a bracket that is part of a name as [[]"
            ) from None
        top = self._way(fixed, fixed)
        names = fixed.split("/") if fixed else []
        if top.is_directory:
            for found, written in self._descend(top.path, names, globs):
                yield self._source(found, written)

    def _descend(
        self, directory: str, names: list[str], globs: Sequence[object]
    ) -> Iterator[tuple[str, str]]:
        """Yield path in the tree and path as written, of what matches one pattern for each level."""
        matches, *rest = globs
        assert callable(matches)
        try:
            fd = self._tree.open_directory(directory)
        except OSError as error:
            raise self._unreadable(directory, error) from error
        try:
            state = self._tree.ignore.descend(directory)
            entries = list(self._tree.entries(directory, fd, state))
        except OSError as error:
            raise self._unreadable(directory, error) from error
        finally:
            os.close(fd)
        for name, is_directory, _ in entries:
            if not matches(name):
                continue
            found = f"{directory}/{name}" if directory else name
            written = [*names, name]
            if not rest:
                yield found, "/".join(written)
            elif is_directory:
                yield from self._descend(found, written, rest)

    def below(self, source: str) -> Iterator[Source]:
        """Yield the directories that a source of ``--parents`` begins at, each with what it takes of them."""
        start, pivot, pattern = source.partition(_PIVOT)
        if not pivot:
            start, pattern = "", source
        pattern = _inside(pattern)
        includes = self.patterns([pattern]) if pattern else None
        is_fixed = not has_wildcards(start) and not has_wildcards(pattern)
        for top in self.matches(start):
            if is_fixed and pattern:
                self._source(f"{top.path}/{pattern}", _inside(f"{start}/{pattern}"), follow=False)
            if top.is_directory:
                yield top._replace(includes=includes)

    def _source(self, path: str, written: str, *, follow: bool = True) -> Source:
        way = self._way(path, written, follow=follow)
        return Source(way.path, posixpath.basename(written), way.is_directory)

    def _way(self, path: str, written: str, *, follow: bool = True) -> Way:
        way: Way | None = None
        try:
            way = self._tree.look_up(path, follow=follow)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ENOENT):
                raise self._unreadable(path, error) from error
        if way is None or way.state is None:
            is_ignored = bool(self._tree.ignore) and self._tree.ignore.excludes(path)
            raise self._failed(
                f'"/{written}": not found',
                "it is excluded by .dockerignore"
                if is_ignored
                else "sources are relative to the build context",
            )
        return way

    def _failed(self, message: str, hint: str | None = None) -> BuildFailed:
        return BuildFailed(f"{self._step}: {message}", hint=hint)

    def _unreadable(self, path: str, error: OSError) -> BuildFailed:
        return self._failed(
            f"cannot read '/{path}': {(error.strerror or str(error)).removeprefix('open: ').lower()}"
        )


def _inside(path: str) -> str:
    """Return a path relative to the tree, without dots: ``..`` ends at its top."""
    return posixpath.normpath(f"/{path}").lstrip("/")


def _split(path: str) -> tuple[str, list[str]]:
    """Split a path before the first component with a wildcard."""
    parts = path.split("/")
    first = next((number for number, part in enumerate(parts) if has_wildcards(part)), len(parts))
    return "/".join(parts[:first]), parts[first:]
