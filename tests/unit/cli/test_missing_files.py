"""What was named and is not there ends a command. It never means another project: the directory's."""

from __future__ import annotations

import pytest

from composer.cli.main import COMMANDS
from tests.unit.cli.console import Console, states

ARGUMENTS = {
    "snapshot": ("ls",),
    "alpha": ("viz",),
    "apply": None,  # a file of its own says which project
    "attach": ("web",),
    "commit": ("web", "made"),
    "cp": ("web:/etc/hostname", "-"),
    "exec": ("web", "true"),
    "export": ("web",),
    "kill": ("web",),
    "migrate": ("--from", "docker"),
    "port": ("web", "80"),
    "publish": ("registry.test/app",),
    "rm": ("-f",),
    "run": ("--rm", "web", "true"),
    "scale": ("web=2",),
    "stats": ("--no-stream",),
    "up": ("-d",),
    "url": ("web", "80"),
    "fault": ("clear",),
    "wait": ("web",),
}
OF_NO_PROJECT = {
    "boot",
    "builder",
    "completion",
    "container",
    "context",
    "doctor",
    "help",
    "image",
    "login",
    "logout",
    "ls",
    "network",
    "plugin",
    "schema",
    "serve",
    "shim",
    "system",
    "version",
    "volume",
}
VERBS = sorted(verb for verb in COMMANDS.keys() - OF_NO_PROJECT if ARGUMENTS.get(verb, ()) is not None)
MISSING = {
    "file": (["-f", "compose.tset.yaml"], {}, "no such file or directory"),
    "second file": (["-f", "compose.yaml", "-f", "compose.tset.yaml"], {}, "no such file or directory"),
    "directory as file": (["-f", "."], {}, "it is a directory"),
    "COMPOSE_FILE": ([], {"COMPOSE_FILE": "compose.tset.yaml"}, "no such file or directory"),
    "env file": (["--env-file", "tset.env"], {}, "couldn't find env file: "),
    "COMPOSE_ENV_FILES": ([], {"COMPOSE_ENV_FILES": "tset.env"}, "couldn't find env file: "),
    "directory": (["--project-directory", "../app-tset"], {}, "no such file or directory"),
    "file as directory": (["--project-directory", "compose.yaml"], {}, "not a directory"),
    "file and directory": (
        ["-f", "compose.yaml", "--project-directory", "../tset"],
        {},
        "no such file or directory",
    ),
}


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_there_ends_every_command(stack: Console, verb: str, missing: str) -> None:
    options, environment, words = MISSING[missing]
    before = states(stack)
    result = stack(*options, verb, *ARGUMENTS.get(verb, ()) or (), **environment)  # type: ignore[arg-type]
    assert result.code == 1, result
    assert words in result.out + result.err
    assert states(stack) == before


@pytest.mark.parametrize("verb", VERBS)
def test_no_compose_file(console: Console, verb: str) -> None:
    result = console(verb, *ARGUMENTS.get(verb, ()) or ())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: no configuration file provided: not found\n")


def test_a_typo_does_not_take_the_other_stack(stack: Console) -> None:
    result = stack("-f", "compose.tset.yaml", "down", "-v")
    assert result.code == 1
    assert f"error: open {stack.directory}/compose.tset.yaml: no such file or directory\n" in result.err
    assert states(stack)
    assert stack.backend.observe("app").volumes


@pytest.mark.parametrize("given", [("-p", "app"), ()])
def test_with_a_name_of_its_own_a_project_needs_no_file(stack: Console, given: tuple[str, ...]) -> None:
    (stack.directory / "compose.yaml").unlink()
    environment = {} if given else {"COMPOSE_PROJECT_NAME": "app"}
    assert "app-web-1" in stack(*given, "ps", **environment).out  # type: ignore[arg-type]
    result = stack(*given, "-f", "gone.yaml", "--env-file", "gone.env", "down", **environment)  # type: ignore[arg-type]
    assert result.code == 0, result
    assert "gone.yaml: no such file or directory" in result.err
    assert "gone.env" in result.err
    assert states(stack) == {}


def test_a_compose_file_that_leads_nowhere_is_not_the_parent_s(stack: Console) -> None:
    """Its release was removed: the link stays, and what is above the directory is another project."""
    below = stack.directory / "below"
    below.mkdir()
    (below / "compose.yaml").symlink_to("/nonexistent/compose.yaml")
    stack.directory = below
    result = stack("-p", "app", "ps")
    assert result.code == 0
    result = stack("down", "-v")
    assert result.code == 1
    assert "no such file or directory" in result.err
    assert states(stack)


def test_an_env_file_that_cannot_be_read_may_have_had_the_name(stack: Console) -> None:
    (stack.directory / ".env").write_text("COMPOSE_PROJECT_NAME=other\nA='\n")
    result = stack("down", "-v")
    assert result.code == 1
    assert ".env:2" in result.err
    assert states(stack)


def test_down_says_when_the_name_is_all_it_goes_by(stack: Console) -> None:
    stack.write("name: app\nservices: {w: [}\n", "other.yaml")
    result = stack("-f", "other.yaml", "down")
    assert result.code == 0
    assert "only the project name 'app' is used" in result.err
    assert states(stack) == {}


def test_the_input_is_read_once(console: Console) -> None:
    """By ps for the name and then for the model."""
    text = "# no name that is plain to see\n{name: app, services: {web: {image: i}}}"
    assert console("-f", "-", "up", "-d", stdin=text).code == 0
    result = console("-f", "-", "ps", "--no-orphans", stdin=text)
    assert (result.code, "app-web-1" in result.out) == (0, True)
