"""COPY: what was selected goes into a layer, file by file, with its attributes.

BuildKit's rules, link by link and mode by mode (its solver/llbsolver/file, and the copy of tonistiigi/fsutil): a file
replaces a file or a link, directories are merged, and neither replaces the other. Contents move inside the kernel where
nobody needs to see them, holes stay holes, and a file that changes while it is copied is copied again.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed, ImageError
from composer.runtime.build.context.digests import Digest, unreadable
from composer.runtime.build.context.moving import Moving
from composer.runtime.build.context.reading import (
    Entry,
    Unstable,
    hash_contents,
    is_same,
    read_entry,
    read_stable,
    xattrs_of,
)
from composer.runtime.build.context.targets import Branch, NotReplaced, Target, Unwritable, make_room
from composer.runtime.build.context.trees import place_of
from composer.runtime.build.context.walking import ENTER, FILE, Step, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.build.context.modes import Mode
    from composer.runtime.build.context.selecting import Selection, Source
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.context.trees import Tree

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = ".wh."


class Copied(NamedTuple):
    """What a copy wrote. ``digest`` is that of `digests.digest`, empty where it was not wanted."""

    digest: str
    files: int
    size_bytes: int


def copy(
    tree: Tree,
    selection: Selection,
    root: int,
    *,
    owner: tuple[int, int] | None = None,
    mode: Mode | None = None,
    epoch_ns: int | None = None,
    cache: StatCache | None = None,
    wants_digest: bool = True,
    unpacks: bool = False,
) -> Copied:
    """Copy a selection into the open directory ``root``, which is the root of the layer's view.

    ``owner`` (uid, gid) and ``mode`` replace those of the files; times after ``epoch_ns`` become it. With
    ``wants_digest`` contents are hashed on the way, unless ``cache`` knows them. With ``unpacks`` a source that is an
    archive is unpacked into the target, as ADD does. Raises BuildFailed.
    """
    digest = Digest(tree) if wants_digest else None
    copying = _Copying(tree, selection, root, _Wanted(owner, mode, epoch_ns, unpacks), digest, cache)
    for source in selection.sources:
        copying.copy(source)
    return Copied(digest.result() if digest is not None else "", copying.files, copying.size_bytes)


class _Wanted(NamedTuple):
    """What is to be other than in the tree."""

    owner: tuple[int, int] | None
    mode: Mode | None
    epoch_ns: int | None
    unpacks: bool

    @property
    def directory_mode(self) -> int:
        """The mode of directories that are made on the way: set-id bits are not for them."""
        return 0o755 if self.mode is None or self.mode.octal is None else self.mode.octal & 0o777


class _Copying:
    """One selection on its way into one root."""

    def __init__(
        self,
        tree: Tree,
        selection: Selection,
        root: int,
        wanted: _Wanted,
        digest: Digest | None,
        cache: StatCache | None,
    ) -> None:
        self._tree, self._selection, self._wanted, self._digest = tree, selection, wanted, digest
        self._owner = wanted.owner or tree.owner
        self._target = self._target_with(root, wanted.directory_mode)
        self._moving = Moving(cache, wants_digest=digest is not None)
        self._links: dict[tuple[int, int], str] = {}
        self._at = ""
        self.files = self.size_bytes = 0

    def _target_with(self, root: int, mode: int) -> Target:
        return Target(root, owner=self._wanted.owner or (0, 0), mode=mode, time_ns=self._wanted.epoch_ns)

    def copy(self, source: Source) -> None:
        hidden = next(
            (part for part in self._selection.target.split("/") if part.startswith(_WHITEOUT)), None
        )
        if hidden is not None:
            raise self._whiteout(hidden)
        self._links.clear()  # hard links are within one source
        if self._digest is not None:
            self._digest.source(source)
        self._at = source.path
        try:
            if source.is_directory:
                self._directory(source)
            else:
                self._single(source)
        except NotReplaced as error:
            raise BuildFailed(
                f"{self._selection.step}: {error.strerror}",
                hint="remove it in an instruction before, or copy to another path",
            ) from error
        except Unwritable as error:
            raise self._unwritable(error) from error
        except OSError as error:
            raise unreadable(self._selection.step, self._at, error) from error

    def _unwritable(self, error: OSError) -> BuildFailed:
        reason = (error.strerror or str(error)).removeprefix("open: ").lower()
        hint = "free up disk space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        return BuildFailed(
            f"{self._selection.step}: cannot write '{error.filename or self._selection.target}': {reason}",
            hint=hint,
        )

    # -------------------------------------------------------------- sources

    def _prepared(self, source: Source) -> tuple[int, str]:
        """Make the directory that a source is written to, or into; return it, open, and the path of what is written."""
        target = self._selection.target
        try:
            ensured = target if target.endswith("/") else posixpath.dirname(target)
            os.close(self._target.make_directories(self._target.look_up(ensured).path))
            found = self._target.look_up(target)
            path = found.path
            if source.is_directory:
                if found.state is not None and not found.is_directory:
                    raise NotReplaced(f"cannot copy to non-directory: /{path}")
                return self._target.make_directories(path), path
            if found.is_directory:
                path = f"{path}/{source.name}" if path else source.name
            return self._target.make_directories(posixpath.dirname(path)), path
        except NotReplaced:
            raise
        except OSError as error:
            raise Unwritable(error, error.filename or target) from error

    def _single(self, source: Source) -> None:
        if self._wanted.unpacks and self._unpacked(source):
            return
        directory, path = self._prepared(source)
        try:
            parent = place_of(self._tree.fd, posixpath.dirname(source.path))
            try:
                name = posixpath.basename(source.path)
                self._file(parent, name, directory, posixpath.basename(path), path, "")
            finally:
                os.close(parent)
        finally:
            os.close(directory)

    def _unpacked(self, source: Source) -> bool:
        """Unpack a source into the target if it is an archive; tell whether it is one."""
        from composer.runtime.build.context.unpacking import unpack

        parent = place_of(self._tree.fd, posixpath.dirname(source.path))
        try:
            entry = read_entry(parent, posixpath.basename(source.path))
        finally:
            os.close(parent)
        if entry.fd < 0:
            return False
        try:
            if not self._is_archive(source, entry.fd):
                return False
            contents = hash_contents(entry.fd, entry.state) if self._digest is not None else b""
            directory = self._opened_target()
            try:
                self.size_bytes += unpack(
                    entry.fd, directory, owner=self._wanted.owner, epoch_ns=self._wanted.epoch_ns
                )
            except ImageError as error:
                raise self._not_unpacked(source, error) from error
            finally:
                os.close(directory)
            if not is_same(entry.state, os.fstat(entry.fd)):
                raise Unstable
        finally:
            os.close(entry.fd)
        if self._digest is not None:
            if entry.state.st_nlink > 1:
                self._digest.hard_link("", entry.state)
            self._digest.file("", entry, contents)
        self.files += 1
        return True

    def _is_archive(self, source: Source, fd: int) -> bool:
        from composer.runtime.build.context.unpacking import is_archive

        try:
            return is_archive(fd)
        except ImageError as error:
            raise self._not_unpacked(source, error) from error

    def _not_unpacked(self, source: Source, error: ImageError) -> BuildFailed:
        return BuildFailed(f"{self._selection.step}: '/{source.path}': {error}", hint=error.hint)

    def _opened_target(self) -> int:
        """Open the directory that an archive goes to; ``--chmod`` is not for it and those above, which may be made."""
        target = self._selection.target
        plain = self._target_with(self._target.fd, 0o755)
        try:
            return plain.make_directories(plain.look_up(target).path)
        except OSError as error:
            raise Unwritable(error, error.filename or target) from error

    def _directory(self, source: Source) -> None:
        top, path = self._prepared(source)
        branch = Branch(self._target, top, path)
        pending: list[tuple[os.stat_result, Mapping[str, bytes], bool, bool]] = []
        try:
            with Walk(self._tree, source, self._selection.excludes) as walk:
                for step in self._steps(walk):
                    if step.kind == FILE:
                        below = f"{branch.path}/{step.name}" if branch.path else step.name
                        self._file(step.fd, step.name, branch.fd, step.name, below, step.path)
                    elif step.kind == ENTER:
                        state, xattrs = os.fstat(step.fd), xattrs_of(step.fd)
                        if self._digest is not None:
                            self._digest.directory(step.path, state, xattrs)
                        # the top keeps its attributes, or has those of a new directory
                        is_new = self._enter(branch, step.name) if step.path else False
                        pending.append((state, xattrs, is_new, step.is_included and bool(step.path)))
                    else:
                        self._leave(branch, *pending.pop(), is_top=not pending)
        finally:
            branch.close()

    def _steps(self, walk: Walk) -> Iterator[Step]:
        """Yield a walk's steps; `_at` follows it."""
        try:
            for step in walk.steps():
                self._at = walk.at
                yield step
        except OSError:
            self._at = walk.at  # of what could not be entered
            raise

    def _enter(self, branch: Branch, name: str) -> bool:
        if name.startswith(_WHITEOUT):
            raise self._whiteout(name)
        try:
            return branch.enter(name)
        except NotReplaced:
            raise
        except OSError as error:
            raise Unwritable(error, f"/{branch.path}/{name}") from error

    def _leave(
        self,
        branch: Branch,
        state: os.stat_result,
        xattrs: Mapping[str, bytes],
        is_new: bool,
        is_included: bool,
        *,
        is_top: bool,
    ) -> None:
        """Give a directory its attributes, now that nothing is made in it any more."""
        try:
            if is_new or is_included:
                self._attributes(branch.fd, state, xattrs)
            elif is_top:
                os.utime(branch.fd, ns=self._times(state))
            else:
                os.fchmod(branch.fd, stat.S_IMODE(state.st_mode))
            if not is_top:
                branch.leave()
        except OSError as error:
            raise Unwritable(error, f"/{branch.path}") from error

    # -------------------------------------------------------------- entries

    def _file(self, source: int, base: str, directory: int, name: str, path: str, relative: str) -> None:
        """Copy entry ``base`` of directory ``source`` to ``name`` in ``directory``; in the root that is ``path``."""
        if name.startswith(_WHITEOUT):
            raise self._whiteout(name)

        def copy(entry: Entry) -> None:
            if entry.fd >= 0:
                self._regular(entry, directory, name, path, relative)
            else:
                self._other(entry, directory, name, path, relative)
            self.files += 1

        read_stable(source, base, copy, is_listed=bool(relative))

    def _whiteout(self, name: str) -> BuildFailed:
        return BuildFailed(
            f"{self._selection.step}: cannot copy '{name}': in a layer it stands for a removed file",
            hint="exclude it by .dockerignore, or rename it",
        )

    def _regular(self, entry: Entry, directory: int, name: str, path: str, relative: str) -> None:
        state, digest = entry.state, self._digest
        if state.st_nlink > 1:
            identity = (state.st_dev, state.st_ino)
            first = self._links.get(identity)
            if first is not None:
                self._link(first, directory, name, path)
                if digest is not None:
                    digest.hard_link(relative, state)
                return
        try:
            fd = self._new_file(directory, name, path)
        except NotReplaced:
            raise
        except OSError as error:
            raise Unwritable(error, f"/{path}") from error
        try:
            contents = self._moving.copy(entry, fd, path)
            if not is_same(state, os.fstat(entry.fd)):
                raise Unstable
            try:
                self._attributes(fd, state, entry.xattrs)
            except OSError as error:
                raise Unwritable(error, f"/{path}") from error
        finally:
            os.close(fd)
        self.size_bytes += state.st_size
        if state.st_nlink > 1:
            self._links[identity] = path
        if digest is not None:
            if state.st_nlink > 1:
                digest.hard_link(relative, state)
            digest.file(relative, entry, contents)

    def _new_file(self, directory: int, name: str, path: str) -> int:
        try:
            return os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
        except FileExistsError:
            make_room(directory, name, path)
            return os.open(name, _NEW_FILE, 0o600, dir_fd=directory)

    def _link(self, first: str, directory: int, name: str, path: str) -> None:
        try:
            make_room(directory, name, path)
            parent = place_of(self._target.fd, posixpath.dirname(first))
            try:
                base = posixpath.basename(first)
                os.link(base, name, src_dir_fd=parent, dst_dir_fd=directory, follow_symlinks=False)
            finally:
                os.close(parent)
        except NotReplaced:
            raise
        except OSError as error:
            raise Unwritable(error, f"/{path}") from error

    def _other(self, entry: Entry, directory: int, name: str, path: str, relative: str) -> None:
        state, kind = entry.state, stat.S_IFMT(entry.state.st_mode)
        try:
            make_room(directory, name, path)
            if kind == stat.S_IFCHR and state.st_rdev == 0:
                raise self._whiteout(name)
            if kind == stat.S_IFLNK:
                os.symlink(entry.link, name, dir_fd=directory)
            else:
                # of a socket an empty file stays, as BuildKit has it
                made = stat.S_IFREG if kind == stat.S_IFSOCK else kind
                number = state.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
                os.mknod(name, made | 0o600, number, dir_fd=directory)
            os.chown(name, *self._owner_of(state), dir_fd=directory, follow_symlinks=False)
            if kind != stat.S_IFLNK:
                os.chmod(name, self._mode_of(state), dir_fd=directory)
            os.utime(name, ns=self._times(state), dir_fd=directory, follow_symlinks=False)
        except NotReplaced:
            raise
        except OSError as error:
            raise Unwritable(error, f"/{path}") from error
        if self._digest is not None:
            self._digest.other(relative, entry)

    # -------------------------------------------------------------- attributes

    def _owner_of(self, state: os.stat_result) -> tuple[int, int]:
        return self._owner or (state.st_uid, state.st_gid)

    def _mode_of(self, state: os.stat_result) -> int:
        return (
            stat.S_IMODE(state.st_mode)
            if self._wanted.mode is None
            else self._wanted.mode.apply(state.st_mode)
        )

    def _times(self, state: os.stat_result) -> tuple[int, int]:
        time_ns = (
            state.st_mtime_ns
            if self._wanted.epoch_ns is None
            else min(state.st_mtime_ns, self._wanted.epoch_ns)
        )
        return time_ns, time_ns

    def _attributes(self, fd: int, state: os.stat_result, xattrs: Mapping[str, bytes]) -> None:
        os.fchown(fd, *self._owner_of(state))  # first: it clears set-id bits and capabilities
        os.fchmod(fd, self._mode_of(state))
        for key, value in xattrs.items():
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                # not every file system has them all, and not everybody may set them (xattr(7))
                if error.errno not in (errno.ENOTSUP, errno.EPERM) or key.startswith("security."):
                    raise
        os.utime(fd, ns=self._times(state))
