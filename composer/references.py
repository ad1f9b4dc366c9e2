"""Names of images: ``redis`` is ``docker.io/library/redis:latest``, and is shown as ``redis`` again.

The grammar is that of the distribution specification (https://github.com/distribution/reference); the defaults
are Docker's. Pure text. `parse` is for whoever uses a name: it knows the defaults and refuses what is none. `split`
is for whoever shows one, or looks at a part of it: it takes any text apart and adds nothing. `without_login` is for
whoever shows or keeps a reference that may be a URL.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from composer.errors import ImageError
from composer.patterns import pattern

_DEFAULT_HOST = "docker.io"
_HOSTS_OF_THE_HUB = ("index.docker.io", "registry-1.docker.io")
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"
_MAX_NAME = 255
_LOGIN = pattern(r"\b((?:https?|oci)://)[^/?#\s]*@", re.I)
_ODD_PASSWORD = pattern(
    r"\b((?:[a-z][a-z0-9+.-]*)://)[^/?#:@\s]*:(?![0-9]*(?:[/?#\s'\"]|$))[^@\s'\"]*@", re.I
)
"""One with characters that have another meaning in a URL; what is behind the colon is no port."""
_TOKEN = pattern(
    r"([?&](?:access_token|api_key|auth|key|passw(?:or)?d|private_token|secret|token)=)[^&#\s'\"]+", re.I
)
_PASSWORD = pattern(r"\b([a-z][a-z0-9+.-]*://[^/?#:@\s]*):[^/?#\s]*@", re.I)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = pattern(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
_PATH = pattern(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = pattern(r"sha256:[0-9a-f]{64}")
_ID_PREFIX = pattern(r"(?:sha256:)?([0-9a-f]{12,64})")


class Parts(NamedTuple):
    """A name as it is written: None is what is not there, and an empty text what its colon promises in vain."""

    name: str
    tag: str | None = None
    digest: str | None = None


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
        return self.familiar_name() + str(self).removeprefix(f"{self.host}/{self.path}")

    def familiar_name(self) -> str:
        """Return the same without tag and digest: ``redis``, ``me/app``, ``ghcr.io/me/app``."""
        if self.host != _DEFAULT_HOST:
            return f"{self.host}/{self.path}"
        return self.path.removeprefix(_OFFICIAL) if self.path.count("/") == 1 else self.path


def split(text: str) -> Parts:
    """Take a name apart as it is written, whatever it is."""
    rest, at, digest = text.partition("@")
    above, slash, last = rest.rpartition("/")  # a colon before the last slash is that of a port
    name, colon, tag = last.partition(":")
    return Parts(f"{above}{slash}{name}", tag if colon else None, digest if at else None)


def is_latest(text: str) -> bool:
    """Tell whether a name stands for whatever is the newest: ``latest``, said or not, and no digest."""
    parts = split(text)
    return parts.digest is None and (parts.tag or _DEFAULT_TAG) == _DEFAULT_TAG


def full_name(name: str) -> tuple[str, str]:
    """Return the registry that a name without tag and digest leads to, and the path there."""
    host, slash, path = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        host, path = _DEFAULT_HOST, name
    if host in _HOSTS_OF_THE_HUB:
        host = _DEFAULT_HOST
    return host, _OFFICIAL + path if host == _DEFAULT_HOST and "/" not in path else path


def parse(text: str) -> Reference:
    """Return the full reference. Raises ImageError, which says what is wrong with it."""
    name, tag, digest = split(text)
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "digest must be sha256: followed by 64 hexadecimal digits")
    host, path = full_name(name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(text, "tag must be 1 to 128 letters, digits, dots, dashes and underscores")
    if not _HOST.fullmatch(host):
        raise _invalid(text, f"invalid registry host '{host}'")
    if not _PATH.fullmatch(path):
        upper = "repository name must be lowercase" if path != path.lower() else "invalid repository name"
        raise _invalid(text, upper)
    if len(host) + len(path) + 1 > _MAX_NAME:
        raise _invalid(text, f"repository name must not be longer than {_MAX_NAME} characters")
    return Reference(host, path, tag or ("" if digest else _DEFAULT_TAG), digest or "")


def id_prefix(text: str) -> str | None:
    """Return the hexadecimal digits when ``text`` may be an image id, whole or at least 12 digits of it."""
    match = _ID_PREFIX.fullmatch(text)
    return match[1] if match else None


def _invalid(text: str, why: str) -> ImageError:
    return ImageError(f"invalid reference format '{text}': {why}", hint="use [HOST/]NAME[:TAG]")


def without_login(text: str) -> str:
    """Return a text in which no URL has a password; of a user, only those that are no secret (``ssh://git@…``)."""
    plain = _PASSWORD.sub(r"\1@", _LOGIN.sub(r"\1", text))
    return _TOKEN.sub(r"\1***", _ODD_PASSWORD.sub(r"\1", plain))
