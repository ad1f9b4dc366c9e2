"""What ``graph --format json`` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Node(Document):
    """A thing of the project."""

    id: str = Field(description="kind:name")
    kind: Literal["service", "network", "volume", "config", "secret", "image"]
    name: str
    state: str | None = Field(
        description="Of a service: what there is of it, in words; null where nobody was asked."
    )


class Edge(Document):
    """One thing needs another. The last four say how a service waits for another; they hold the defaults elsewhere."""

    needed: str = Field(description="The id of what is needed.")
    by: str = Field(description="The id of what needs it.")
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] | None
    required: bool
    restart: bool = Field(description="The one is restarted when the other is replaced.")
    implicit: bool = Field(description="It follows from links, volumes_from or a shared namespace.")


class Hop(Document):
    """A service on the critical path."""

    service: str
    seconds: float | None = Field(
        description="How long after the one before it started; null where nothing was started or nobody was asked."
    )


class Graph(Document):
    """What is drawn: nodes, and edges between them; waits that follow from others are left out."""

    version: Literal[1]
    project: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    critical_path: tuple[Hop, ...]
