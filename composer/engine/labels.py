"""The labels on containers, networks and volumes: Docker Compose's own, and a few of ours.

Docker Compose's names and formats, so that other tools understand our objects and we theirs
(docker/compose pkg/api/labels.go). Ours begin with ``composer.``; nothing depends on their being there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.engine.observed import ObservedContainer
    from composer.graph import Dependency

_DOCKER = "com.docker.compose."

PROJECT = _DOCKER + "project"
SERVICE = _DOCKER + "service"
NUMBER = _DOCKER + "container-number"
ONEOFF = _DOCKER + "oneoff"
CONFIG_HASH = _DOCKER + "config-hash"
IMAGE = _DOCKER + "image"
DEPENDS_ON = _DOCKER + "depends_on"
WORKING_DIR = _DOCKER + "project.working_dir"
CONFIG_FILES = _DOCKER + "project.config_files"
ENVIRONMENT_FILE = _DOCKER + "project.environment_file"
VERSION = _DOCKER + "version"
NETWORK = _DOCKER + "network"
VOLUME = _DOCKER + "volume"
REPLACE = _DOCKER + "replace"
SLUG = _DOCKER + "slug"
HOOK = _DOCKER + "hook"

FIELDS = "composer.service"
"""The canonical service as JSON, values that look secret replaced by keyed digests."""
CONTENTS = "composer.contents"
"""Keyed digests of the contents of configs and secrets, as JSON."""

FORM = "composer.hash"
"""The version of docker compose in whose form the configuration hash is; 2.40's where there is no such label."""

PLACING = "composer.snapshot.placing"
"""On a volume of a project: a restore of its data that has begun, and not ended (`snapshots.copies`)."""

DIRECTORY = "composer.directory"
"""On volumes: the directory of the project whose name they have; empty where that name was given to the command."""


def service_of(container: ObservedContainer) -> str:
    return container.labels.get(SERVICE, "")


def project_of(container: ObservedContainer) -> str:
    return container.labels.get(PROJECT, "")


def number_of(container: ObservedContainer) -> int:
    """Return the replica's number; 0 when the label is missing or no number."""
    text = container.labels.get(NUMBER, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def is_oneoff(container: ObservedContainer) -> bool:
    return container.labels.get(ONEOFF) == "True"


def is_replacement(container: ObservedContainer) -> bool:
    """Tell a container that was created to take another's place and has not been renamed yet."""
    return container.name == replacement_name(container.labels.get(REPLACE, ""), final_name(container.name))


def replacement_name(old_id: str, name: str) -> str:
    """Return the name under which a container is created while the one that it replaces still has its name."""
    return f"{old_id[:12]}_{name}"


def retired_name(id: str, name: str) -> str:
    """Return the name of a container that has made room for the one that replaces it."""
    return f"{name}_{id[:12]}"


def is_retired(container: ObservedContainer) -> bool:
    """Tell a container that has made room for another, and has not been removed yet."""
    return container.name.endswith(f"_{container.id[:12]}")


def given_name(container: ObservedContainer) -> str:
    """Return the name that a container has or had or is to get, without what a replacement adds to it."""
    if is_retired(container):
        return container.name.removesuffix(f"_{container.id[:12]}")
    return final_name(container.name) if is_replacement(container) else container.name


def final_name(name: str) -> str:
    """Return a container's name without the prefix that it carries while it replaces another."""
    head, underscore, rest = name.partition("_")
    is_prefix = underscore and rest and len(head) == 12 and all(c in "0123456789abcdef" for c in head)
    return rest if is_prefix else name


def write_depends_on(dependencies: Iterable[Dependency]) -> str:
    return ",".join(f"{d.service}:{d.condition}:{str(d.restart).lower()}" for d in dependencies)


def read_depends_on(labels: Mapping[str, str]) -> tuple[tuple[str, str, bool], ...]:
    """Return what a container's service depends on: name, condition, and whether it restarts with it."""
    parts = (part.split(":") for part in labels.get(DEPENDS_ON, "").split(",") if part)
    return tuple(
        (part[0], part[1] if len(part) > 1 and part[1] else "service_started", part[2:3] == ["true"])
        for part in parts
    )


def fields_of(container: ObservedContainer) -> dict[str, Any]:
    """Return the service as it was when the container was created; empty where another tool created it."""
    text = container.labels.get(FIELDS)
    if not text:
        return {}
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return {}  # somebody else wrote it
    return found if isinstance(found, dict) else {}
