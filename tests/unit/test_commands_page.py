"""docs/commands.md is what the commands say of themselves; ``python -m tests.unit.test_commands_page`` writes it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import click
import pytest

from composer.cli import main
from tests.unit.cli import docker_flags

PAGE = pathlib.Path(main.__file__).parents[2] / "docs/commands.md"

HEAD = """# Commands

All commands and options, generated from the commands themselves. Commands and options have the names and meanings
that they have in docker compose, and those on single objects (`container`, `image`, `network`, `volume`, `system`)
those of the docker CLI; differences are described below each command, and in a
[table](#flags-of-the-docker-cli) at the end. Lists take `--format table`, `json`,
`table TEMPLATE` or `TEMPLATE`, where TEMPLATE is a Go template with fields, `index`, `range`, `if`/`else`, `with`,
variables, pipes, comparisons, `and`, `or`, `not`, `len`, `print`, `printf`, `println`, `json`, `join`, `split`,
`lower`, `upper`, `title`, `pad`, `truncate`. `define`, `template`, `block`, `break` and `continue` are not supported.

Older names of docker compose are accepted too, but not listed: `--verbose` (the same as `--debug`), `--no-ansi`,
`--workdir`, and `convert` for `config`.

"""

NOTES = {
    "commit": (
        "On the built-in runtime, the image does not have the labels that assign a container to a project "
        "(Docker keeps them). Containers of `image: host` cannot be committed: their programs are those of "
        "this machine. The ID of the image is printed on standard output."
    ),
    "cp": (
        "The rules are those of `docker cp`. On the built-in runtime, files in tmpfs mounts of a running "
        "container can also be copied. Paths are always resolved inside the root of the container. Files copied "
        "from a container belong to the user and have no setuid or setgid bits; copied devices are readable by "
        "their owner only. Mounted single files, such as /etc/hosts, are overwritten in place. Copying to a "
        "container that waits for its next restart is not possible. `-a` has no effect on copies from a container."
    ),
    "events": ("On the built-in runtime, the earliest event is the first start after the last `down`."),
    "export": (
        "The archive is sorted, so equal files give identical archives. "
        "For `image: host`, the programs of this machine are not included."
    ),
    "image push": (
        "On Docker Engine, layers are compressed with gzip only. [Pushing and logins](images.md#pushing)"
    ),
    "image rm": (
        "A name that is not the last one of its image is only removed from it. On the built-in runtime, an image "
        "that a running container uses loses its name with `--force`, and keeps its files."
    ),
    "login": (
        "Credentials are checked with the registry, then stored in the credential helper that Docker's `config.json` "
        "names, or in that file ([logins](images.md#logins))."
    ),
    "logs": (
        "With `--follow`, the output continues when containers are recreated, and ends when no container is running "
        "or about to start."
    ),
    "publish": (
        "Asks before it sends what may be private; without a terminal, `-y` is required "
        "([remote projects](remote.md#publishing-a-project))."
    ),
    "ps": "Without `--format`, `psFormat` of Docker's `config.json` sets the format.",
    "rm": "Prompts for confirmation; without a terminal, `-f` is required.",
    "run": (
        "With `--rm` and `--detach`, the container is removed automatically when it exits. If `-v` names a volume "
        "that is not in the project, a volume with that name is created; it belongs to no project and is kept."
    ),
    "stats": (
        "Accepts several services. If the output is not a terminal, each update is a plain table without control "
        "sequences."
    ),
    "container diff": (
        "As with Docker, a directory is listed as changed if its mode or owner is another, or something in it was "
        "changed. For `image: host`, what a container wrote over the programs of this machine is included."
    ),
    "container update": (
        "The new values also apply after a restart. On the built-in runtime, a memory limit above the limit of memory "
        "and swap together is refused, as Docker Engine does."
    ),
    "system prune": (
        "With a filter for labels the build cache stays, because its entries have no labels; Docker's command "
        "removes it."
    ),
    "system df": "On the built-in runtime, a size is the sum of the sizes of the files, each counted once.",
    "volume prune": "Removes only anonymous volumes, unless `-a` is given. `--filter` supports labels.",
    "network prune": (
        "`--filter` supports labels. On the built-in runtime, a stopped container still counts as a user of its "
        "networks."
    ),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    for verb in sorted(main.COMMANDS):
        command = main.load(verb)
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                yield f"{verb} {name}", command.commands[name]
        else:
            yield verb, command


def page() -> str:
    parts = [HEAD, "## Global options\n\n", _options(main.composer)]
    for name, command in commands():
        usage = " ".join(("[OPTIONS]", *values_of(command)))
        parts.append(f"\n## {name}\n\n    composer {name} {usage}\n\n{(command.help or '').strip()}\n")
        if name in NOTES:
            parts.append(f"\n{NOTES[name]}\n")
        options = _options(command)
        parts.append(f"\n{options}" if options else "")
    return "".join((*parts, docker_flags.section(dict(commands()))))


def values_of(command: click.Command) -> list[str]:
    """Return what stands for the arguments of a command."""
    return [p.metavar or (p.name or "").upper() for p in command.params if isinstance(p, click.Argument)]


def _options(command: click.Command) -> str:
    rows = [
        f"| `{flags_of(option).replace('|', BAR)}` | {(option.help or '').replace('|', BAR)} |\n"
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    return "".join(("| option | |\n| --- | --- |\n", *rows)) if rows else ""


BAR = "\\|"


def flags_of(option: click.Option) -> str:
    """Return an option's spellings and what its value is called; not by click, whose words change."""
    names = sorted(option.opts, key=len) + option.secondary_opts
    if option.is_flag or option.count:
        return ", ".join(names)
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    value = option.metavar or "|".join(map(str, choices)) or (option.name or "").upper()
    return f"{', '.join(names)} {value}"


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
    own = main.load(verb).help
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
