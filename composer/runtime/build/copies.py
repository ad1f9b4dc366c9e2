"""COPY and ADD as steps: where the files come from, what their key is, and the layer that they make."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from composer.runtime.build import history, sources, steps
from composer.runtime.build.cache import key_of
from composer.runtime.build.context.adding import copy_parts, digest_parts, gathered
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.owners import resolve_owner
from composer.runtime.build.context.selecting import target_path
from composer.runtime.build.dockerfile import words
from composer.runtime.build.dockerfile.instructions import Copy
from composer.runtime.build.filesystems import EMPTY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.runtime.build.building import Build
    from composer.runtime.build.cache import Snapshot
    from composer.runtime.build.context.adding import Part
    from composer.runtime.build.dockerfile.instructions import Add, Heredoc
    from composer.runtime.build.stage import Stage
    from composer.runtime.build.telling import Showing


def copy(build: Build, stage: Stage, one: Copy, shown: Showing) -> None:
    """Carry out COPY."""
    origin = stage.expand(one.origin, one.at)
    with sources.opened(build, stage, one.at, origin) as source:
        _carry_out(build, stage, _expanded(stage, one), source, shown)


def add(build: Build, stage: Stage, one: Add, shown: Showing) -> None:
    """Carry out ADD: each source is a file of the context, an archive of it, a URL, or a git repository."""
    expanded = _expanded(stage, one)._replace(checksum=stage.expand(one.checksum, one.at))
    _carry_out(build, stage, expanded, sources.Opened(build.context_of("").tree, None), shown)


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


def _carry_out(build: Build, stage: Stage, one: Copy | Add, source: sources.Opened, shown: Showing) -> None:
    word = "COPY" if isinstance(one, Copy) else "ADD"
    names = [*one.sources, *(f"<<{heredoc.name}" for heredoc in one.heredocs)]
    created_by = history.copy(word, one.chown, one.chmod, names, one.target)
    workdir = str(stage.config.get("WorkingDir") or "/")
    where = f"{stage.dockerfile.path}:{one.at.line}: {' '.join([word, *names, one.target])}"
    with contextlib.ExitStack() as held:
        parts = held.enter_context(gathered(one, source.tree, build.fetching, workdir=workdir, step=where))
        key = key_of(
            word,
            # with --link the layer is over nothing, so that it fits everywhere
            "" if one.link else stage.files.key,
            digest_parts(parts, build.checksums if source.files is None else None),
            target_path(one.target, workdir),
            [one.chown, one.chmod, isinstance(one, Copy) and one.parents],
            build.epoch_key(),
        )
        made = steps.carry_out(build, stage, shown, key, created_by, lambda: _layer(build, stage, one, parts))
    steps.advance(stage, made, created_by)


def _layer(build: Build, stage: Stage, one: Copy | Add, parts: Sequence[Part]) -> Snapshot:
    """Write a new layer over the stage's files, or with --link over nothing."""
    mode = parse_mode(one.chmod) if one.chmod else None

    def write(root: int) -> None:
        with contextlib.ExitStack() as held:
            owner = None
            if one.chown:
                names = held.enter_context(build.mounter.reading(stage.files)) if one.link else root
                owner = resolve_owner(names, one.chown)
            copy_parts(parts, root, owner=owner, mode=mode, epoch_ns=build.epoch_ns(), wants_digest=False)

    return build.changed(EMPTY if one.link else stage.files, write)
