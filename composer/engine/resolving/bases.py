"""Which services' images a service's image is built from: contexts of its build, and what its Dockerfile names.

Docker Compose orders builds by ``additional_contexts: service:NAME`` alone. A Dockerfile that says ``FROM`` an image
that another service builds needs that one first as well. Only the order depends on it: what is not understood here is
the builder's to complain about. Files of others are read in one pass, piece by piece.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from composer import references
from composer.engine.resolving.resolve import image_of
from composer.errors import ComposerError, CycleError
from composer.opening import open_regular
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from composer.schema.model import Project

_MOST_BYTES = 256 << 10
_LONGEST_LINE = 16 << 10
_CONTEXT = "service:"
_VARIABLE = pattern(r"\$(?:(\w+)|\{(\w+)(?::?-([^}$]*))?\})")
_ESCAPE = pattern(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_BLANKS = " \t"


class Bases:
    """The bases of a project's services. What builds an image is looked up once for all."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._builders: Mapping[str, str] | None = None

    @property
    def builders(self) -> Mapping[str, str]:
        """Which service builds an image, by full reference: the first by name where several do."""
        if self._builders is None:
            self._builders = _builders(self._project)
        return self._builders

    def builder_of(self, reference: str) -> str | None:
        """Return the service that builds an image, however its reference is written; None where no one does."""
        return self.builders.get(_normal(reference))

    def of(self, service: str) -> tuple[str, ...]:
        """Return the services that must be built before ``service``, by name.

        Raises CycleError where these are contexts of each other.
        """
        declared = self._project.declared
        build: Mapping[str, Any] = declared[service].get("build") or {}
        found = set(self._contexts(service))
        self._check_circle(service, found)
        for reference in _images_of(_dockerfile(build), build.get("args") or {}):
            builder = self.builder_of(reference)
            if builder is not None:
                found.add(builder)
        return tuple(sorted(name for name in found if name != service and name in declared))

    def _contexts(self, service: str) -> list[str]:
        """Return the services that are contexts of a service's build."""
        declared = self._project.declared
        build: Mapping[str, Any] = (declared[service].get("build") if service in declared else None) or {}
        contexts = (str(source) for source in (build.get("additional_contexts") or {}).values())
        return [source.removeprefix(_CONTEXT) for source in contexts if source.startswith(_CONTEXT)]

    def _check_circle(self, service: str, contexts: Iterable[str]) -> None:
        seen: set[str] = set()
        pending: list[tuple[str, tuple[str, ...]]] = [(one, (service, one)) for one in contexts]
        while pending:
            name, way = pending.pop()
            if name == service:
                path = ("services", service, "build", "additional_contexts")
                raise CycleError(
                    f"images are built from each other: {' → '.join(way)}",
                    at=self._project.mark(path),
                    path=path,
                    hint="remove one of these contexts",
                )
            if name not in seen:
                seen.add(name)
                pending += [(one, (*way, one)) for one in self._contexts(name)]


def _builders(project: Project) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in sorted(project.declared):
        if project.declared[name].get("build"):
            found.setdefault(_normal(image_of(project, name, project.declared[name])), name)
    return found


def _normal(reference: str) -> str:
    """Return an image's full reference, by which it is the same however it is written."""
    try:
        return str(references.parse(reference))
    except ComposerError:
        return reference  # a stage, or nothing that can be had: the build says so


def _dockerfile(build: Mapping[str, Any]) -> str:
    """Return a Dockerfile's text; nothing where it is not here, or cannot be read: the build says so."""
    if build.get("dockerfile_inline"):
        return str(build["dockerfile_inline"])[:_MOST_BYTES]
    path = os.path.join(str(build.get("context") or ""), str(build.get("dockerfile") or "Dockerfile"))
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8-sig", errors="replace")
    except (OSError, ValueError):
        return ""


def _images_of(text: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the images that a Dockerfile names, not its own stages."""
    # what holds in FROM, and what holds in the stage that is being read
    outside: dict[str, str] = {}
    within: dict[str, str] = {}
    stages: set[str] = set()
    is_before = True
    for words in _instructions(text):
        word, rest = words[0].upper(), words[1:]
        if word == "ARG":
            known = outside if is_before else within
            for one in rest:
                name, equals, default = one.partition("=")
                value = given.get(name)
                if value is None:
                    value = _expand(default.strip("\"'"), known) if equals else outside.get(name, "")
                known[name] = str(value)
        elif word == "FROM":
            is_before, within = False, {}
            named = [part for part in rest if not part.startswith("--")]
            if named and named[0] not in stages:
                yield _expand(named[0], outside)
            if len(named) > 2 and named[1].upper() == "AS":
                stages.add(named[2])
        else:
            rest = rest[1:] if word == "ONBUILD" else rest
            yield from (found for found in _sources(rest, within) if found not in stages)


def _sources(words: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """Yield what the options of COPY, ADD and RUN name as sources: ``--from=X``, ``--mount=from=X,…``."""
    for option in words:
        if not option.startswith("--"):
            return
        name, _, value = option.partition("=")
        if name == "--from":
            yield _expand(value, values)
        elif name == "--mount":
            for part in value.split(","):
                key, _, source = part.partition("=")
                if key == "from":
                    yield _expand(source, values)


def _instructions(text: str) -> Iterator[list[str]]:
    """Yield the words of each instruction, continued lines joined, without comments. Very long ones are cut."""
    lines = text.splitlines()
    escape = "\\"
    if lines and (found := _ESCAPE.fullmatch(lines[0].strip())):
        escape = found[1]
    parts: list[str] = []
    for line in lines:
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        is_continued = bare.endswith(escape)
        parts.append(bare[:-1] if is_continued else bare)
        if is_continued:
            continue
        words = " ".join(parts)[:_LONGEST_LINE].split()
        parts = []
        if words:
            yield words


def _expand(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2]) or found[3] or "", text)
