"""Which services' images a service's image is built from: contexts of its build, and what its Dockerfile names.

Docker Compose orders builds by ``additional_contexts: service:NAME`` alone. A Dockerfile that says ``FROM`` an image
that another service builds needs that one first as well.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from composer import references
from composer.engine.resolving.resolve import image_of
from composer.errors import ComposerError
from composer.opening import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.schema.model import Project

_MOST_BYTES = 1 << 20
_CONTEXT = "service:"
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_FROM = re.compile(r"--from=(\S+)")
_MOUNT_FROM = re.compile(r"--mount=\S*?\bfrom=([^,\s]+)")


def of(project: Project, service: str) -> tuple[str, ...]:
    """Return the services that must be built before ``service``, by name; not that of which it is not known."""
    tree = project.declared[service]
    build: Mapping[str, Any] = tree.get("build") or {}
    contexts = (str(source) for source in (build.get("additional_contexts") or {}).values())
    found = {source.removeprefix(_CONTEXT) for source in contexts if source.startswith(_CONTEXT)}
    named = {normal(reference) for reference in _images_of(_dockerfile(build), build.get("args") or {})}
    found |= {name for reference, name in builders(project).items() if reference in named}
    return tuple(sorted(name for name in found if name != service and name in project.declared))


def builders(project: Project) -> dict[str, str]:
    """Return which service builds an image, by full reference: the first by name where several do."""
    found: dict[str, str] = {}
    for name in sorted(project.declared):
        if project.declared[name].get("build"):
            found.setdefault(normal(image_of(project, name, project.declared[name])), name)
    return found


def normal(reference: str) -> str:
    """Return an image's full reference, by which it is the same however it is written."""
    try:
        return str(references.parse(reference))
    except ComposerError:
        return reference  # a stage, or nothing that can be had: the build says so


def _dockerfile(build: Mapping[str, Any]) -> str:
    """Return a Dockerfile's text; nothing where it is not here, or cannot be read: the build says so."""
    if build.get("dockerfile_inline"):
        return str(build["dockerfile_inline"])
    path = os.path.join(str(build.get("context") or ""), str(build.get("dockerfile") or "Dockerfile"))
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def _images_of(text: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the images that a Dockerfile names, its stages among them."""
    defaults: dict[str, str] = {}
    for line in _instructions(text):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word == "ARG":
            name, _, default = rest.partition("=")
            given = arguments.get(name)
            defaults[name] = str(given) if given is not None else default.strip("\"'")
        elif word == "FROM":
            named = [part for part in rest.split() if not part.startswith("--")]
            yield from (_expand(part, defaults) for part in named[:1])
        elif word in ("COPY", "ADD", "RUN"):
            yield from (
                _expand(found, defaults) for found in (*_FROM.findall(rest), *_MOUNT_FROM.findall(rest))
            )


def _instructions(text: str) -> Iterator[str]:
    """Yield the lines of a Dockerfile, continued ones joined, without comments."""
    whole = ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#") or not bare:
            continue
        whole = f"{whole} {bare}".strip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        yield whole
        whole = ""


def _expand(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2]) or found[3] or "", text)
