"""Hints lead somewhere: every command and option that a text of ours names is there."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest

import composer as package
from composer.cli.main import COMMANDS, composer
from tests.unit.cli.console import STACK, Console
from tests.unit.cli.flag_table import commands

SOURCES = sorted(pathlib.Path(package.__file__).parent.rglob("*.py"))
TREE = dict(commands())
PROSE = frozenset(("creates", "for", "reads", "that"))
"""What follows our name in a hint's sentence without being a command."""

_ANY = "\x00"
_OURS = re.compile(rf"\bcomposer((?: +[-\w{_ANY}=/|]+)+)")
_OPTION = re.compile(r"(?<![-\w])--[a-z][-a-z]+")


class Text(NamedTuple):
    place: str
    text: str
    is_hint: bool


def texts(path: pathlib.Path) -> Iterator[Text]:
    """Yield the texts of a module, but for docstrings; what is filled in is one character, `_ANY`."""
    tree = ast.parse(path.read_text())
    skipped = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    hints = {
        id(below)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "hint"
        for below in ast.walk(keyword.value)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
        if id(node) in skipped:
            continue
        text = _text(node)
        if text is not None:
            yield Text(f"{path.name}:{getattr(node, 'lineno', 0)}", text, id(node) in hints)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else _ANY for part in node.values)
    return None


def mistakes(found: Text) -> Iterator[str]:
    """Yield what a text names of ours that is not there."""
    for match in _OURS.finditer(found.text):
        yield from _wrong(match[1].split(), is_hint=found.is_hint)


def _wrong(words: list[str], *, is_hint: bool) -> Iterator[str]:
    command: click.Command = composer
    path: tuple[str, ...] = ()
    takes_value = False
    for word in words:
        if takes_value:
            takes_value = False
        elif word.startswith("-"):
            option = _option(command, word.partition("=")[0])
            if option is None:
                yield f"composer {' '.join((*path, word))}"
                return
            takes_value = not option.is_flag and "=" not in word
        elif not isinstance(command, click.Group) or _ANY in word:
            return  # what comes is an argument, or is filled in
        elif (*path, word) in TREE:
            path = (*path, word)
            command = TREE[path]
        else:
            if is_hint and word not in PROSE:
                yield f"composer {' '.join((*path, word))}"
            return


def _option(command: click.Command, name: str) -> click.Option | None:
    options = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    if name == "--dry-run" or name == "--help":
        return click.Option([name], is_flag=True)
    return next((each for each in options if name in (*each.opts, *each.secondary_opts)), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_what_a_text_names_is_there(path: pathlib.Path) -> None:
    wrong = [f"{found.place}: {each}" for found in texts(path) for each in mistakes(found)]
    assert not wrong, "a word after 'composer' that is not meant as a command belongs to PROSE"


def test_an_option_alone_in_a_hint_of_the_command_line_is_one_of_ours() -> None:
    known = {name for command in TREE.values() for p in command.params for name in p.opts} | {"--help"}
    hints = [t for path in SOURCES if "/cli/" in str(path) for t in texts(path) if t.is_hint]
    assert len(hints) > 20
    assert not [(t.place, each) for t in hints for each in _OPTION.findall(t.text) if each not in known]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("start it with composer up -d web", []),
        ("use composer -p NAME ps", []),
        ("list them with composer \x00 ls", []),
        ("composer image prune removes them", []),
        ("composer fly does it", ["composer fly"]),
        ("composer image fly", ["composer image fly"]),
        ("composer rm --yes", ["composer rm --yes"]),
        ("composer up -p NAME", ["composer up -p"]),
    ],
)
def test_mistakes_are_found(text: str, wrong: list[str]) -> None:
    assert list(mistakes(Text("", text, True))) == wrong


@pytest.mark.parametrize(
    "words",
    [("rm", "-s"), *((kind, "prune") for kind in ("container", "network", "volume"))],
    ids=" ".join,
)
def test_who_cannot_be_asked_is_told_an_option_that_works(words: tuple[str, ...], console: Console) -> None:
    console.write(STACK)
    console("up", "-d")
    refused = console(*words)
    assert refused.code == 1 and "error: cannot prompt without a terminal" in refused.err
    (option,) = _OPTION.findall(refused.err)
    assert console(*words, option).code == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("up", "--profile", "x"), "composer --profile NAME up"),
        (("up", "--profile=x", "-d"), "composer --profile NAME up"),
        (("ps", "-p", "x"), "composer -p NAME ps"),
        (("up", "-f", "x"), "composer -f FILE up"),
        (("up", "--env-file", "x"), "composer --env-file FILE up"),
        (("up", "--project-directory", "x"), "composer --project-directory DIR up"),
        (("up", "--progress", "plain"), "composer --progress [auto|tty|plain|json|quiet] up"),
        (("up", "--ansi=never"), "composer --ansi [auto|always|never] up"),
        (("up", "--parallel", "3"), "composer --parallel N up"),
        (("up", "--compatibility"), "composer --compatibility up"),
        (("volume", "ls", "--debug"), "composer --debug volume ls"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_global_option_behind_the_command_says_where_it_goes(
    words: tuple[str, ...], hint: str, console: Console
) -> None:
    result = console(*words)
    name = next(word for word in words if word.startswith("-")).partition("=")[0]
    sentence = f"error: {name} is a global option: it must come before the command\n  hint: use {hint}\n"
    assert (result.code, result.err) == (1, sentence)


def test_every_global_option_is_known_behind_every_command(console: Console) -> None:
    for option in composer.params:
        if not isinstance(option, click.Option) or option.hidden or option.name in ("version", "dry_run"):
            continue
        for path, command in TREE.items():
            names = {name for each in command.params for name in each.opts}  # hidden ones too
            if path and not isinstance(command, click.Group) and option.opts[-1] not in names:
                assert "is a global option" in console(*path, option.opts[-1]).err, (path, option.opts)


def test_an_option_of_a_command_before_it_says_where_it_goes(console: Console) -> None:
    result = console("--detach", "up")
    assert result.err == (
        "error: --detach is an option of up: it must come after the command\n"
        "  hint: use composer up --detach\n"
    )


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("up", "--detatch"), "--detach"),
        (("up", "--detached"), "--detach"),
        (("down", "--volume"), "--volumes"),
        (("ps", "--filtr", "x"), "--filter"),
        (("--profil", "x", "ps"), "--profile"),
        (("volume", "inspec", "a"), "inspect"),
    ],
)
def test_a_misspelt_word_is_recognized(words: tuple[str, ...], meant: str, console: Console) -> None:
    assert f"; did you mean '{meant}'?\n" in console(*words).err


@pytest.mark.parametrize("name", ["--menus", "--xyz", "--wt"])
def test_nothing_is_suggested_that_is_far_away_or_hidden(name: str, console: Console) -> None:
    assert "did you mean" not in console("up", name).err


def test_the_verbs_of_the_table_are_commands_of_the_tree() -> None:
    assert {path[0] for path in TREE if path} == set(COMMANDS)
