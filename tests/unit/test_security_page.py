"""docs/security.md names a test for each property; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text())
    assert len(named) > 40
    files: dict[str, str] = {}
    for path in TESTS.rglob("test_*.py"):
        files[path.name] = files.get(path.name, "") + path.read_text()
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in files.get(file, "")]
    assert missing == []


def test_every_row_of_both_tables_names_one() -> None:
    rows = [
        line for line in PAGE.read_text().partition("## Checklist")[2].splitlines() if line.startswith("| ")
    ]
    without = [row for row in rows if "::test_" not in row and "---" not in row and "shown by" not in row]
    assert [row.split("|")[1].strip() for row in without] == ["CVE-2024-23651, CVE-2024-23652"]
