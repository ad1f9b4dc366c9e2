"""What Docker Compose still takes and no help shows: other names of options and commands; and ``help``."""

from __future__ import annotations

import json

import click
import pytest

from composer.cli.main import COMMANDS
from composer.engine.observed import ObservedImage
from tests.unit.cli.console import STACK, Console
from tests.unit.cli.flag_table import commands

PATHS = [path for path, _ in commands() if path]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_shows_what_the_option_shows(path: tuple[str, ...], console: Console) -> None:
    shown = console("help", *path)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: composer {' '.join(path)} [OPTIONS]")
    assert "--help" in shown.out


def test_help_alone_lists_the_commands(console: Console) -> None:
    shown = console("help").out
    assert shown.startswith("Usage: composer [OPTIONS] COMMAND")
    assert all(f"\n  {verb} " in shown for verb in COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("upp",), "unknown command 'upp'; did you mean 'up'?"),
        (("volume", "lss"), "unknown command 'volume lss'; did you mean 'ls'?"),
        (("up", "x"), "'composer up' has no commands"),
    ],
)
def test_help_for_what_is_not_there(words: tuple[str, ...], message: str, console: Console) -> None:
    shown = console("help", *words)
    assert (shown.code, shown.err.splitlines()[0]) == (1, f"error: {message}")


def test_help_needs_no_configuration(console: Console) -> None:
    directory = console.directory.parent / ".config/composer"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text("nonsense")
    assert console("help", "up").code == 0


def test_verbose_is_debug(console: Console) -> None:
    assert "Traceback" not in console("up").err
    for name in ("--debug", "--verbose"):
        assert "Traceback" in console(name, "up").err


def test_no_ansi_and_workdir(console: Console) -> None:
    console.write(STACK)
    (console.directory / "sub").mkdir()
    assert "\x1b[" in console("lint", terminal=True).out
    assert "\x1b[" not in console("--no-ansi", "lint", terminal=True).out
    assert "name: sub\n" in console("-f", "compose.yaml", "--workdir", "sub", "config").out
    assert (
        "name: app\n"
        in console("--project-directory", ".", "--workdir", "sub", "-f", "compose.yaml", "config").out
    )


def test_convert_is_config(console: Console) -> None:
    console.write(STACK)
    assert console("convert", "--services").out == console("config", "--services").out == "db\nweb\n"


def test_flags_without_effect(console: Console) -> None:
    console.write("services: {web: {image: i, build: .}}")
    assert console("build", "--compress", "--force-rm", "--no-rm=false", "--parallel").code == 0
    assert console("pull", "--ignore-buildable", "--no-parallel", "--parallel=false").code == 0
    assert console("rm", "-f", "--all").code == console("rm", "-af").code == 0
    assert console("build", "--progress", "quiet").err == ""


def test_hidden_names_are_in_no_help() -> None:
    for path, command in commands():
        text = command.get_help(click.Context(command))
        for name in (
            "--verbose ",
            "--no-ansi",
            "--workdir DIR  Set the project",
            "--compress ",
            "--force-rm",
        ):
            assert name not in text or path in (("system", "df"), ("plan",)), (path, name)


# ------------------------------------------------------------------ psFormat


def docker_config(console: Console, text: str) -> None:
    (console.directory.parent / ".docker").mkdir()
    (console.directory.parent / ".docker/config.json").write_text(text)


def test_ps_takes_the_format_of_dockers_configuration(console: Console) -> None:
    console.write(STACK)
    console("up", "-d")
    plain = console("ps").out
    docker_config(console, json.dumps({"psFormat": "table {{.Names}}\\t{{.State}}"}))
    assert console("ps").out.splitlines() == [
        "NAMES       STATE",
        "app-db-1    running",
        "app-web-1   running",
    ]
    assert console("ps", "--format", "table").out == console("ps", "--format", "").out == plain
    assert console("ps", "--services").out == "db\nweb\n"
    elsewhere = console.directory / "docker"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text('{"psFormat": "{{.Service}}"}')
    assert console("ps", DOCKER_CONFIG=str(elsewhere)).out == "db\nweb\n"


@pytest.mark.parametrize("text", ["{}", '{"psFormat": 5}', '{"psFormat": ""}', "[]"])
def test_a_configuration_without_a_format_changes_nothing(text: str, console: Console) -> None:
    console.write(STACK)
    console("up", "-d")
    docker_config(console, text)
    shown = console("ps")
    assert (shown.code, shown.err) == (0, "") and shown.out.startswith("NAME ")


def test_a_broken_configuration_is_a_warning(console: Console) -> None:
    console.write(STACK)
    console("up", "-d")
    docker_config(console, "{")
    shown = console("ps")
    assert shown.code == 0 and shown.out.startswith("NAME ")
    assert shown.err.startswith("warning: cannot read '")
    assert console("ps", "--format", "table").err == ""


# ------------------------------------------------------------------ images


def test_images_have_an_age_and_their_whole_configuration(console: Console) -> None:
    config = {"Env": ["PATH=/bin"], "Cmd": ["serve"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}}
    console.backend._images["app:1"] = ObservedImage(
        "sha256:" + "a" * 64, ("app:1",), created="2020-01-01T00:00:00Z", labels={"a": "b"}, config=config
    )
    console.backend.add_image("bare:1")
    heading, app, bare = console("image", "ls").out.splitlines()
    assert heading.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert " years ago " in app
    assert " N/A " in bare
    assert console("image", "ls", "--format", "{{.CreatedSince}}", "app").out.endswith(" years ago\n")
    [shown] = json.loads(console("image", "inspect", "app:1").out)
    assert shown["Config"] == {**config, "Volumes": {}}
    [shown] = json.loads(console("image", "inspect", "bare:1").out)
    assert shown["Config"] == {"Labels": {}, "Volumes": {}}


@pytest.mark.parametrize(
    "words",
    [
        ("compose", "-p", "other", "config"),
        ("-p", "other", "compose", "config"),
        ("-p", "no", "compose", "--project-name=other", "config"),
        ("compose", "-pother", "convert", "--dry-run"),
    ],
    ids=" ".join,
)
def test_a_program_may_say_compose_first(words: tuple[str, ...], console: Console) -> None:
    console.write(STACK)
    assert console(*words).out.startswith("name: other\n")


def test_compose_is_said_once_and_shown_nowhere(console: Console) -> None:
    assert console("compose", "compose", "config").err.startswith("error: unknown command 'compose'")
    assert console("compose", "--help").out == console("--help").out
    assert "\n  compose " not in console("--help").out


def test_compose_may_be_the_name_of_a_service(console: Console) -> None:
    console.write("services: {compose: {image: nginx}}")
    assert console("config", "--services", "compose").out == "compose\n"


def test_a_program_that_takes_us_for_docker_compose_is_told_which(console: Console) -> None:
    assert console("compose", "version", "--short").out == "5.5.0\n"
    assert json.loads(console("compose", "version", "-f", "json").out) == {"version": "v5.5.0"}
    assert console("compose", "version").out.startswith("Docker Compose version v5.5.0, by composer v")
    assert console("version").out.startswith("Composer version v")
