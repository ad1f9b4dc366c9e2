"""Sections of docs/benchmarks.md that are made by scripts, between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from __future__ import annotations

import pathlib

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def write_section(name: str, text: str) -> None:
    """Put a section's new text in the place of its old. Raises SystemExit when the page has no such section."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, found, rest = page.partition(begin)
    _, ended, tail = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{PAGE} has no section '{name}'")
    PAGE.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{tail}")
