"""What commands in containers take."""

from __future__ import annotations

from composer.api.models.base import Body, Size


class Create(Body):
    """The body of `POST /containers/{id}/exec`."""

    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ConsoleSize: Size | None = None
    DetachKeys: str = ""
    Tty: bool = False
    Env: list[str] | None = None
    Cmd: list[str] | None = None
    Privileged: bool = False
    User: str = ""
    WorkingDir: str = ""


class Start(Body):
    """The body of `POST /exec/{id}/start`."""

    Detach: bool = False
    Tty: bool = False
    ConsoleSize: Size | None = None
