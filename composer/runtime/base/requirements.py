"""What the built-in runtime needs of the machine, and one clear line for what is missing."""

from __future__ import annotations

import os
import sys

from composer.errors import PermissionDenied, Unavailable


def check() -> None:
    """Raise Unavailable or PermissionDenied when containers cannot run here. Costs a few stats."""
    if not is_linux():
        raise Unavailable(
            "the built-in runtime requires Linux", hint="run it on Linux or in a Linux virtual machine"
        )
    release = os.uname().release
    if _version(release) < (5, 8):
        raise Unavailable(
            f"the built-in runtime requires Linux 5.8 or newer, found {release}",
            hint="use a newer kernel",
        )
    if os.geteuid() != 0:
        raise PermissionDenied(
            "the built-in runtime must run as root: rootless mode is not supported yet",
            hint="use sudo",
        )


def is_linux() -> bool:
    return sys.platform == "linux"


def _version(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    minor = "".join(character for character in rest.partition(".")[0] if character.isdigit())
    return int(major), int(minor or 0)
