"""Completion: what is offered where, in the words of the shells' scripts, and in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from composer.cli.completion import SHELLS
from composer.cli.main import COMMANDS
from tests.unit.cli.console import Console

PROJECT = """
    services:
      web: {image: nginx}
      worker: {image: nginx, profiles: [batch]}
      db: {image: "redis:7", profiles: [data, batch]}
"""


class Bash:
    """Asks as the script for bash does, with the cursor at the end of a line."""

    def __init__(self, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        self._console, self._monkeypatch = console, monkeypatch
        monkeypatch.setenv("COMP_WORDBREAKS", " \t\n\"'><=;|&(:")

    def __call__(self, line: str) -> list[str]:
        self._monkeypatch.setenv("COMP_LINE", line)
        self._monkeypatch.setenv("COMP_POINT", str(len(line)))
        result = self._console(_COMPOSER_COMPLETE="bash_complete", COMP_LINE=line)
        assert (result.code, result.err) == (0, "")
        return [one.removeprefix("plain,") for one in result.out.splitlines() if one]


@pytest.fixture
def bash(console: Console, monkeypatch: pytest.MonkeyPatch) -> Bash:
    console.write(PROJECT)
    return Bash(console, monkeypatch)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("composer u", ["unpause", "up", "url"]),
        ("composer --profile d", ["data"]),
        ("composer --profile batch up w", ["web", "worker"]),
        ("composer up w", ["web", "worker"]),
        ("composer up web --no-d", ["--no-deps"]),
        ("composer -p x exec ", ["db", "web", "worker"]),
        ("composer up --scale w", ["web=", "worker="]),
        ("composer scale web=2 wo", ["worker="]),
        ("composer cp w", ["file,w", "web:", "worker:"]),
        ("composer --progress p", ["plain"]),
        ("composer --backend name", ["namespace"]),
        ("composer help gr", ["graph"]),
        ("composer -p ls exec w", ["web", "worker"]),
        ("composer compose -p x exec w", ["web", "worker"]),
        ("composer compose resta", ["restart"]),
        ("composer -p compose exec w", ["web", "worker"]),
        ("composer compose --profile d", ["data"]),
        ("composer image im", ["import"]),
        ("composer image load x", ["file,x"]),
        ("composer --project-directory x", ["dir,x"]),
        ("composer completion z", ["zsh"]),
        ("composer nothing w", ["wait", "watch"]),
        ("composer up --nothing w", ["web", "worker"]),
        ("composer 'up", ["up"]),
    ],
)
def test_what_is_offered(bash: Bash, line: str, expected: list[str]) -> None:
    assert bash(line) == expected


def test_objects_of_the_backend(bash: Bash, console: Console) -> None:
    console.backend.add_image("redis:7")
    console("up", "-d")
    assert bash("composer image rm redis:") == [
        "7"
    ]  # bash takes what is before the colon for a word of its own
    assert bash("composer container logs a") == ["app-web-1"]
    assert bash("composer network inspect a") == ["app_default"]
    assert bash("composer -p a") == ["app"]


def test_nothing_is_said_of_what_is_wrong(bash: Bash, console: Console) -> None:
    console.write("services: {web: {image: [}}")
    assert bash("composer up w") == []
    assert bash("composer u") == ["unpause", "up", "url"]
    (console.directory / "compose.yaml").unlink()
    assert bash("composer up w") == []
    console.backends.clear()
    assert bash("composer image rm r") == []


def test_every_command_can_be_completed(bash: Bash) -> None:
    for verb in COMMANDS:
        assert "--help" in bash(f"composer {verb} --h"), verb


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_for_a_program(console: Console, shell: str) -> None:
    script = console("completion", shell, "--name", "composer-stack").out
    assert "composer-stack" in script
    assert f"_COMPOSER_COMPLETE={shell}_complete" in script
    assert console("completion", "csh").code == 1


TRIES = {
    "bash": """
        source <(composer completion bash)
        compopt() { :; }
        COMP_LINE="composer up w" COMP_POINT=13
        _composer_completion composer
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -u -d "$HOME/dump"
        source <(composer completion zsh)
        compadd() { print -l -- $completions }
        words=(composer up w) CURRENT=3
        _composer_completion
    """,
    "fish": 'composer completion fish | source; complete -C "composer up w"',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_in_the_shell_itself(console: Console, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    console.write(PROJECT)
    environment = {**os.environ, "HOME": str(tmp_path), "COMPOSER_ROOT": str(tmp_path / "root")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        [shell, "-c", TRIES[shell]],
        cwd=console.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["web", "worker"], done.stderr


def test_a_key_fetches_nothing_and_waits_for_nothing(
    bash: Bash, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a key started a program or read what is typed")

    monkeypatch.setattr(subprocess, "Popen", never)
    console.write("include: ['https://example.com/a.git']\nservices: {web: {image: a}}")
    assert bash("composer up w") == []
    for file in ("https://example.com/a.git", "oci://example.com/a", "-"):
        assert bash(f"composer -f {file} up w") == []


HOSTILE = "$(touch owned)'; x"


def test_a_name_is_typed_as_a_word_and_runs_nothing(console: Console, tmp_path: Path) -> None:
    """What a compose file of somebody else calls its profiles stands on the command line once the key was pressed."""
    console.write(f'services: {{web: {{image: nginx, profiles: ["{HOSTILE.replace("$", "$$")}"]}}}}')
    script = """
        source <(composer completion bash)
        compopt() { :; }
        COMP_LINE="composer --profile " COMP_POINT=19
        _composer_completion composer
        eval "set -- ${COMPREPLY[0]}"
        printf '%s|%s' "$#" "$1"
    """
    environment = {**os.environ, "HOME": str(tmp_path), "COMPOSER_ROOT": str(tmp_path / "root")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=console.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"1|{HOSTILE}", done.stderr
    assert not (console.directory / "owned").exists()


def test_a_name_with_a_line_break_is_no_answer(bash: Bash, console: Console) -> None:
    console.write('services: {web: {image: nginx, profiles: ["x\\nplain,injected", "xy"]}}')
    assert bash("composer --profile x") == ["xy"]


@pytest.mark.parametrize(
    ("asks", "variables"), [("bash_complete", {"COMP_LINE": "x", "COMP_POINT": "abc"}), ("zsh_complete", {})]
)
def test_who_asks_in_an_odd_way_gets_no_answer(
    console: Console, monkeypatch: pytest.MonkeyPatch, asks: str, variables: dict[str, str]
) -> None:
    for name in ("COMP_LINE", "COMP_POINT", "COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = console(_COMPOSER_COMPLETE=asks)
    assert (result.code, result.out, result.err) == (0, "", "")
