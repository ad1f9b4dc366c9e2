"""What can be completed where a parameter expects a name: services, containers, images, …

`VALUES` has one line for each kind of value, by the metavar of a parameter. What cannot be found out (a compose file
that is not valid, no backend) completes to nothing: a shell has no place for an error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from composer.errors import ComposerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.schema.model import Project

    Values = Callable[[click.Context, str], list[CompletionItem]]
    Names = Callable[[Context], Iterable[str]]

FILE, DIRECTORY = "file", "dir"
"""What click tells a shell in place of values: to complete names of files by itself."""


def _context(ctx: click.Context) -> Context:
    """Return the command's surroundings, with what of the global options is on the line already."""
    from composer.cli.context import Settings

    context: Context = ctx.obj
    root = ctx.find_root().params
    given = {name: root[name] for name in Settings._fields if root.get(name) is not None}
    context.settings = context.settings._replace(**{**given, "progress": "quiet", "ansi": "never"})
    return context


def _named(names: Names, *, behind: str = "") -> Values:
    """Return what completes to the names that begin as the word does; ``behind`` is put behind each."""

    def values(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found: list[str] = []
        with suppress(ComposerError, ExceptionGroup, OSError):
            found = sorted(set(names(_context(ctx))))
        return [CompletionItem(f"{one}{behind}") for one in found if one.startswith(incomplete)]

    return values


def _files(kind: str) -> Values:
    return lambda ctx, incomplete: [CompletionItem(incomplete, type=kind)]


def _either(first: Values, second: Values) -> Values:
    return lambda ctx, incomplete: [*first(ctx, incomplete), *second(ctx, incomplete)]


# ------------------------------------------------------------------ names


def _project(context: Context) -> Project:
    from composer.schema.load import load

    # a key fetches nothing and waits for nothing; warnings are for commands
    return load(context.load_options(())._replace(remote=None, stdin=_nothing))


def _nothing() -> str:
    return ""


def _services(context: Context) -> Iterator[str]:
    project = _project(context)
    yield from project.tree.get("services") or ()
    yield from project.disabled


def _profiles(context: Context) -> Iterator[str]:
    project = _project(context)
    for tree in (*(project.tree.get("services") or {}).values(), *project.disabled.values()):
        yield from tree.get("profiles") or ()


def _of_backends(names: Callable[[Backend], Iterable[str]]) -> Names:
    """Return the names of objects on every backend that works here, or on the one that was asked for."""
    return lambda context: [name for backend in context.backends() for name in names(backend)]


def _images(backend: Backend) -> list[str]:
    return [name for image in backend.images() for name in (image.references or (image.id,))]


def _projects(backend: Backend) -> Iterator[str]:
    from composer.engine import labels

    for container in backend.projects():
        yield labels.project_of(container)


def _verbs(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    root = ctx.find_root().command
    names = root.list_commands(ctx) if isinstance(root, click.Group) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _backends(context: Context) -> Iterable[str]:
    from composer.backends import choice

    return choice.names()


# ------------------------------------------------------------------ the table

SERVICE = _named(_services)
CONTAINER = _named(_of_backends(lambda backend: [one.name for one in backend.containers()]))
IMAGE = _named(_of_backends(_images))
NETWORK = _named(_of_backends(lambda backend: [one.name for one in backend.networks()]))
VOLUME = _named(_of_backends(lambda backend: [one.name for one in backend.volumes()]))
_COPIED = _either(_files(FILE), _named(_services, behind=":"))

VALUES: dict[str, Values] = {
    "SERVICE": SERVICE,
    "SERVICE=N": _named(_services, behind="="),
    "[SERVICE:]SOURCE|-": _COPIED,
    "[SERVICE:]DESTINATION|-": _COPIED,
    "CONTAINER": CONTAINER,
    "IMAGE": IMAGE,
    "[REPOSITORY[:TAG]]": IMAGE,
    "NETWORK": NETWORK,
    "VOLUME": VOLUME,
    "FILE": _files(FILE),
    "PATH": _files(FILE),
    "DIR": _files(DIRECTORY),
}
OPTIONS: dict[str, Values] = {
    # options of the program itself by name, and what a metavar says too little of, by command and name
    "profiles": _named(_profiles),
    "name": _named(_of_backends(_projects)),
    "backend": _named(_backends),
    "help words": _verbs,
}


def of_metavar(metavar: str) -> Values | None:
    """Return what completes a parameter with this metavar: ``[SERVICE]...`` is as ``SERVICE``."""
    return VALUES.get(metavar) or VALUES.get(metavar.removesuffix("...").strip("[]"))
