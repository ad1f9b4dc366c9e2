"""``develop.watch`` as rules: what counts, where it goes, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from composer.errors import ConfigError
from composer.watching import dockerignore
from composer.watching.rules import Rule, Watched, read_rules
from tests.unit.engine.stage import Stage


def nothing(_build: Mapping[str, Any]) -> Sequence[str]:
    return ()


def watched(stage: Stage, rules: str, service: str = "image: i") -> Watched:
    project = stage.project(f"services: {{web: {{{service}, develop: {{watch: [{rules}]}}}}}}")
    return read_rules(project, dockerignore.read)


def rule(stage: Stage, text: str, service: str = "image: i") -> Rule:
    [found] = watched(stage, text, service).rules
    return found


def counting(stage: Stage, found: Rule, *names: str) -> list[str]:
    return [name for name in names if found.counts(str(stage.directory / name))]


def test_what_is_below_the_path_counts(stage: Stage) -> None:
    found = rule(stage, "{path: src, action: sync, target: /app}")
    assert counting(stage, found, "src", "src/a", "src/a/b", "srcs", "other", ".") == [
        "src",
        "src/a",
        "src/a/b",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a~", "d/4913", ".a.swp", ".a.swx", "d/.a.swo", ".#a", "#a#", "a___jb_tmp___", "a___jb_old___",
        ".idea/workspace.xml", ".a.kate-swp", "a-go-tmp-umask",
    ],
)  # fmt: skip
def test_what_editors_have_beside_does_not(stage: Stage, name: str) -> None:
    found = rule(stage, "{path: src, action: sync, target: /app}")
    assert counting(stage, found, f"src/{name}") == []
    assert counting(stage, found, "src/a.swift", "src/.git/HEAD", "src/49130") != []


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("node_modules/", ["a.py", "d/a.py", "d/node_modules/x"]),
        ("./a.py", ["d/a.py", "d/node_modules/x", "node_modules/x"]),
        ("'**/node_modules'", ["a.py", "d/a.py"]),
        ("'*.py'", ["d/a.py", "d/node_modules/x", "node_modules/x"]),
        ("'**/*.py', '!d/*.py'", ["d/a.py", "d/node_modules/x", "node_modules/x"]),
    ],
)
def test_ignored_is_by_the_path_of_the_rule(stage: Stage, ignore: str, left: list[str]) -> None:
    found = rule(stage, f"{{path: src, action: sync, target: /app, ignore: [{ignore}]}}")
    names = ("a.py", "d/a.py", "d/node_modules/x", "node_modules/x")
    assert counting(stage, found, *(f"src/{name}" for name in names)) == [f"src/{name}" for name in left]


def test_only_what_is_included_counts(stage: Stage) -> None:
    found = rule(stage, "{path: src, action: sync, target: /app, include: ['*.py', 'static/'], ignore: b.py}")
    names = ("src/a.py", "src/b.py", "src/d/a.py", "src/static/css/a", "src/d")
    assert counting(stage, found, *names) == ["src/a.py", "src/static/css/a"]


def test_everything_can_be_included(stage: Stage) -> None:
    found = rule(stage, "{path: src, action: sync, target: /app, include: '*'}")
    assert counting(stage, found, "src/a", "src/d/a") == ["src/a", "src/d/a"]


def test_the_dockerignore_of_the_build_counts(stage: Stage) -> None:
    stage.write(".dockerignore", "# what is built\nsrc/gen\n**/*.log\n")
    found = rule(stage, "{path: src, action: sync, target: /app}", "build: .")
    assert counting(stage, found, "src/a", "src/gen/a", "src/d/b.log") == ["src/a"]
    assert found.passes_over(str(stage.directory / "src/gen"))
    assert not found.passes_over(str(stage.directory / "src/d"))


def test_the_one_of_the_dockerfile_comes_first(stage: Stage) -> None:
    stage.write(".dockerignore", "src/a\n")
    stage.write("web.Dockerfile.dockerignore", "src/b\n")
    found = rule(
        stage, "{path: src, action: sync, target: /app}", "build: {context: ., dockerfile: web.Dockerfile}"
    )
    assert counting(stage, found, "src/a", "src/b") == ["src/a"]


def test_a_dockerignore_of_everything_hides_nothing(stage: Stage) -> None:
    """As in docker compose: such a file names what the build needs, and sources are not among that."""
    stage.write(".dockerignore", "*\n!requirements.txt\n")
    found = rule(stage, "{path: src, action: sync, target: /app}", "build: .")
    assert counting(stage, found, "src/a") == ["src/a"]


def test_a_directory_is_passed_over_only_where_nothing_is_taken_back(stage: Stage) -> None:
    found = rule(stage, "{path: src, action: sync, target: /app, ignore: [gen, '!gen/kept', lib]}")
    assert not found.passes_over(str(stage.directory / "src/gen"))
    assert found.passes_over(str(stage.directory / "src/lib"))


@pytest.mark.parametrize(
    ("target", "name", "is_directory", "expected"),
    [
        ("/app", "src/a/b", False, "/app/a/b"),
        ("/app/", "src/a", False, "/app/a"),
        ("app", "src/a", False, "/app/a"),
        ("/app", "src", True, "/app"),
        ("/app/", "src", True, "/app"),
        ("/etc/conf", "src", False, "/etc/conf"),
        ("/etc/", "src", False, "/etc/src"),
        ("/", "src/a", False, "/a"),
    ],
)
def test_where_a_path_goes(stage: Stage, target: str, name: str, is_directory: bool, expected: str) -> None:
    found = rule(stage, f"{{path: src, action: sync, target: {target}}}")
    assert found.target_of(str(stage.directory / name), is_directory=is_directory) == expected


def test_an_initial_sync_leaves_out_what_builds(stage: Stage) -> None:
    text = "{path: ., action: sync, target: /app, initial_sync: true, ignore: [c]}"
    found = rule(stage, text, "build: {context: ., dockerfile: web.Dockerfile}")
    names = (
        "a",
        "d/b",
        "c",
        ".git/HEAD",
        "Dockerfile",
        "web.Dockerfile",
        "compose.yaml",
        "d/docker-compose.yml",
        "a~",
    )
    kept = [name for name in names if found.counts_at_first(str(stage.directory / name))]
    assert kept == ["a", "d/b"]
    later = rule(stage, text.replace("true", "false"))
    assert not later.counts_at_first(str(stage.directory / "a"))


def test_links_in_the_path_are_resolved(stage: Stage) -> None:
    (stage.directory / "real").mkdir()
    (stage.directory / "link").symlink_to("real")
    assert rule(stage, "{path: link, action: sync, target: /app}").path == str(stage.directory / "real")


def test_the_command_is_the_one_of_the_rule(stage: Stage) -> None:
    hook = rule(
        stage,
        "{path: a, action: sync+exec, target: /a, exec: {command: [make, it], user: u, working_dir: /w, "
        "environment: {A: b}, privileged: true}}",
    ).hook
    assert hook is not None
    assert (list(hook.command), hook.user, hook.working_dir) == (["make", "it"], "u", "/w")
    assert (list(hook.environment), hook.privileged, hook.interactive, hook.tty) == (
        ["A=b"],
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("text", "service", "message"),
    [
        (
            "{path: a, action: rebuild}",
            "image: i",
            'can\'t watch service "web" with action rebuild without a build',
        ),
        ("{path: a, action: sync+exec, target: /a}", "image: i", "with action sync+exec without a command"),
        ("{path: a, action: sync, target: /a, ignore: ['[']}", "image: i", "invalid pattern in 'ignore'"),
        ("{path: a, action: sync, target: /a, include: ['a\\']}", "image: i", "invalid pattern in 'include'"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_its_place(
    stage: Stage, text: str, service: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("+", r"\+")) as caught:
        watched(stage, text, service)
    assert caught.value.at is not None
    assert caught.value.at.line == 1
    assert caught.value.hint


def test_a_path_that_a_bind_mount_shows_is_not_watched(stage: Stage) -> None:
    rules = (
        "{path: src/a, action: sync, target: /a}, {path: src/b, action: restart}, "
        "{path: c, action: sync, target: /c}"
    )
    found = watched(stage, rules, "image: i, volumes: ['./src:/app']")
    assert [(one.action, os.path.basename(one.path)) for one in found.rules] == [
        ("restart", "b"),
        ("sync", "c"),
    ]
    [warning] = found.warnings
    assert warning == (
        f"path '{stage.directory}/src/a' also declared by a bind mount volume, this path won't be monitored!"
    )


def test_services_are_those_that_have_rules(stage: Stage) -> None:
    project = stage.project(
        "services: {b: {image: i, develop: {watch: [{path: x, action: restart}]}}, a: {image: i},"
        " c: {image: i, develop: {watch: []}}}"
    )
    found = read_rules(project, nothing)
    assert found.services == ("b",)
    assert read_rules(stage.project("services: {a: {image: i}}"), nothing) == Watched(())
