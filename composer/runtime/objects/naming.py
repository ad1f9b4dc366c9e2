"""Names of objects: what can be one, and which container has which.

``<root>/names/<name>`` is a symlink to the id, so taking a name is one atomic call.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer.errors import BackendError, NotFound
from composer.patterns import pattern
from composer.runtime.base import files, state

if TYPE_CHECKING:
    from composer.runtime.base.state import Paths

# Docker's rule for names of containers and volumes.
_NAME = pattern(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_RENAMING = "renaming"
_ID = pattern(r"[0-9a-f]{64}")


def check_name(name: str, what: str) -> None:
    """Refuse a name that would lead out of the directory where its object lives. Raises BackendError."""
    if not _NAME.fullmatch(name):
        raise BackendError(f"invalid {what} name '{name}': use only letters, digits, '_', '.' and '-'")
    from composer import values

    problem = values.name_problem(name)
    if problem is not None:
        raise BackendError(f"invalid {what} name '{name[:40]}…': {problem}")


def take_name(paths: Paths, name: str, id: str) -> str | None:
    """Give ``name`` to a container; return the id of another that has it, or None. A dangling name is free."""
    check_name(name, "container")
    link = f"{state.make_directory(paths.names())}/{name}"
    for _ in range(3):
        try:
            os.symlink(id, link)
            return None
        except FileExistsError:
            holder = name_holder(paths, name)
            if holder == id:
                return None
            if holder is not None and os.path.isdir(paths.container(holder)):
                return holder
            files.remove_file(link)
    return None


def name_holder(paths: Paths, name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return None  # it would lead elsewhere, or nowhere: nobody has it
    try:
        return os.readlink(f"{paths.names()}/{name}")
    except (FileNotFoundError, OSError):
        return None


def free_name(paths: Paths, name: str, id: str) -> None:
    if name_holder(paths, name) == id:
        files.remove_file(f"{paths.names()}/{name}")


def begin_renaming(paths: Paths, id: str, old: str, new: str) -> None:
    """Write down both names of a container, before it has the new one: a kill in between leaves it with both."""
    settle_renaming(paths, id, old)
    files.write_bytes(f"{paths.container(id)}/{_RENAMING}", f"{old}/{new}".encode())


def settle_renaming(paths: Paths, id: str, kept: str = "") -> None:
    """Free the names that a container has since a rename that has ended or was killed, but for one."""
    note = f"{paths.container(id)}/{_RENAMING}"
    try:
        with open(note, encoding="utf-8") as file:
            names = file.read().split("/")
    except FileNotFoundError:
        return
    for name in names:
        if name != kept:
            free_name(paths, name, id)
    files.remove_file(note)


def find_container(paths: Paths, id: str) -> str:
    """Return the full id for an id, a prefix of one, or a name. Raises NotFound."""
    if _ID.fullmatch(id) and os.path.isdir(paths.container(id)):
        return id
    holder = name_holder(paths, id)
    if holder is not None and os.path.isdir(paths.container(holder)):
        return holder
    found = [
        full
        for full in state.list_directory(paths.containers())
        if id and full.startswith(id) and _ID.fullmatch(full)
    ]
    if len(found) == 1:
        return found[0]
    raise NotFound(f"no such container: {id}" if not found else f"'{id}' matches {len(found)} containers")


def remove_container(paths: Paths, id: str) -> None:
    """Remove a container's name and directory. Repeating it, or finishing what a kill interrupted, is safe."""
    from composer.runtime.base import records, trees

    meta = records.meta(paths.container(id))
    if meta is not None:
        free_name(paths, meta["name"], id)
    settle_renaming(paths, id)
    trees.put_away(paths.container(id))
