"""What ``up --timeline FILE`` writes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document
from composer.documents.reading import read_json


class Phase(Document):
    """A change of a resource's state, or a phase of the command."""

    phase: str = Field(
        description="Of a resource: pulling, created, started, healthy, … Of the command: interpreter, imports, "
        "loading, opening, observing, planning, executing, starting."
    )
    at_s: float = Field(description="Seconds since the start of the command.")


class Resource(Document):
    """A resource that the command worked on, and its phases in order."""

    kind: str
    name: str
    phases: tuple[Phase, ...]


class Timeline(Document):
    """The phases of the command, and the times at which each resource was pulled, created, started and became healthy.

    Written after failures too.
    """

    version: Literal[1]
    project: str
    began: float = Field(description="Unix time of the start, in seconds.")
    total_s: float
    command: tuple[Phase, ...] = Field(
        default=(),
        description="The phases of the command itself. Each lasts until the next one; the last, until the end.",
    )
    resources: tuple[Resource, ...]


def read(text: str, path: str) -> Timeline:
    """Read a timeline. Raises ProjectError for an invalid timeline, with the location."""
    found: Timeline = read_json(
        Timeline,
        text,
        f"'{path}' is not a composer timeline file",
        hint="create one with composer up --timeline FILE",
    )
    return found
