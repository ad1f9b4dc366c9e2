"""The session in docs/moving-in.md is what the commands print.

``COMPOSER_WRITE_PAGES=1 … pytest tests/e2e/test_moving_page.py`` writes it anew.
"""

from __future__ import annotations

import os
import pathlib
import re

import pytest

from tests import examples_base
from tests.e2e.example import Example

PAGE = pathlib.Path(__file__).parents[2] / "docs/moving-in.md"
BEGIN, END = "<!-- session: notes -->\n", "<!-- end -->"
COMMANDS = (
    "composer plan",
    "composer up -d --wait --quiet-build",
    "composer ps --format '{{.Service}}: {{.Status}}'",
    "composer up -d",
    "composer plan --destroy",
    "composer down",
)

pytestmark = pytest.mark.root


def normal(text: str, example: Example) -> str:
    """Return an output with the names that readers see, and without what differs from run to run."""
    text = text.replace(example.name, "notes").replace(str(example.port), "8080")
    text = text.replace(examples_base.NAME, "debian:bookworm-slim")
    text = re.sub(r"Up (Less than a|About a|\d+) (second|minute)s?", "Up 2 seconds", text)
    text = re.sub(r"Exited \((\d+)\) .*? ago", r"Exited (\1) 2 seconds ago", text)
    return text


def shown(command: str, output: str) -> list[str]:
    """Return a command and its output as the page has it: steps in the order of their names, for they run at once."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    if command.split()[1] in ("up", "down"):
        lines = sorted(
            {line for line in lines if not line.endswith(("ing", "Created")) or line.endswith("Running")}
        )
    return [f"    $ {command}\n", *(f"    {line}\n" for line in lines)]


@pytest.mark.parametrize("example", ["notes"], indirect=True)
def test_the_session_is_what_the_commands_print(example: Example, base_archive: pathlib.Path) -> None:
    example.run("image", "load", "-q", "-i", str(base_archive))
    session = "\n"
    for command in COMMANDS:
        words = command.replace("'", "").split(" ", 1)[1]
        arguments = words.split(" --format ")[0].split()
        if "--format" in words:
            arguments += ["--format", words.split(" --format ")[1]]
        done = example.run(*arguments)
        session += "".join(shown(command, normal(done.stdout + done.stderr, example)))
    session += "\n"
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    if os.environ.get("COMPOSER_WRITE_PAGES"):
        PAGE.write_text(before + BEGIN + session + END + after)
        return
    assert written == session, "COMPOSER_WRITE_PAGES=1 writes it anew"
