"""docs/man is what the commands say of themselves; ``python -m tests.unit.test_man_pages`` writes it.

``composer(1)`` lists the commands, ``composer-up(1)`` and so on have one each. Format: man(7).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from composer.cli import main
from tests.unit.test_commands_page import NOTES, commands, flags_of, values_of

DIRECTORY = Path(main.__file__).parents[2] / "docs/man"

ENVIRONMENT = {
    "COMPOSER_BACKEND": "The backend that runs containers: namespace or docker.",
    "COMPOSER_ROOT": "The directory of images, volumes and everything else that is kept.",
    "COMPOSE_FILE": "The compose files, separated by colons.",
    "COMPOSE_PROFILES": "The enabled profiles, separated by commas.",
    "COMPOSE_PROJECT_NAME": "The project name.",
    "DOCKER_HOST": "The Docker Engine to use.",
}
FILES = {
    "compose.yaml": "The compose file of the working directory, or of the nearest directory above it.",
    ".env": "Variables for the compose file, beside it.",
    "~/.config/composer/config.toml": "Settings of the user.",
    "~/.docker/config.json": "Credentials of registries.",
}
STATUS = {
    "0": "Success.",
    "1": "An error.",
    "2": "With plan --detailed-exitcode: the plan has changes.",
    "130": "Interrupted by a signal.",
    "other": "The exit code of the command that run, exec or up --exit-code-from ran.",
}


def escaped(text: str) -> str:
    """Return a text as roff shows it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def plain(text: str) -> str:
    """Return Markdown of a note without links and code marks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def entries(rows: dict[str, str]) -> list[str]:
    return [f".TP\n\\fB{escaped(name)}\\fR\n{escaped(text)}" for name, text in rows.items()]


def options_of(command: click.Command) -> dict[str, str]:
    return {
        flags_of(option): option.help or ""
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }


def page_of(name: str, command: click.Command) -> str:
    title = f"composer-{name.replace(' ', '-')}"
    first, _, more = (command.help or "").strip().partition("\n\n")
    lines = [
        f'.TH {escaped(title.upper())} 1 "" composer "Commands of composer"',
        f".SH NAME\n{escaped(title)} \\- {escaped(first.rstrip('.'))}",
        f".SH SYNOPSIS\n\\fBcomposer {escaped(name)}\\fR {escaped(' '.join(('[OPTIONS]', *values_of(command))))}",
        f".SH DESCRIPTION\n{escaped(first)}",
    ]
    paragraphs = filter(None, (*more.split("\n\n"), plain(NOTES.get(name, ""))))
    lines += [f".PP\n{escaped(paragraph)}" for paragraph in paragraphs]
    options = options_of(command)
    if options:
        lines += [".SH OPTIONS", *entries(options)]
    lines.append(".SH SEE ALSO\n.BR composer (1)")
    return "\n".join(lines) + "\n"


def program_page() -> str:
    lines = [
        '.TH COMPOSER 1 "" composer "Commands of composer"',
        f".SH NAME\ncomposer \\- {escaped((main.composer.help or '').strip().rstrip('.'))}",
        ".SH SYNOPSIS\n\\fBcomposer\\fR [OPTIONS] COMMAND [ARGUMENTS]",
        f".SH DESCRIPTION\n{escaped((main.composer.help or '').strip())}",
        ".SH COMMANDS",
        *entries({name: (command.help or "").partition("\n")[0] for name, command in commands()}),
        ".SH OPTIONS",
        *entries(options_of(main.composer)),
        ".SH ENVIRONMENT",
        *entries(ENVIRONMENT),
        ".SH FILES",
        *entries(FILES),
        ".SH EXIT STATUS",
        *entries(STATUS),
    ]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return all pages by the names of their files."""
    found = {f"composer-{name.replace(' ', '-')}.1": page_of(name, command) for name, command in commands()}
    return {"composer.1": program_page(), **found}


def test_the_pages_say_what_the_commands_say() -> None:
    there = {path.name: path.read_text() for path in DIRECTORY.iterdir()}
    assert there == pages(), "run: python -m tests.unit.test_man_pages"


def test_roff_shows_every_text() -> None:
    assert escaped(".x\n'y\n--a\\b") == "\\&.x\n\\&'y\n\\-\\-a\\eb"
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    for name in ("composer.1", "composer-up.1", "composer-image-build.1"):
        done = subprocess.run(
            ["man", "--warnings", "-l", str(DIRECTORY / name)],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        assert "NAME" in done.stdout


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for path in DIRECTORY.iterdir():
        path.unlink()
    for name, text in pages().items():
        (DIRECTORY / name).write_text(text)
