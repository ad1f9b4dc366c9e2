"""What ``graph --format json`` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Node(Document):
    """A service or another resource of the project."""

    id: str = Field(description="kind:name")
    kind: Literal["service", "network", "volume", "config", "secret", "image"]
    name: str
    state: str | None = Field(
        description="Services only: the state of the containers, in words; null if it was not read."
    )


class Edge(Document):
    """A dependency of one node on another. The last four fields apply to services; elsewhere they have defaults."""

    needed: str = Field(description="The id of the node that is depended on.")
    by: str = Field(description="The id of the dependent node.")
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] | None
    required: bool
    restart: bool = Field(
        description="Whether the dependent service is restarted when the other one is recreated."
    )
    implicit: bool = Field(description="Whether it is implied by links, volumes_from or a shared namespace.")


class Hop(Document):
    """A service on the critical path."""

    service: str
    seconds: float | None = Field(
        description="Time since the start of the previous service; null if not started, or if the state was not read."
    )


class Graph(Document):
    """The nodes of the graph and the edges between them, without redundant edges."""

    version: Literal[1]
    project: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    critical_path: tuple[Hop, ...]
