"""Flags as Docker's programs take them: with a value, behind the verb; and verbs that are not there."""

from __future__ import annotations

import pytest
from console import STACK, Console, states

from composer.cli.commands.exec import command as exec_command
from composer.cli.commands.up import command as up_command
from composer.cli.main import without_values


def test_dry_run_may_follow_the_verb(console: Console) -> None:
    console.write(STACK)
    assert "app-web-1" in console("up", "-d", "--dry-run").out
    assert states(console) == {}


def test_flags_may_have_a_value(console: Console) -> None:
    console.write(STACK)
    assert console("up", "--detach=true", "--menu=false", "--no-start=0").code == 0
    assert set(states(console).values()) == {"running"}
    assert "'--detach' does not take a value" in console("up", "--detach=perhaps").err


def test_words_of_the_command_are_left_as_they_are() -> None:
    words = ["-e", "--detach=true", "--no-tty=true", "--interactive=false", "web", "run", "--detach=true"]
    assert without_values(exec_command, words) == [
        *("-e", "--detach=true", "--no-tty", "--no-interactive", "web", "run", "--detach=true")
    ]
    assert without_values(up_command, ["web", "--wait=false", "--", "--wait=true"]) == [
        "web",
        "--",
        "--wait=true",
    ]


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("watch", "composer has no command 'watch': mount the source"),
        ("publish", "composer has no command 'publish': composer push"),
        ("convert", "composer has no command 'convert': it is called config"),
        ("upp", "unknown command 'upp'; did you mean 'up'?"),
        ("xyzzy", "unknown command 'xyzzy'\n"),
    ],
)
def test_a_verb_that_is_not_there_says_what_is(console: Console, verb: str, answer: str) -> None:
    assert answer in console(verb).err


def test_watching_is_refused_before_anything_happens(console: Console) -> None:
    console.write(STACK)
    assert "composer does not watch files" in console("up", "--watch").err
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
