"""What tests of COPY and ADD share: contexts on the disk, a copy into a directory, and what a directory holds."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from composer.runtime.build.context.copying import Copied, copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.ignore import read
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.owners import resolve_owner
from composer.runtime.build.context.selecting import Selection, select
from composer.runtime.build.context.statcache import StatCache
from composer.runtime.build.context.trees import Tree

MTIME_NS = 1_500_000_000_123_456_789
Make = Callable[[Path], object]


class Thing(NamedTuple):
    """What a directory, or an archive, has under a name; ``time`` is of files that are not empty, in seconds."""

    kind: str
    mode: int
    owner: tuple[int, int]
    what: str = ""
    time: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def write(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    """Write a file with a time of its own, directories above included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return path


def copied(
    context: Path,
    root: Path,
    sources: Sequence[str],
    target: str,
    *,
    chown: str = "",
    chmod: str = "",
    excludes: Sequence[str] = (),
    parents: bool = False,
    workdir: str = "/",
    owner: tuple[int, int] | None = (0, 0),
    epoch_ns: int | None = None,
    cache: StatCache | None = None,
    unpacks: bool = False,
) -> Copied:
    """Copy from a context with its .dockerignore into a directory."""
    with opened(context) as tree_fd, opened(root) as root_fd:
        tree = Tree(tree_fd, read(tree_fd), owner=owner)
        selection = select(tree, sources, target, workdir=workdir, parents=parents, excludes=excludes)
        return copy(
            tree,
            selection,
            root_fd,
            owner=resolve_owner(root_fd, chown) if chown else None,
            mode=parse_mode(chmod) if chmod else None,
            epoch_ns=epoch_ns,
            cache=cache,
            unpacks=unpacks,
        )


def things(root: Path) -> Mapping[str, Thing]:
    """Return what is below a directory by name, as `in_archive` does of a tar."""
    found: dict[str, Thing] = {}
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted([*names, *files]):
            path = Path(directory, name)
            shown = str(path.relative_to(root))
            found[shown] = _thing(path)
    return found


def _thing(path: Path) -> Thing:
    state = path.lstat()
    kind, what, time = stat.S_IFMT(state.st_mode), "", 0
    xattrs = (
        ()
        if kind == stat.S_IFLNK
        else tuple((key, os.getxattr(path, key)) for key in sorted(os.listxattr(path)))
    )
    if kind == stat.S_IFREG:
        what = contents(path.read_bytes())
        time = int(state.st_mtime) if state.st_size else 0
    elif kind == stat.S_IFLNK:
        what = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        what = f"{os.major(state.st_rdev)}:{os.minor(state.st_rdev)}"
    mode = 0o777 if kind == stat.S_IFLNK else stat.S_IMODE(state.st_mode)
    return Thing(_LETTERS[kind], mode, (state.st_uid, state.st_gid), what, time, xattrs)


_LETTERS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


def contents(data: bytes) -> str:
    return data.decode(errors="replace") if len(data) < 100 else hashlib.sha256(data).hexdigest()


@contextmanager
def selected(context: Path, *sources: str, **options: object) -> Iterator[tuple[Tree, Selection]]:
    with opened(context) as fd:
        tree = Tree(fd, read(fd), owner=(0, 0))
        yield tree, select(tree, sources or (".",), "/x/", **options)  # type: ignore[arg-type]


def digest_of(context: Path, *sources: str, cache: StatCache | None = None, **options: object) -> str:
    with selected(context, *sources, **options) as (tree, selection):
        return digest(tree, selection, cache)


def names_in(root: Path) -> list[str]:
    return sorted(things(root))


def parented(context: Path) -> None:
    for name in ("a/b/c.txt", "a/b/d.md", "a/e/c.txt", "z/c.txt", "top.txt"):
        write(context / name)
    (context / "a").chmod(0o711)
    os.chown(context / "a", 3, 4)
    (context / "link").symlink_to("a")
