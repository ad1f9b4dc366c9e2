"""Standard streams that are closed, or lead to a full disk: of every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from composer.cli.main import COMMANDS
from tests.unit.cli.console import STACK, Console, states

ROOT = Path(__file__).parents[3]
ARGUMENTS = {
    "alpha": ("viz",),
    "apply": ("missing.json",),
    "attach": ("--no-stdin", "nosuch"),
    "commit": ("web", "made"),
    "completion": ("bash",),
    "cp": ("web:/nosuch", "-"),
    "doctor": None,  # looks at this machine: it has a test of its own
    "events": ("--until", "2026-01-01T00:00:00Z"),
    "exec": ("web", "true"),
    "export": ("-o", "out.tar", "web"),
    "image": ("ls",),
    "login": None,  # asks a registry
    "migrate": ("--from", "docker"),
    "network": ("ls",),
    "plugin": ("remove",),
    "port": ("web", "80"),
    "publish": ("--dry-run", "registry.test/app"),
    "rm": ("-f",),
    "run": ("-d", "web", "true"),
    "scale": ("web=2",),
    "serve": ("--print-units",),
    "shim": ("remove", "nowhere"),
    "stats": ("--no-stream",),
    "system": ("df",),
    "up": ("-d",),
    "url": ("web", "80"),
    "fault": ("clear",),
    "volume": ("ls",),
    "wait": ("--down-project", "nosuch"),
}
FAILING = {"apply", "attach", "cp", "migrate", "unpause", "wait", "watch"}
"""There is no plan, no terminal, no file, nothing paused, nothing that ends, and nothing to watch."""
SILENT = {
    *(
        "build",
        "events",
        "create",
        "down",
        "exec",
        "export",
        "kill",
        "pause",
        "pull",
        "push",
        "restart",
        "rm",
        "scale",
    ),
    *("fault", "plugin", "shim", "start", "stop", "up"),
}
"""What says nothing on standard output."""
VERBS = {
    verb: [verb, *(ARGUMENTS.get(verb, ()) or ())]
    for verb in sorted(COMMANDS, key=lambda verb: (verb in ("down", "kill", "stop", "rm", "pause"), verb))
    if ARGUMENTS.get(verb, ()) is not None
}
"""What stops the stack comes last."""


def codes(directory: Path, closed: str, full: str) -> tuple[dict[str, int], str]:
    """Return the exit code of every verb, and what they all wrote on standard error."""
    program = str(Path(__file__).with_name("streams_program.py"))
    result = subprocess.run(
        [sys.executable, program, closed, full, *map(json.dumps, VERBS.values())],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
            "COMPOSER_ROOT": f"{directory}/root",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    found = map(int, (directory / "codes").read_text().split())
    return dict(zip(VERBS, found, strict=True)), result.stderr


@pytest.mark.parametrize("closed", ["", "0", "1", "2", "01", "12", "012"])
def test_closed_streams_change_nothing(tmp_path: Path, closed: str) -> None:
    found, err = codes(tmp_path, closed, "")
    assert {verb for verb, code in found.items() if code} == FAILING
    assert "Traceback" not in err
    assert "a bug in composer" not in err


@pytest.mark.parametrize("full", ["2"])
def test_progress_that_cannot_be_written_changes_nothing(tmp_path: Path, full: str) -> None:
    found, _ = codes(tmp_path, "", full)
    assert {verb for verb, code in found.items() if code} == FAILING


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    found, err = codes(tmp_path, "", "1")
    assert set(found.values()) == {0, 1}
    assert {verb for verb, code in found.items() if code} == VERBS.keys() - SILENT
    lines = [line for line in err.splitlines() if "standard output" in line]
    assert lines == ["error: cannot write to standard output: no space left on device"] * (
        len(VERBS.keys() - SILENT) - len(FAILING)
    )
    assert "Traceback" not in err
    assert "a bug in composer" not in err


@pytest.mark.parametrize(
    "words", [("--help",), ("up", "--help"), ("--version",), (), ("config", "--services")]
)
def test_help_and_its_like_too(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: i}}")
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "composer", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "error: cannot write to standard output: no space left on device\n"


def test_no_file_lands_on_a_standard_stream(tmp_path: Path) -> None:
    """Of the process as a shell starts it; what it starts has them too."""
    (tmp_path / "compose.yaml").write_text("services: {web: {image: i}}")
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\n"
        "def look():\n"
        "    with open('seen', 'w') as file:\n"
        "        for n in range(3):\n"
        "            print(os.readlink(f'/proc/self/fd/{n}'), os.get_inheritable(n), file=file)\n"
        "atexit.register(look)\n"
    )
    result = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m composer config <&- >&- 2>&-"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "HOME": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert result.returncode == 0
    assert (tmp_path / "seen").read_text() == "/dev/null True\n" * 3


def test_output_is_utf8_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text('services: {web: {image: i, labels: {a: "←"}}}')
    result = subprocess.run(
        [sys.executable, "-m", "composer", "config"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "a: ←".encode() in result.stdout, "UTF-8 whatever the locale"


def test_a_file_that_cannot_be_written(stack: Console) -> None:
    result = stack("config", "-o", "no/such/file")
    assert (result.code, result.err) == (1, "error: cannot write 'no/such/file': no such file or directory\n")


def test_a_reader_that_went_away_from_progress_changes_nothing(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.write(STACK)

    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    assert console("up", "-d", errors=Gone()).code == 0
    assert set(states(console).values()) == {"running"}
