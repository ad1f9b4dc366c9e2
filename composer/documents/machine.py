"""Reports about this machine and this program: ``doctor``, ``boot status``, ``version``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.documents.base import Document


class Finding(Document):
    """The result of one check."""

    level: Literal["ok", "note", "warning", "missing"] = Field(
        description="missing: the backend does not work without it."
    )
    subject: str
    text: str
    hint: str | None = Field(description="The remedy.")


class BackendReport(Document):
    """The results of a backend's checks."""

    works: bool
    findings: tuple[Finding, ...]


class Doctor(Document):
    """Whether each backend works on this machine."""

    backend: str | None = Field(description="The backend that new projects will use; null if none works.")
    reason: str
    backends: dict[str, BackendReport]


class Cleaned(Document):
    """The leftovers that were removed, and those that could not be removed, in words."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


class BootContainer(Document):
    """A container that starts at boot."""

    Name: str
    Project: str
    Policy: str = Field(description="Its restart policy.")
    Running: bool


class BootStatus(Document):
    """Whether containers start at boot, and the list of them."""

    Enabled: bool
    Init: str | None = Field(description="The init system that starts them.")
    Containers: tuple[BootContainer, ...]


class Version(Document):
    """The version, with a v before it."""

    version: str
