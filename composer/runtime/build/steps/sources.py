"""What ``--from`` names, of COPY and of RUN --mount: a stage, a named context, an image, or nothing for the context."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.build.cache.cache import key_of
from composer.runtime.build.cache.filesystems import EMPTY
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.dockerfile import stages
from composer.runtime.build.dockerfile.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.build.cache.cache import Snapshot
    from composer.runtime.build.cache.filesystems import Filesystem
    from composer.runtime.build.dockerfile.instructions import Place
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work


class Opened(NamedTuple):
    """Something to copy from. ``files`` is None for a directory that the user may change."""

    tree: Tree
    files: Filesystem | None


@contextlib.contextmanager
def opened(work: Work, stage: Stage, at: Place, origin: str) -> Iterator[Opened]:
    """Yield what an ``--from`` names, open for reading. Raises BuildFailed."""
    files = files_of(work, stage, at, origin)
    if files is None:
        yield Opened(work.context_of(origin).tree, None)
        return
    with work.mounter.reading(files) as root:
        yield Opened(Tree(root), files)


def files_of(
    work: Work, stage: Stage, at: Place, origin: str, *, has_numbers: bool = True
) -> Filesystem | None:
    """Return the files of a stage or an image; None for a context. A mount's ``from`` knows no numbers of stages."""
    if not origin:
        return None
    try:
        found = work.plan.origin(origin, has_numbers=has_numbers)
    except ValueError as error:
        raise stage.failed(at, f"invalid from={origin}: {error}") from error
    if isinstance(found, stages.StageOrigin):
        return work.stage(found.stage).files
    if isinstance(found, stages.Scratch):
        return EMPTY
    reference = work.image_of(found)
    if reference is None:
        return None
    try:
        return work.image_files(reference)
    except BuildFailed as error:
        # most often it is the name of a stage that was meant
        hint = did_you_mean(origin.lower(), sorted(work.plan.names)) or error.hint
        raise stage.failed(at, str(error), hint=hint) from error


def of_context(work: Work, name: str) -> Filesystem:
    """Return the files of a named context as a stage's, copied: FROM a context."""
    key, snapshot = _copied(work, work.context_of(name).tree, "/", "FROM")[:2]
    return EMPTY.over(key, snapshot)


def layers(work: Work, stage: Stage, at: Place, origin: str, path: str) -> tuple[str, Sequence[str], str]:
    """Return (key, layers topmost first, path in them) of a bind mount's source.

    Of a context a copy is made, once for the same files: what is ignored is not in it, and nothing can be changed.
    """
    files = files_of(work, stage, at, origin, has_numbers=False)
    if files is not None:
        return files.key, work.mounter.directories(files), path
    step = f"{stage.dockerfile.path}:{at.line}: RUN --mount"
    key, snapshot, inside = _copied(work, work.context_of(origin).tree, path or "/", step)
    return key, [snapshot.directory], inside


def _copied(work: Work, tree: Tree, path: str, step: str) -> tuple[str, Snapshot, str]:
    """Return (key, snapshot, path in it) of a copy of what a context has at a path."""
    selection = select(tree, [path], "/", step=step)
    inside = "" if all(source.is_directory for source in selection.sources) else selection.sources[0].name
    key = key_of("context", digest(tree, selection, work.checksums))
    with work.cache.carrying_out(key):
        found = work.cache.find(key)
        snapshot = found.snapshot if found is not None else None
        if snapshot is not None:
            work.lease.add([snapshot.directory])
            return key, snapshot, inside
        with work.cache.making() as directory:
            with work.opened_directory(f"{directory}/files") as root:
                copied = copy(tree, selection, root, cache=work.checksums)
            snapshot = work.cache.take(f"{directory}/files", work.lease.add)
        # the user may have changed the files since they were looked at
        key = key_of("context", copied.digest)
        work.cache.keep(key, snapshot, what="files of a build context", base="", seconds=0)
    return key, snapshot, inside


def copy_into(work: Work, stage: Stage, at: Place, origin: str, path: str, directory: str) -> None:
    """Copy what ``from`` and ``source`` of a cache mount name into a directory."""
    with opened(work, stage, at, origin) as source:
        selection = select(
            source.tree, [path or "/"], "/", step=f"{stage.dockerfile.path}:{at.line}: RUN --mount"
        )
        with work.opened_directory(directory) as root:
            copy(source.tree, selection, root)
