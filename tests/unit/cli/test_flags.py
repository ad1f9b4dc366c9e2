"""Flags as Docker's programs take them: with a value, behind the verb; and verbs that are not there."""

from __future__ import annotations

import os

import click
import pytest

from composer.cli.commands.exec import command as exec_command
from composer.cli.commands.up import command as up_command
from tests.unit.cli.console import STACK, Console, states
from tests.unit.cli.flag_table import Flag, commands, parse, table


def test_dry_run_may_follow_the_verb(console: Console) -> None:
    console.write(STACK)
    assert "app-web-1" in console("up", "-d", "--dry-run").out
    assert states(console) == {}


def test_the_group_of_docker_compose_takes_dry_run_too(console: Console) -> None:
    console.write(STACK)
    for words in (("alpha", "--dry-run", "viz"), ("alpha", "viz", "--dry-run")):
        assert console(*words).out.startswith('digraph "app"')
    assert console("image", "--dry-run", "ls").code != 0


def test_flags_may_have_a_value(console: Console) -> None:
    console.write(STACK)
    assert console("up", "--detach=true", "--menu=false", "--no-start=0").code == 0
    assert set(states(console).values()) == {"running"}
    assert (
        "invalid value for --detach: 'perhaps' must be true or false" in console("up", "--detach=perhaps").err
    )


ALL = list(commands())
TABLE = table()
SWITCHES = [flag for flag in TABLE if flag.option.is_flag]
VALUED = [flag for flag in TABLE if not flag.option.is_flag]


def short(flags: list[Flag]) -> list[Flag]:
    return [flag for flag in flags if not flag.name.startswith("--")]


@pytest.mark.parametrize("flag", SWITCHES, ids=str)
def test_a_switch_takes_a_boolean(flag: Flag) -> None:
    unset = parse(flag.command)
    on = parse(flag.command, flag.name)
    off = parse(flag.command, f"{flag.name}=false")
    key = flag.option.name
    assert key is not None
    assert {on[key] or False, off[key] or False} == {True, False} or on[key] == flag.option.flag_value
    for true in ("1", "t", "T", "true", "TRUE", "True"):
        assert parse(flag.command, f"{flag.name}={true}") == on
    for false in ("0", "f", "F", "false", "FALSE", "False"):
        assert parse(flag.command, f"{flag.name}={false}") == off
    assert unset in (on, off), "what has two names has one of them by default"
    assert parse(flag.command, flag.name, f"{flag.name}=false") == off, "the last one counts"
    assert parse(flag.command, f"{flag.name}=false", flag.name) == on
    with pytest.raises(click.UsageError):
        parse(flag.command, f"{flag.name}=perhaps")
    with pytest.raises(click.UsageError):
        parse(flag.command, f"{flag.name}=")


@pytest.mark.parametrize("flag", VALUED, ids=str)
def test_a_value_follows_in_every_form(flag: Flag) -> None:
    key = flag.option.name
    assert key is not None
    given = parse(flag.command, flag.name, flag.value)
    value = flag.option.type(flag.value)
    assert given[key] == ((value,) if flag.option.multiple else value)
    assert parse(flag.command, f"{flag.name}={flag.value}") == given
    if not flag.name.startswith("--"):
        assert parse(flag.command, f"{flag.name}{flag.value}") == given
    if flag.option.flag_value is None or flag.option.flag_value != "":
        with pytest.raises(click.UsageError):
            parse(flag.command, flag.name)
    if flag.option.type.name == "text" and flag.option.flag_value != "":
        assert parse(flag.command, flag.name, "--dry-run")[key] in ("--dry-run", ("--dry-run",))
        assert parse(flag.command, f"{flag.name}=a=b,c")[key] in ("a=b,c", ("a=b,c",))
    if flag.option.multiple:
        assert parse(flag.command, flag.name, flag.value, f"{flag.name}={flag.value}")[key] == (value,) * 2


@pytest.mark.parametrize("flag", short(TABLE), ids=str)
def test_letters_stand_together(flag: Flag) -> None:
    """Behind every switch of the command that is a letter; a letter with a value ends the group."""
    value = () if flag.option.is_flag else (flag.value,)
    for other in short(SWITCHES):
        if other.command is not flag.command or other.option is flag.option:
            continue
        apart = parse(flag.command, other.name, flag.name, *value)
        assert parse(flag.command, f"{other.name}{flag.name[1:]}", *value) == apart
        if value:
            assert parse(flag.command, f"{other.name}{flag.name[1:]}={value[0]}") == apart
            assert parse(flag.command, f"{other.name}{flag.name[1:]}{value[0]}") == apart
        else:
            assert parse(flag.command, f"{other.name}{flag.name[1:]}=true") == apart
        with pytest.raises(click.UsageError):
            parse(flag.command, f"{other.name}%")


@pytest.mark.parametrize("flag", TABLE, ids=str)
def test_where_options_end(flag: Flag) -> None:
    """At ``--``; at the first word that is none for exec, run and what has commands below it; else nowhere."""
    words = (flag.name,) if flag.option.is_flag else (flag.name, flag.value)
    if isinstance(flag.command, click.Group):
        assert parse(flag.command, "--", "word", *words)["()"] == ("word", *words)
        return
    if not any(isinstance(param, click.Argument) for param in flag.command.params):
        return
    ended = parse(flag.command, "--", *words)
    assert ended[str(flag.option.name)] == parse(flag.command)[str(flag.option.name)]
    if len({param.name for param in flag.command.params if isinstance(param, click.Argument)}) > 1:
        return
    is_mixed = flag.command.context_settings.get("allow_interspersed_args", True)
    behind = parse(flag.command, "word", *words)
    before = parse(flag.command, *words, "word")
    assert (behind == before) is is_mixed


@pytest.mark.parametrize("command", [one for _, one in ALL], ids=[" ".join(path) for path, _ in ALL])
@pytest.mark.parametrize("word", ["-%", "-%=x", "--no-such", "--no-such=x", "---x", "--=x", "-=x"])
def test_what_is_no_option_is_refused(command: click.Command, word: str) -> None:
    with pytest.raises(click.UsageError):
        parse(command, word)


def test_exec_and_run_leave_the_words_of_the_command_alone() -> None:
    words = (
        "-e",
        "--detach=true",
        "-T=true",
        "--interactive=false",
        "web",
        "run",
        "--detach=true",
        "--",
        "-x",
    )
    found = parse(exec_command, *words)
    assert found["variables"] == ("--detach=true",)
    assert (found["no_tty"], found["interactive"], found["detach"]) == (True, False, False)
    assert (found["service"], found["words"]) == ("web", ("run", "--detach=true", "--", "-x"))


def test_what_pflag_reads_in_a_letter_with_nothing_behind_the_equals_sign() -> None:
    """``-d=`` is -d and an option that is called ``=``; ``-t=`` has the value ``=``."""
    with pytest.raises(click.UsageError):
        parse(up_command, "-d=")
    assert parse(exec_command, "-u=", "web")["user"] == "="


def test_the_wrong_stack_is_not_destroyed(stack: Console) -> None:
    stack.write("name: other\nservices: {web: {image: i}}\n", "other.yaml")
    assert stack("-f=other.yaml", "down", "-v").code == 0
    assert states(stack)
    assert stack("-pother", "down", "-v=true", "-t=0").code == 0
    assert states(stack)
    assert "unknown shorthand flag: '%' in -%" in stack("-%", "down", "-v").err
    assert "composer image ls --help" in stack("image", "ls", "--no-such").err
    assert stack("-f=compose.yaml", "down", "-vt=0").code == 0
    assert states(stack) == {}


def test_building_and_not_building_contradict_each_other(stack: Console) -> None:
    assert "--build and --no-build are incompatible" in stack("up", "-d", "--build", "--no-build").err
    assert stack("up", "-d", "--build=false", "--no-build").code == 0


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("bridge", "unknown command 'bridge': convert the output of composer config"),
        ("upp", "unknown command 'upp'; did you mean 'up'?"),
        ("xyzzy", "unknown command 'xyzzy'\n"),
    ],
)
def test_a_verb_that_is_not_there_says_what_is(console: Console, verb: str, answer: str) -> None:
    assert answer in console(verb).err


NOTHING_TO_WATCH = (
    "none of the selected services is configured for watch, consider setting a 'develop' section"
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("up", "--watch"), NOTHING_TO_WATCH),
        (("watch",), NOTHING_TO_WATCH),
        (("watch", "--no-up", "--quiet", "--prune=false"), NOTHING_TO_WATCH),
        (("watch", "nosuch"), "no such service"),
        (("up", "-w", "--no-build"), "--no-build and --watch are incompatible"),
        (("up", "-w", "--no-start"), "--no-start and --watch are incompatible"),
        (("--dry-run", "up", "-w"), NOTHING_TO_WATCH),
        (("up", "-w", "-d"), "--detach cannot be combined with"),
        (("up", "-w", "--wait"), "--wait cannot be combined with"),
    ],
)
def test_a_watch_is_refused_before_anything_happens(
    console: Console, arguments: tuple[str, ...], sentence: str
) -> None:
    console.write(STACK)
    found = console(*arguments)
    assert (found.code, sentence in found.err) == (1, True)
    assert states(console) == {}


@pytest.mark.parametrize("command", [("watch",), ("up", "--watch")])
def test_a_dry_watch_shows_the_plan_and_the_rules(console: Console, command: tuple[str, ...]) -> None:
    console.write(
        "services: {web: {image: nginx, develop: {watch: [{path: src, action: sync, target: /app}]}}}"
    )
    found = console("--dry-run", *command)
    assert found.code == 0
    assert "app-web-1" in found.out
    assert found.out.splitlines()[-1] == f"watch {os.path.realpath(console.directory)}/src: sync web to /app"
    assert states(console) == {}


def test_renewed_volumes_are_new_ones(console: Console) -> None:
    console.write("services: {web: {image: nginx, volumes: [/cache]}}")
    console("up", "-d")
    [before] = console.backend.volumes()
    console("up", "-d", "-V")
    [after] = console.backend.volumes()
    assert before.name != after.name


def test_volumes_are_listed_by_project_and_service(stack: Console) -> None:
    assert stack("volumes").out == "DRIVER    VOLUME NAME\nlocal     app_data\n"
    assert stack("volumes", "-q", "db").out == "app_data\n"
    assert stack("volumes", "-q", "web").out == ""
