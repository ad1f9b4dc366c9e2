"""What is said of this machine and this program: ``doctor``, ``boot status``, ``version``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Finding(Document):
    """One thing that was looked at."""

    level: Literal["ok", "note", "warning", "missing"] = Field(
        description="missing: the backend does not work without it."
    )
    subject: str
    text: str
    hint: str | None = Field(description="The remedy.")


class BackendReport(Document):
    """What a backend found."""

    works: bool
    findings: tuple[Finding, ...]


class Doctor(Document):
    """What this machine can do on each backend."""

    backend: str | None = Field(description="Where a new project would go; null: nowhere.")
    reason: str
    backends: dict[str, BackendReport]


class Cleaned(Document):
    """What was left behind, and is gone or could not be removed, in words."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


class BootContainer(Document):
    """A container that starts at boot."""

    Name: str
    Project: str
    Policy: str = Field(description="Its restart policy.")
    Running: bool


class BootStatus(Document):
    """Whether containers start at boot, and which."""

    Enabled: bool
    Init: str | None = Field(description="The init system that starts them.")
    Containers: tuple[BootContainer, ...]


class Version(Document):
    """The version, with a v before it."""

    version: str
