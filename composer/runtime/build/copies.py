"""COPY and ADD as steps: where the files come from, what their key is, and the layer that they make."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from composer.runtime.build import history, sources, steps
from composer.runtime.build.cache import key_of
from composer.runtime.build.context.copying import copy as copy_files
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.owners import resolve_owner
from composer.runtime.build.context.selecting import select, target_path
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.dockerfile import words
from composer.runtime.build.filesystems import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.build.building import Build
    from composer.runtime.build.cache import Snapshot
    from composer.runtime.build.context.modes import Mode
    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.stage import Stage
    from composer.runtime.build.telling import Showing


class _Wanted:
    """What COPY and ADD have in common, with variables replaced."""

    def __init__(self, build: Build, stage: Stage, one: said.Copy | said.Add, word: str) -> None:
        self.build, self.stage, self.one, self.word = build, stage, one, word
        at = one.at
        self.sources = [stage.expand(source, at) for source in one.sources]
        self.target = stage.expand(one.target, at)
        self.chown, self.chmod = stage.expand(one.chown, at), stage.expand(one.chmod, at)
        self.excludes = [stage.expand(pattern, at) for pattern in one.excludes]
        self.workdir = str(stage.config.get("WorkingDir") or "/")
        self.step = f"{stage.dockerfile.path}:{at.line}: {word} {' '.join([*self.sources, self.target])}"
        self.mode: Mode | None = parse_mode(self.chmod) if self.chmod else None
        self.inline = [(doc.name, self._content(doc)) for doc in one.heredocs]
        self.created_by = history.copy(
            word,
            self.chown,
            self.chmod,
            [*self.sources, *(f"<<{doc.name}" for doc in one.heredocs)],
            self.target,
        )

    def _content(self, doc: said.Heredoc) -> bytes:
        if not doc.expands:
            return doc.content.encode()
        try:
            return words.expand_content(doc.content, self.stage.variables()).text.encode()
        except words.WordInvalid as error:
            raise self.stage.failed(self.one.at, str(error), hint=error.hint) from error

    def options(self) -> list[Any]:
        """Return what counts for the key beside the files."""
        return [
            target_path(self.target, self.workdir),
            self.chown,
            self.chmod,
            len(self.sources) + len(self.inline),
        ]

    def base(self) -> str:
        """Return the key of what the files come over: with --link nothing, so that it fits everywhere."""
        return "" if self.one.link else self.stage.files.key

    def owner(self, root: int) -> tuple[int, int] | None:
        return resolve_owner(root, self.chown) if self.chown else None


def copy(build: Build, stage: Stage, one: said.Copy, shown: Showing) -> None:
    """Carry out COPY."""
    wanted = _Wanted(build, stage, one, "COPY")
    with sources.opened(build, stage, one.at, stage.expand(one.origin, one.at)) as source:
        selection = select(
            source.tree,
            wanted.sources,
            wanted.target,
            workdir=wanted.workdir,
            parents=one.parents,
            excludes=wanted.excludes,
            step=wanted.step,
        )
        checksum = digest(source.tree, selection, build.checksums if source.files is None else None)
        inline = [[name, content.hex()] for name, content in wanted.inline]
        key = key_of(
            "copy", wanted.base(), checksum, wanted.options(), inline, one.parents, build.epoch_key()
        )

        def write(root: int, owner: tuple[int, int] | None) -> None:
            copy_files(
                source.tree,
                selection,
                root,
                owner=owner,
                mode=wanted.mode,
                epoch_ns=build.epoch_ns(),
                wants_digest=False,
            )
            _write_inline(wanted, root, owner)

        made = steps.carry_out(build, stage, shown, key, wanted.created_by, lambda: _layer(wanted, write))
    steps.advance(stage, made, wanted.created_by)


def _layer(wanted: _Wanted, write: Callable[[int, tuple[int, int] | None], None]) -> Snapshot:
    """Write a new layer over the stage's files, or with --link over nothing."""
    build, stage = wanted.build, wanted.stage
    files = EMPTY if wanted.one.link else stage.files
    with build.changing(files) as (root, directory):
        if wanted.one.link:
            with build.mounter.reading(stage.files) as names:
                owner = wanted.owner(names)
        else:
            owner = wanted.owner(root)
        write(root, owner)
        return build.take(f"{directory}/files")


def _write_inline(wanted: _Wanted, root: int, owner: tuple[int, int] | None) -> None:
    """Write the heredocs of an instruction as files, with the names of their delimiters."""
    if not wanted.inline:
        return
    build = wanted.build
    with build.cache.making() as directory, build.opened_directory(f"{directory}/files") as files:
        for name, content in wanted.inline:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=files)
            with open(fd, "wb") as file:
                os.fchmod(fd, 0o644)
                file.write(content)
        tree = Tree(files, owner=(0, 0))
        # with others beside them the target is a directory
        target = wanted.target if len(wanted.inline) + len(wanted.sources) == 1 else f"{wanted.target}/"
        selection = select(
            tree, [name for name, _ in wanted.inline], target, workdir=wanted.workdir, step=wanted.step
        )
        copy_files(
            tree,
            selection,
            root,
            owner=owner,
            mode=wanted.mode,
            epoch_ns=build.epoch_ns(),
            wants_digest=False,
        )


def add(build: Build, stage: Stage, one: said.Add, shown: Showing) -> None:
    """Carry out ADD: each source is a file of the context, an archive of it, a URL, or a git repository."""
    from composer.runtime.build.context import adding

    wanted = _Wanted(build, stage, one, "ADD")
    with contextlib.ExitStack() as held:
        parts = held.enter_context(
            adding.opened(
                build.context_of("").tree,
                wanted.sources,
                wanted.target,
                workdir=wanted.workdir,
                excludes=wanted.excludes,
                checksum=stage.expand(one.checksum, one.at),
                keep_git_dir=one.keep_git_dir,
                unpack=one.unpack,
                environment=build.request.environment,
                downloads=build.downloads,
                step=wanted.step,
            )
        )
        inline = [[name, content.hex()] for name, content in wanted.inline]
        key = key_of(
            "add", wanted.base(), parts.digest(build.checksums), wanted.options(), inline, build.epoch_key()
        )

        def write(root: int, owner: tuple[int, int] | None) -> None:
            parts.write(root, owner=owner, mode=wanted.mode, epoch_ns=build.epoch_ns())
            _write_inline(wanted, root, owner)

        made = steps.carry_out(build, stage, shown, key, wanted.created_by, lambda: _layer(wanted, write))
    steps.advance(stage, made, wanted.created_by)
