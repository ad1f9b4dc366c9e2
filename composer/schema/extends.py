"""``extends``: a service on top of another one, of this file or of another.

The base's own ``extends`` come first; its relative paths are resolved against its own file's directory. What the
base refers to at the top level (volumes, networks, configs) is not brought along.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import CycleError, Mark
from composer.schema.files import is_remote
from composer.schema.merge import merge_service, unique
from composer.schema.paths import Base, expand, resolve_service_paths
from composer.schema.problems import did_you_mean
from composer.schema.source import remove_paths
from composer.schema.tree import INVALID, NOWHERE, Map

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.problems import Problems
    from composer.schema.tree import Path


MAX_CHAIN = 100


class Extension(NamedTuple):
    """A file in which services are looked up. ``label`` is its name in messages.

    ``resets`` are the paths that its last document takes out of what its services extend.
    """

    file: str
    label: str
    directory: str
    services: Map
    resets: tuple[Path, ...] = ()


class Extends:
    """Resolves the services of one document.

    ``open_file`` reads another file, with its short forms expanded, since only long ones have paths to see.
    """

    def __init__(
        self,
        problems: Problems,
        base: Callable[[str], Base],
        open_file: Callable[[str, Mark, Path], Extension | None],
        section: str = "services",
    ) -> None:
        self._problems = problems
        self._base = base
        self._open = open_file
        self._section = section
        self._files: dict[str, Extension | None] = {}
        self._origin: Extension | None = None
        self._done: dict[tuple[str, str], Map] = {}

    def apply(self, origin: Extension) -> Map:
        """Return the services of a document with every ``extends`` carried out."""
        self._origin = origin
        new = origin.services.copy()
        for name, service in origin.services.items():
            if isinstance(service, Map) and "extends" in service:
                resolved = self._service(origin, name, ())
                if resolved is None:
                    resolved = service.copy()
                    resolved.drop("extends")
                new[name] = resolved
        return new

    def _service(self, origin: Extension, name: str, seen: tuple[tuple[str, str, Mark], ...]) -> Map | None:
        service = origin.services[name]
        if not isinstance(service, Map) or service.get("extends") in (None, INVALID):
            return self._own(origin, service) if isinstance(service, Map) else Map()
        mark = service.mark("extends")
        here = (origin.file, name)
        if here in self._done:
            return self._done[here]
        if len(seen) > MAX_CHAIN:
            self._problems.error(
                f"too many levels of extends (limit: {MAX_CHAIN})", mark, (self._section, name)
            )
            return None
        if any(entry[:2] == here for entry in seen):
            self._cycle(seen, origin, name)
            return None
        seen = (*seen, (*here, mark))
        wanted, file = self._reference(service["extends"], mark, (self._section, name, "extends"))
        if wanted is None:
            return None
        base_file = origin if file is None else self._file(self._named(file, origin), mark, name)
        if base_file is None:
            return None
        if wanted in base_file.services and base_file.services[wanted] is None and base_file is not origin:
            # there is nothing to extend, and Compose leaves the key as it is
            return self._untouched(origin, service, base_file)
        if not isinstance(base_file.services.get(wanted), Map):
            if wanted not in base_file.services or base_file.services[wanted] is not INVALID:
                self._unknown(wanted, name, base_file, mark)
            return None
        base = self._service(base_file, wanted, seen)
        if base is None:
            return None
        service = self._own(origin, service)
        self._done[here] = self._combine(origin, base, service, name, mark)
        return self._done[here]

    def _untouched(self, origin: Extension, service: Map, base_file: Extension) -> Map:
        service = self._own(origin, service).copy()
        extends = service["extends"] = service["extends"].copy()
        extends["file"] = base_file.file
        return service

    def _combine(self, origin: Extension, base: Map, service: Map, name: str, mark: Mark) -> Map:
        base = remove_paths(
            base, tuple(path[2:] for path in origin.resets if path[:2] == (self._section, name))
        )
        own = service.copy()
        own.drop("extends")
        merged = merge_service(base, own, name, self._problems)
        whole, services = Map(), Map()
        services.put(name, merged, mark)
        whole.put("services", services, NOWHERE)
        result: Map = unique(whole)["services"][name]
        return result

    def _own(self, file: Extension, service: Map) -> Map:
        """Return what a file says of a service, with paths that mean the same to whoever extends it.

        Once for each file: with ``--no-path-resolution`` paths stay relative, and doing it again would add
        directories again.
        """
        return service if file is self._origin else resolve_service_paths(service, self._base(file.directory))

    def _reference(self, value: Any, mark: Mark, path: Path) -> tuple[str | None, str | None]:
        if isinstance(value, str):
            return value, None
        if not isinstance(value, Map) or not isinstance(value.get("service"), str):
            self._problems.error(
                "'service' is required in 'extends'",
                mark,
                path,
                hint="set 'service: NAME', and 'file: FILE' for a service of another file",
            )
            return None, None
        file = value.get("file")
        return value["service"], file if isinstance(file, str) else None

    def _named(self, file: str, origin: Extension) -> str:
        """Return the file that another one names: a path of its own directory, or a reference to somewhere else."""
        if is_remote(file):
            return file
        return expand(file, Base(origin.directory, self._base(origin.directory).home))

    def _file(self, file: str, mark: Mark, name: str) -> Extension | None:
        if file not in self._files:
            self._files[file] = self._open(file, mark, (self._section, name, "extends"))
        return self._files[file]

    def _unknown(self, wanted: str, name: str, file: Extension, mark: Mark) -> None:
        known = [key for key in file.services if key != name]
        hint = did_you_mean(wanted, known) or (
            f"available services: {', '.join(sorted(known))}" if known else None
        )
        self._problems.error(
            f"cannot extend service '{name}': service '{wanted}' not found in {file.label}",
            mark,
            (self._section, name, "extends"),
            hint=hint,
        )

    def _cycle(self, seen: tuple[tuple[str, str, Mark], ...], origin: Extension, name: str) -> None:
        start = next(index for index, entry in enumerate(seen) if entry[:2] == (origin.file, name))
        ring = seen[start:]
        names = [entry[1] for entry in ring] + [name]
        self._problems.error(
            f"circular extends: {' → '.join(names)}",
            ring[0][2],
            (self._section, ring[0][1], "extends"),
            kind=CycleError,
            chain=tuple(entry[2] for entry in ring[1:]),
            hint=f"move common attributes to a service in '{os.path.basename(origin.file)}' that does not use extends",
        )
