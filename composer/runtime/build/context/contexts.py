"""Build contexts: where a build's files and its Dockerfile come from.

A context is a directory, a URL (of an archive, or of a Dockerfile alone), a git repository, or standard input. What is
not on this machine is put into a directory of ours for as long as the context is open. `.dockerignore` is for
directories of the user's alone, as in BuildKit.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from composer.errors import BuildFailed, ImageError
from composer.runtime.base import making
from composer.runtime.build.context import ignore
from composer.runtime.build.context.fetching import fetch, is_url
from composer.runtime.build.context.git_references import parse_git_reference
from composer.runtime.build.context.trees import Tree, look_up, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.build.context.adding import Fetching
    from composer.runtime.build.context.git_references import GitReference

_MAX_DOCKERFILE_BYTES = 16 << 20
_USUAL = "Dockerfile"
_DOWNLOADED = "context"
_COMPRESSED = (b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_PIECE_BYTES = 1 << 20


class Kind(enum.Enum):
    """What a context's text refers to. Those of the second block are resolved by whoever runs the build."""

    DIRECTORY = "directory"
    URL = "url"
    GIT = "git"
    INPUT = "standard input"

    IMAGE = "docker-image"
    LAYOUT = "oci-layout"
    TARGET = "target"
    SERVICE = "service"


def classify(text: str) -> tuple[Kind, str]:
    """Return what a context, or an additional one, refers to, and what is behind its prefix. Raises BuildFailed."""
    for kind in (Kind.IMAGE, Kind.LAYOUT):
        if text.startswith(f"{kind.value}://"):
            return kind, text.removeprefix(f"{kind.value}://")
    for kind in (Kind.TARGET, Kind.SERVICE):
        if text.startswith(f"{kind.value}:"):
            return kind, text.removeprefix(f"{kind.value}:")
    if text == "-":
        return Kind.INPUT, text
    if parse_git_reference(text, is_context=True) is not None:
        return Kind.GIT, text
    if is_url(text):
        return Kind.URL, text
    return Kind.DIRECTORY, text


class Context(NamedTuple):
    """An open context. ``name`` is what messages call the Dockerfile; ``commit`` is that of a git repository."""

    tree: Tree
    dockerfile: bytes
    name: str
    commit: str = ""


@contextlib.contextmanager
def open_context(
    text: str,
    fetching: Fetching,
    *,
    dockerfile: str = "",
    inline: str | None = None,
    needs_dockerfile: bool = True,
    standard_input: BinaryIO | None = None,
) -> Iterator[Context]:
    """Open a context with its Dockerfile, until the end of the block.

    A directory is an absolute path. ``dockerfile`` is relative to the context, or an absolute path on this machine;
    ``inline`` is its text instead. Without ``needs_dockerfile`` it is left empty: an additional context. Raises
    BuildFailed.
    """
    kind, rest = classify(text)
    with contextlib.ExitStack() as stack:
        opening = _Opening(fetching, stack, dockerfile, inline, needs_dockerfile)
        if kind is Kind.DIRECTORY:
            yield opening.directory(rest)
        elif kind is Kind.GIT:
            reference = parse_git_reference(text, is_context=True)
            assert reference is not None
            yield opening.repository(reference)
        elif kind is Kind.URL:
            yield opening.url(rest)
        elif kind is Kind.INPUT and standard_input is not None:
            yield opening.stream(standard_input)
        else:
            raise BuildFailed(
                f"cannot use '{text}' as a build context", hint="give a directory, a URL or a git repository"
            )


class _Opening:
    """A context that is being opened; what it needs until its end goes onto the stack."""

    def __init__(
        self,
        fetching: Fetching,
        stack: contextlib.ExitStack,
        dockerfile: str,
        inline: str | None,
        needs_dockerfile: bool,
    ) -> None:
        self._fetching, self._stack = fetching, stack
        self._dockerfile, self._inline, self._needs = dockerfile, inline, needs_dockerfile

    # -------------------------------------------------------------- kinds

    def directory(self, path: str) -> Context:
        fd = self._opened(path)
        name = self._dockerfile or _USUAL
        beside, base = fd, name
        if posixpath.isabs(name) or posixpath.normpath(name).startswith("../"):
            # of the user's own choice, outside of the context: its directory is where it is looked for
            above, base = posixpath.split(posixpath.join(path, name))
            beside = self._opened(above)
        if not self._needs or self._inline is not None:
            return self._context(fd, b"", name, ignored=ignore.read(fd))
        data, found = self._read(beside, base)
        shown = posixpath.join(posixpath.dirname(name), posixpath.basename(found))
        return self._context(fd, data, shown, ignored=ignore.read(fd, found, beside=beside))

    def repository(self, reference: GitReference) -> Context:
        directory = self._stack.enter_context(making.temporary_directory(self._fetching.scratch, mode=0o755))
        commit = self._fetching.open_git().check_out(
            reference, directory, keeps_git_dir=bool(reference.keeps_git_dir)
        )
        fd = self._below(self._opened(directory), reference.subdir, reference.shown)
        return self._remote(fd, owner=(0, 0))._replace(commit=commit)

    def url(self, url: str) -> Context:
        directory = self._opened(
            self._stack.enter_context(making.temporary_directory(self._fetching.scratch))
        )
        transport = self._fetching.open_transport()
        kept = self._fetching.downloads
        fetch(url, directory, transport, wait=self._fetching.wait, name=_DOWNLOADED, downloads=kept)
        if not self._needs:
            return self._context(directory, b"", _DOWNLOADED)  # BuildKit unpacks no additional context
        return self._downloaded(directory, url)

    def stream(self, stream: BinaryIO) -> Context:
        directory = self._opened(
            self._stack.enter_context(making.temporary_directory(self._fetching.scratch))
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with open(os.open(_DOWNLOADED, flags, 0o600, dir_fd=directory), "wb") as file:
                while piece := stream.read(_PIECE_BYTES):
                    file.write(piece)
        except OSError as error:
            raise BuildFailed(
                f"cannot read the build context from standard input: {error.strerror}"
            ) from error
        return self._downloaded(directory, "standard input")

    def _downloaded(self, directory: int, what: str) -> Context:
        """Open what is one file: an archive is unpacked, anything else is a Dockerfile without a context."""
        from composer.runtime.build.context.unpacking import is_archive, unpack

        fd = os.open(_DOWNLOADED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            if not os.pread(fd, 8, 0).startswith(_COMPRESSED) and not is_archive(fd):
                if self._inline is not None or not self._needs:
                    return self._context(directory, b"", _DOWNLOADED)
                return self._context(directory, _all_of(fd, what), _DOWNLOADED)
            place = self._stack.enter_context(making.temporary_directory(self._fetching.scratch, mode=0o755))
            unpacked = self._opened(place)
            unpack(fd, unpacked)
        except ImageError as error:
            raise BuildFailed(f"cannot use {what} as a build context: {error}", hint=error.hint) from error
        finally:
            os.close(fd)
        os.unlink(_DOWNLOADED, dir_fd=directory)
        return self._remote(unpacked, owner=None)

    def _remote(self, fd: int, *, owner: tuple[int, int] | None) -> Context:
        """Open a context whose files, the Dockerfile among them, are in a directory of ours."""
        name = self._dockerfile or _USUAL
        if not self._needs or self._inline is not None:
            return self._context(fd, b"", name, owner=owner)
        if posixpath.isabs(name) and os.path.lexists(name):
            beside = self._opened(posixpath.dirname(name))
            return self._context(fd, self._read(beside, posixpath.basename(name))[0], name, owner=owner)
        data, found = self._read(fd, name)
        return self._context(fd, data, found, owner=owner)

    def _context(
        self,
        fd: int,
        dockerfile: bytes,
        name: str,
        *,
        ignored: ignore.Ignore | None = None,
        owner: tuple[int, int] | None = (0, 0),
    ) -> Context:
        if self._inline is not None:
            dockerfile, name = self._inline.encode("utf-8", "surrogateescape"), "dockerfile_inline"
        return Context(Tree(fd, ignored, owner=owner), dockerfile, name)

    # -------------------------------------------------------------- places

    def _opened(self, path: str) -> int:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BuildFailed(
                f"unable to prepare context: path '{path}' cannot be opened: {(error.strerror or str(error)).lower()}",
                hint="correct the path of the build context",
            ) from error
        self._stack.callback(os.close, fd)
        return fd

    def _below(self, fd: int, subdir: str, what: str) -> int:
        if not subdir:
            return fd
        try:
            way = look_up(fd, subdir)
            if way.is_directory:
                below = Tree(fd).open_directory(way.path)
                self._stack.callback(os.close, below)
                return below
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise BuildFailed(f"cannot open '{subdir}' of '{what}': {error.strerror}") from error
        raise BuildFailed(
            f"'{what}' has no directory '{subdir}'", hint="correct what is behind the colon of the URL"
        )

    def _read(self, directory: int, path: str) -> tuple[bytes, str]:
        """Read a Dockerfile; the usual name is tried in lower case too. Return it with its name."""
        above, base = posixpath.split(path)
        names = [path, posixpath.join(above, base.lower())] if base == _USUAL else [path]
        for name in names:
            try:
                way = look_up(directory, name)
                if way.state is None:
                    continue
                return self._contents(directory, way.path, name), name
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    continue
                raise BuildFailed(f"failed to read dockerfile: open {name}: {error.strerror}") from error
        raise BuildFailed(
            f"failed to read dockerfile: open {path}: no such file or directory",
            hint="name the Dockerfile by its path in the build context, or by an absolute path",
        )

    def _contents(self, directory: int, path: str, name: str) -> bytes:
        place = place_of(directory, path)
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                raise BuildFailed(f"failed to read dockerfile: {name} is no regular file")
            fd = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(place)
        try:
            return _all_of(fd, name)
        finally:
            os.close(fd)


def _all_of(fd: int, name: str) -> bytes:
    data = b""
    while piece := os.pread(fd, _PIECE_BYTES, len(data)):
        data += piece
        if len(data) > _MAX_DOCKERFILE_BYTES:
            raise BuildFailed(
                f"{name} is too large for a Dockerfile (limit: {_MAX_DOCKERFILE_BYTES >> 20} MiB)"
            )
    return data
