"""COPY and ADD as steps: where the files come from, what their key is, and the layer that they make."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from composer.errors import BuildFailed
from composer.runtime.build.cache.cache import key_of
from composer.runtime.build.cache.filesystems import EMPTY
from composer.runtime.build.context.adding import copy_parts, digest_parts, gathered
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.owners import resolve_owner
from composer.runtime.build.context.selecting import target_path
from composer.runtime.build.dockerfile import words
from composer.runtime.build.dockerfile.instructions import Copy
from composer.runtime.build.steps import history, sources
from composer.runtime.build.steps.carrying import Made, advance, carry_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.runtime.build.cache.cache import Snapshot
    from composer.runtime.build.context.adding import Part
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.dockerfile.instructions import Add, Heredoc
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.build.telling import Showing


def copy(work: Work, stage: Stage, one: Copy, shown: Showing) -> None:
    """Carry out COPY."""
    origin = stage.expand(one.origin, one.at)
    with sources.opened(work, stage, one.at, origin) as source:
        _carry_out(work, stage, _expanded(stage, one), source, shown)


def add(work: Work, stage: Stage, one: Add, shown: Showing) -> None:
    """Carry out ADD: each source is a file of the context, an archive of it, a URL, or a git repository."""
    expanded = _expanded(stage, one)._replace(checksum=stage.expand(one.checksum, one.at))
    _carry_out(work, stage, expanded, sources.Opened(work.context_of("").tree, None), shown)


def _expanded(stage: Stage, one: Any) -> Any:
    """Return an instruction with its variables replaced."""
    return one._replace(
        sources=tuple(stage.expand(source, one.at) for source in one.sources),
        target=stage.expand(one.target, one.at),
        chown=stage.expand(one.chown, one.at),
        chmod=stage.expand(one.chmod, one.at),
        excludes=tuple(stage.expand(pattern, one.at) for pattern in one.excludes),
        heredocs=tuple(_content(stage, one, heredoc) for heredoc in one.heredocs),
    )


def _content(stage: Stage, one: Copy | Add, heredoc: Heredoc) -> Heredoc:
    if not heredoc.expands:
        return heredoc
    try:
        return heredoc._replace(content=words.expand_content(heredoc.content, stage.variables()).text)
    except words.WordInvalid as error:
        raise stage.failed(one.at, str(error), hint=error.hint) from error


def _carry_out(work: Work, stage: Stage, one: Copy | Add, source: sources.Opened, shown: Showing) -> None:
    word = "COPY" if isinstance(one, Copy) else "ADD"
    names = [*one.sources, *(f"<<{heredoc.name}" for heredoc in one.heredocs)]
    created_by = history.copy(word, one.chown, one.chmod, names, one.target)
    workdir = str(stage.config.get("WorkingDir") or "/")
    where = f"{stage.dockerfile.path}:{one.at.line}: {' '.join([word, *names, one.target])}"
    with contextlib.ExitStack() as held:
        parts = held.enter_context(gathered(one, source.tree, work.fetching, workdir=workdir, step=where))
        # what the user can change is looked up in the table, and looked at again while it is copied
        checksums = work.checksums if source.files is None else None

        def keyed(digest: str) -> str:
            return key_of(
                word,
                # with --link the layer is over nothing, so that it fits everywhere
                "" if one.link else stage.files.key,
                digest,
                target_path(one.target, workdir),
                [one.chown, one.chmod, isinstance(one, Copy) and one.parents],
                work.epoch_key(),
            )

        key = keyed(digest_parts(parts, checksums))

        def make() -> Made:
            copied, snapshot = _layer(work, stage, one, parts, checksums)
            return Made(keyed(copied) if copied else key, snapshot)

        made = carry_out(work, stage, shown, key, created_by, make)
    advance(stage, made, created_by)


def _layer(
    work: Work, stage: Stage, one: Copy | Add, parts: Sequence[Part], checksums: StatCache | None
) -> tuple[str, Snapshot]:
    """Write a new layer over the stage's files, or with --link over nothing; return it behind its files' checksum.

    Without ``checksums`` the files stand still, and it is empty.
    """
    mode = parse_mode(one.chmod) if one.chmod else None
    digests: list[str] = []

    def write(root: int) -> None:
        with contextlib.ExitStack() as held:
            owner = None
            if one.chown:
                names = held.enter_context(work.mounter.reading(stage.files)) if one.link else root
                try:
                    owner = resolve_owner(names, one.chown)
                except BuildFailed as error:
                    raise stage.failed(one.at, str(error), hint=error.hint) from error
            copied = copy_parts(
                parts,
                root,
                owner=owner,
                mode=mode,
                epoch_ns=work.epoch_ns(),
                cache=checksums,
                wants_digest=checksums is not None,
            )
            digests.append(copied.digest)

    snapshot = work.changed(EMPTY if one.link else stage.files, write)
    return digests[0], snapshot
