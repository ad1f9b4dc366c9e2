"""docs/commands.md is what the commands say of themselves; ``python -m tests.unit.test_commands_page`` writes it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from composer.cli import main

PAGE = pathlib.Path(main.__file__).parents[2] / "docs/commands.md"

HEAD = """# Commands

Every command and option, from the commands themselves. Commands and flags are Docker Compose's where it has
them; what differs is said below each. Lists take `--format table`, `json`, `table TEMPLATE` or `TEMPLATE`,
where a template is Go's: fields, `index`, `range`, `if`/`else`, `with`, variables, pipes, comparisons, `and`,
`or`, `not`, `len`, `print`, `printf`, `println`, `json`, `join`, `split`, `lower`, `upper`, `title`, `pad`,
`truncate`. `define`, `template`, `block`, `break` and `continue` are refused by name.

"""

NOTES = {
    "commit": (
        "On the built-in runtime the image has none of the labels by which a project knows its containers"
        " (Docker leaves them in), and containers of `image: host` are refused: its programs are this "
        "machine's own. The id goes to standard output."
    ),
    "cp": (
        "The rules are those of `docker cp`. On the built-in runtime the container's tmpfs mounts can be "
        "reached while it runs, which Docker cannot; paths are resolved inside the container's root "
        "whatever it does to them meanwhile. Files that come out belong to you and have no set-id bits; "
        "devices that come out can be read by their owner only. A file that is mounted on its own, such "
        "as /etc/hosts, is written in its place. A container in the pause between two restarts cannot be "
        "written to. `-a` gives files to the container's user, as docker compose does; copying out, it "
        "changes nothing."
    ),
    "events": (
        "`--since` reaches back as far as the backend knows: on the built-in runtime to the first start "
        "after the last `down`."
    ),
    "export": (
        "Sorted, so that equal files give equal bytes. Of `image: host` without the programs of this machine."
    ),
    "logs": "Followed containers may be replaced meanwhile; it ends when none runs and none is about to start.",
    "rm": "Asks on a terminal; without one it wants `-f`.",
    "run": (
        "With `--rm` and `--detach` the container goes by itself when it has ended. A volume that `-v` names and "
        "the project does not have is made under that name, belongs to no project, and stays."
    ),
    "stats": "Several services may be named. On a pipe each round is a plain table, without terminal codes.",
    "system df": "Sizes on the built-in runtime are of files, each counted once.",
    "volume prune": "Anonymous volumes only, unless `-a` is given; `--filter` knows labels.",
    "network prune": (
        "`--filter` knows labels. On the built-in runtime a stopped container still counts as one that "
        "uses its networks."
    ),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    for verb in sorted(main.COMMANDS):
        command = import_module(f"composer.cli.commands.{main.COMMANDS[verb][0]}").command
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                yield f"{verb} {name}", command.commands[name]
        else:
            yield verb, command


def page() -> str:
    parts = [HEAD, "## Global options\n\n", _options(main.composer)]
    for name, command in commands():
        values = [
            p.metavar or (p.name or "").upper() for p in command.params if isinstance(p, click.Argument)
        ]
        usage = " ".join(("[OPTIONS]", *values))
        parts.append(f"\n## {name}\n\n    composer {name} {usage}\n\n{(command.help or '').strip()}\n")
        if name in NOTES:
            parts.append(f"\n{NOTES[name]}\n")
        options = _options(command)
        parts.append(f"\n{options}" if options else "")
    return "".join(parts)


def _options(command: click.Command) -> str:
    rows = [
        f"| `{_flags(option)}` | {(option.help or '').replace('|', BAR)} |\n"
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    return "".join(("| option | |\n| --- | --- |\n", *rows)) if rows else ""


BAR = "\\|"


def _flags(option: click.Option) -> str:
    """Return an option's spellings and what its value is called; not by click, whose words change."""
    names = sorted(option.opts, key=len) + option.secondary_opts
    if option.is_flag or option.count:
        return ", ".join(names)
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    value = option.metavar or "|".join(map(str, choices)) or (option.name or "").upper()
    return f"{', '.join(names)} {value}".replace("|", BAR)


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "python -m tests.unit.test_commands_page writes it anew"


def test_the_notes_are_about_commands_that_there_are() -> None:
    assert not set(NOTES) - {name for name, _ in commands()}


def test_every_command_and_option_says_what_it_is() -> None:
    for name, command in commands():
        assert command.help, name
        verb = name.partition(" ")[0]
        assert main.COMMANDS[verb][1], verb
        silent = [
            option.name
            for option in command.params
            if isinstance(option, click.Option) and not option.hidden and not option.help
        ]
        assert not silent, name


@pytest.mark.parametrize("verb", sorted(main.COMMANDS))
def test_the_list_of_commands_says_what_the_command_itself_says(verb: str) -> None:
    own = import_module(f"composer.cli.commands.{main.COMMANDS[verb][0]}").command.help
    assert own is not None and own.startswith(main.COMMANDS[verb][1]), own


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_is_in_the_imperative(name: str) -> None:
    command = dict(commands())[name]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    for text in (command.help or "", *(option.help or "" for option in options)):
        assert text.endswith("."), text
        assert text.split()[0] not in ("How", "Which", "What", "When", "Who", "The", "A", "Its"), text


if __name__ == "__main__":
    PAGE.write_text(page())
