"""What volumes take."""

from __future__ import annotations

from typing import Any

from composer.api.models.base import Body


class Create(Body):
    """The body of `POST /volumes/create`."""

    Name: str = ""
    Driver: str = ""
    DriverOpts: dict[str, str] | None = None
    Labels: dict[str, str] | None = None
    ClusterVolumeSpec: dict[str, Any] | None = None
