"""What is allowed in a Dockerfile but seldom meant, as BuildKit's clients read it (``docker build --check``)."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = b"1.0.0"
_RULES = "https://docs.docker.com/go/dockerfile/rule/"
_FOUND = pattern(r".*?:(\d+): (\w+): (.*)")


def documents(warnings: Iterable[str], name: str, dockerfile: bytes) -> dict[str, bytes]:
    """Return the result of a check, by the names that clients look for."""
    lines = list(warnings)
    found: dict[str, Any] = {
        "warnings": [_warning(line) for line in lines],
        "sources": [
            {"filename": name, "language": "Dockerfile", "data": base64.b64encode(dockerfile).decode()}
        ],
    }
    return {
        "result.json": json.dumps(found).encode(),
        "result.txt": "".join(f"{line}\n" for line in lines).encode(),
        "result.statuscode": b"1" if lines else b"0",
        "version": _VERSION,
    }


def _warning(line: str) -> dict[str, Any]:
    match = _FOUND.fullmatch(line)
    number, rule, detail = (int(match[1]), match[2], match[3]) if match else (1, "Check", line)
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in rule).strip("-")
    return {
        "ruleName": rule,
        "description": detail,
        "url": f"{_RULES}{words}/",
        "detail": detail,
        "location": {"ranges": [{"start": {"line": number}, "end": {"line": number}}]},
    }
