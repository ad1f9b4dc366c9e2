"""What is written line by line as it happens: events, and progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Event(Document):
    """Something that happened to a container of the project."""

    action: str = Field(description="create, start, die, stop, kill, restart, destroy, health_status, …")
    attributes: dict[str, str]
    id: str = Field(description="The container's.")
    service: str
    time: str = Field(description="RFC 3339, with nanoseconds.")
    type: Literal["container"]


class Step(Document):
    """What happens to a thing."""

    id: str = Field(description="Kind and name.")
    status: Literal["Working", "Done", "Error", "Skipped", "Warning"]
    text: str
    details: str | None = None


class Warning(Document):
    """A sentence that does not end the command."""

    level: Literal["warning"]
    message: str


class Failure(Document):
    """What ended the command."""

    error: Literal[True]
    message: str


ProgressLine = Step | Warning | Failure
