"""Sections of docs/benchmarks.md that are made by scripts, between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""

from __future__ import annotations

import argparse
import pathlib

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def options(description: str | None, *, rounds: int) -> argparse.Namespace:
    """Read ``--rounds N`` and ``--write``, which puts the figures into the page."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    return parser.parse_args()


def write_section(name: str, text: str) -> None:
    """Put a section's new text in the place of its old. Raises SystemExit when the page has no such section."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, found, rest = page.partition(begin)
    _, ended, tail = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{PAGE} has no section '{name}'")
    PAGE.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{tail}")
