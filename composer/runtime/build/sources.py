"""What ``--from`` names, of COPY and of RUN --mount: a stage, a named context, an image, or nothing for the context."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.cache import key_of
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.build.building import Build
    from composer.runtime.build.dockerfile.instructions import Place
    from composer.runtime.build.filesystems import Filesystem
    from composer.runtime.build.stage import Stage


class Opened(NamedTuple):
    """Something to copy from. ``files`` is None for a directory that the user may change."""

    tree: Tree
    files: Filesystem | None


@contextlib.contextmanager
def opened(build: Build, stage: Stage, at: Place, origin: str) -> Iterator[Opened]:
    """Yield what an ``--from`` names, open for reading. Raises BuildFailed."""
    files = files_of(build, stage, at, origin)
    if files is None:
        context = build.context_of(origin)
        yield Opened(context.tree, None)
        return
    with build.mounter.reading(files) as root:
        yield Opened(Tree(root), files)


def files_of(build: Build, stage: Stage, at: Place, origin: str) -> Filesystem | None:
    """Return the files of a stage or an image; None for a context."""
    if not origin:
        return None
    found = build.plan.origin_of(origin, stage.index)
    if found.kind == "context":
        return None
    if found.kind == "stage":
        return build.stage(found.index).files
    if found.kind == "scratch":
        raise stage.failed(at, "cannot copy from 'scratch': it has no files")
    return build.image_files(found.text)


def layers(build: Build, stage: Stage, at: Place, origin: str, path: str) -> tuple[str, Sequence[str], str]:
    """Return (key, layers topmost first, path in them) of a bind mount's source.

    Of a context a copy is made, once for the same files: what is ignored is not in it, and nothing can be changed.
    """
    files = files_of(build, stage, at, origin)
    if files is not None:
        return files.key, build.mounter.directories(files), path
    tree = build.context_of(origin).tree
    selection = select(tree, [path or "/"], "/", step=f"{stage.dockerfile.path}:{at.line}: RUN --mount")
    is_directory = all(source.is_directory for source in selection.sources)
    key = key_of("context", digest(tree, selection, build.checksums))
    with build.cache.carrying_out(key):
        found = build.cache.find(key)
        snapshot = found.snapshot if found is not None else None
        if snapshot is None:
            with build.cache.making() as directory:
                with build.opened_directory(f"{directory}/files") as root:
                    copy(tree, selection, root)
                snapshot = build.cache.take(f"{directory}/files")
            build.cache.keep(key, snapshot, what="files of the build context", base="", seconds=0)
        build.lease.add([snapshot.directory])
    return key, [snapshot.directory], "" if is_directory else selection.sources[0].name


def copy_into(build: Build, stage: Stage, at: Place, origin: str, path: str, directory: str) -> None:
    """Copy what ``from`` and ``source`` of a cache mount name into a directory."""
    with opened(build, stage, at, origin) as source:
        selection = select(
            source.tree, [path or "/"], "/", step=f"{stage.dockerfile.path}:{at.line}: RUN --mount"
        )
        with build.opened_directory(directory) as root:
            copy(source.tree, selection, root)
