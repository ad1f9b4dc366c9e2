"""What ``up --timeline FILE`` writes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document
from composer.documents.reading import read_json


class Phase(Document):
    """A change in the life of a thing."""

    phase: str = Field(description="pulling, created, started, healthy, …")
    at_s: float = Field(description="Seconds from the beginning.")


class Resource(Document):
    """A thing that the command worked on, and what happened to it in order."""

    kind: str
    name: str
    phases: tuple[Phase, ...]


class Timeline(Document):
    """When each thing was pulled, created, started and healthy. Written after a failure too."""

    version: Literal[1]
    project: str
    began: float = Field(description="Unix seconds.")
    total_s: float
    resources: tuple[Resource, ...]


def read(text: str, path: str) -> Timeline:
    """Read a timeline. Raises ProjectError for what is none, naming the place."""
    found: Timeline = read_json(
        Timeline,
        text,
        f"'{path}' is not a timeline of composer",
        hint="write one with composer up --timeline FILE",
    )
    return found
