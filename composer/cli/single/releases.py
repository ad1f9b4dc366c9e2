"""What was released of composer; asked for only when somebody wants to know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer.errors import ComposerError
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

_INDEX = "https://pypi.org/simple/composer-stack/"
_JSON = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_S = 10.0
_MOST_BYTES = 16 << 20


def newest() -> str | None:
    """Return the newest version, at least this one; None where none was released. Raises ComposerError.

    Proxies of the environment are used.
    """
    import urllib.error
    import urllib.request

    request = urllib.request.Request(_INDEX, headers={"Accept": _JSON})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_MOST_BYTES))
        versions = [str(one) for one in found["versions"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == 404:
            return None
        reason = getattr(error, "reason", None) or error
        raise ComposerError(
            f"cannot ask {_INDEX} for the newest version: {reason}",
            hint="check the network, and HTTPS_PROXY if there is a proxy",
        ) from error
    return later(versions, __version__) or __version__


def later(versions: Iterable[str], own: str) -> str | None:
    """Return the highest released version above our own; one that is not finished is none."""
    known = [(_numbers(one), one) for one in versions if all(part.isdecimal() for part in one.split("."))]
    best = max(known, default=((), ""))
    return best[1] if best[0] > _numbers(own) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
