"""Bodies of requests about images."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from composer.api.models.base import Body


class Check(Body):
    Test: list[str] | None = None
    Interval: int = Field(0, ge=0)
    Timeout: int = Field(0, ge=0)
    StartPeriod: int = Field(0, ge=0)
    StartInterval: int = Field(0, ge=0)
    Retries: int = Field(0, ge=0)


class Configuration(Body):
    """What a container is run with, of a commit. What is not set is the container's."""

    Cmd: list[str] | str | None = None
    Entrypoint: list[str] | str | None = None
    Env: list[str] | None = None
    ExposedPorts: dict[str, dict[str, Any]] | None = None
    Healthcheck: Check | None = None
    Labels: dict[str, str] | None = None
    OnBuild: list[str] | None = None
    Shell: list[str] | None = None
    StopSignal: str = ""
    User: str = ""
    Volumes: dict[str, dict[str, Any]] | None = None
    WorkingDir: str = ""
