"""Directives at the top of a Dockerfile (``# syntax=``, ``# escape=``, ``# check=``), and what ``check`` says."""

from __future__ import annotations

from typing import NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile.faults import quoted
from composer.runtime.build.dockerfile.words import BLANKS
from composer.runtime.build.spaces import strip

_KNOWN = ("syntax", "escape", "check")
_DIRECTIVE = pattern(rf"#[{BLANKS}]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(\S.*?)[\t\n\f\r ]*")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class CheckOptions(NamedTuple):
    """What a ``check`` directive says: names of rules, or that all are meant."""

    skipped: frozenset[str] = frozenset()
    skips_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    is_error: bool = False


def directive(line: str) -> tuple[str, str] | None:
    """Return the name in lower case and the value of a directive, or None where the line is none."""
    match = _DIRECTIVE.fullmatch(line)
    if match is None or match[1].lower() not in _KNOWN:
        return None
    return match[1].lower(), match[2]


def parse_bool(text: str) -> bool:
    """Return a boolean as Go reads it. Raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"invalid boolean {quoted(text)}: use true or false")


def check_options(value: str) -> CheckOptions:
    """Return what ``skip=A,B;error=true;experimental=all`` says. Raises ValueError with the reason."""
    options = CheckOptions()
    for part in value.split(";", 2) if strip(value) else ():
        key, equals, text = (strip(piece) for piece in part.partition("="))
        if not equals or key not in ("skip", "experimental", "error"):
            raise ValueError(f"unknown check option {quoted(part)}: use skip=, error= or experimental=")
        rules = frozenset(strip(rule) for rule in text.split(","))
        if key == "error":
            options = options._replace(is_error=parse_bool(text))
        elif text == "all":
            options = (
                options._replace(skips_all=True) if key == "skip" else options._replace(experimental_all=True)
            )
        elif key == "skip":
            options = options._replace(skipped=rules)
        else:
            options = options._replace(experimental=rules)
    return options
