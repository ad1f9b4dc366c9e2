"""An error of the loader as people should see it: place, message, source line, caret, how it came there, remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ConfigError, ProjectInvalid

if TYPE_CHECKING:
    from composer.errors import ComposerError


def explain(error: ComposerError) -> str:
    """Return the text for an error; several paragraphs for ProjectInvalid, one per error."""
    if isinstance(error, ProjectInvalid):
        return "\n\n".join(explain(one) for one in error.errors)
    lines = [str(error)]
    if isinstance(error, ConfigError):
        lines += getattr(error, "__notes__", [])
        lines += [f"  from {mark}" for mark in error.chain]
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return "\n".join(lines)
