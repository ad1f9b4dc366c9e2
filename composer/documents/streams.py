"""Streams with one JSON object per line: events and progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Event(Document):
    """An event of a container of the project."""

    action: str = Field(description="create, start, die, stop, kill, restart, destroy, health_status, …")
    attributes: dict[str, str]
    id: str = Field(description="The container's id.")
    service: str
    time: str = Field(description="RFC 3339, with nanoseconds.")
    type: Literal["container"]


class LogLine(Document):
    """A line of a container's output."""

    container: str = Field(
        description="The name of the container without that of the project, such as web-1."
    )
    service: str
    stream: Literal["stdout", "stderr"]
    time: str = Field(description="RFC 3339, with nanoseconds.")
    message: str = Field(description="The line without its newline; bytes that are no UTF-8 are replaced.")


class Step(Document):
    """The progress of an operation on a resource."""

    id: str = Field(description="Kind and name of the resource, such as Container app-web-1.")
    status: Literal["Working", "Done", "Error", "Skipped", "Warning"]
    text: str
    details: str | None = None


class Warning(Document):
    """A warning; the command continues."""

    level: Literal["warning"]
    message: str


class Failure(Document):
    """The error that the command failed with."""

    error: Literal[True]
    message: str


ProgressLine = Step | Warning | Failure
