"""Names of images: ``redis`` is ``docker.io/library/redis:latest``, and is shown as ``redis`` again.

The grammar is that of the distribution specification (https://github.com/distribution/reference); the defaults
are Docker's. Pure text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from composer.errors import ImageError

_DEFAULT_HOST = "docker.io"
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"
_MAX_NAME = 255
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


class Reference(NamedTuple):
    """A name in full. ``tag`` is empty when only a digest was given, ``digest`` when none was."""

    host: str
    path: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.path}{tag}{digest}"

    def familiar(self) -> str:
        """Return the short form that people write, always with its tag: ``redis:latest``."""
        host = "" if self.host == _DEFAULT_HOST else f"{self.host}/"
        path = self.path.removeprefix(_OFFICIAL) if not host and self.path.count("/") == 1 else self.path
        return host + path + str(self).removeprefix(f"{self.host}/{self.path}")


def parse(text: str) -> Reference:
    """Return the full reference. Raises ImageError, which says what is wrong with it."""
    rest, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "its digest is not sha256: and 64 hexadecimal digits")
    first, slash, remainder = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        host, name = first, remainder
    else:
        host, name = _DEFAULT_HOST, rest
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = _DEFAULT_HOST
    path, _, tag = name.partition(":")
    if ":" in name and not _TAG.fullmatch(tag):
        raise _invalid(text, "its tag is not 1 to 128 letters, digits, dots, dashes and underscores")
    if not _HOST.fullmatch(host):
        raise _invalid(text, f"'{host}' is not a registry's host")
    if not _PATH.fullmatch(path):
        upper = "it has upper-case letters" if path != path.lower() else "its name is not lower-case words"
        raise _invalid(text, upper)
    if host == _DEFAULT_HOST and "/" not in path:
        path = _OFFICIAL + path
    if len(host) + len(path) + 1 > _MAX_NAME:
        raise _invalid(text, f"it is longer than {_MAX_NAME} characters")
    return Reference(host, path, tag or ("" if digest else _DEFAULT_TAG), digest)


def id_prefix(text: str) -> str | None:
    """Return the hexadecimal digits when ``text`` may be an image id, whole or at least 12 digits of it."""
    match = _ID_PREFIX.fullmatch(text)
    return match[1] if match else None


def _invalid(text: str, why: str) -> ImageError:
    return ImageError(f"'{text}' is not an image reference: {why}", hint="write it as [HOST/]NAME[:TAG]")
