"""Texts of others on a terminal: no name, error or detail of an image, archive or container reaches it as a command."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from pathlib import Path

import pytest

from composer.cli import safe, table
from composer.cli.display import open_display
from composer.cli.lines import Printer
from composer.engine.observed import LogPiece
from composer.engine.operations.row import Resource
from composer.engine.progress import DONE, FAILED, WORKING, Progress
from composer.errors import ComposerError, ImageError
from tests.unit.cli.console import Console, Terminal

PACKAGE = Path(safe.__file__).parents[1]
HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\rd\x7fe\u202ef\udc9bg\nerror: forged\x00"
OURS = re.compile(r"\x1b\[[0-9;]*[mKJAH]|\r(?=\x1b|[^\n])")


def assert_tame(written: str, *, own: bool = False) -> None:
    """No control character but ends of lines; with ``own``, none but those that we write ourselves."""
    rest = OURS.sub("", written) if own else written
    found = [hex(ord(c)) for c in rest if c not in "\n\t" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0)]
    assert found == [], written
    written.encode()  # what cannot be encoded ends the program in the middle of a line


def test_every_control_character_is_shown() -> None:
    for number in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0xDC80, 0xD800):
        shown = safe.line(f"a{chr(number)}b")
        assert shown.isprintable() and shown != "ab", hex(number)
    assert safe.text("two\n\tlines") == "two\n\tlines"
    assert safe.line("two\n\tlines") == "two\\n\\tlines"
    for fine in ("grüße", "日本語", "🙂 e\u0301", "a b"):
        assert safe.line(fine) == safe.text(fine) == fine


def test_a_stream_lets_nothing_through_that_is_not_ours() -> None:
    raw = io.StringIO()
    stream = safe.safe(raw)
    stream.write(f"{HOSTILE}\n")
    assert_tame(raw.getvalue())
    stream.write(safe.paint("31", "red"))
    assert raw.getvalue().endswith("\x1b[31mred\x1b[0m")
    assert safe.safe(stream) is stream


def test_the_mark_of_our_own_sequences_is_not_the_same_twice() -> None:
    """Who knows it could write through it."""
    import subprocess
    import sys

    code = "from composer.cli import safe; print(ascii(safe.ESCAPE))"
    marks = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in "ab"
    }
    assert len(marks) == 2


@pytest.mark.parametrize("mode", ["tty", "plain", "json", "quiet"])
@pytest.mark.parametrize("color", [True, False])
def test_progress_shows_names_and_details_tame(mode: str, color: bool) -> None:
    raw = Terminal()
    display = open_display(mode, raw, output=raw, color=color, title="up")
    resource = Resource("image", HOSTILE)
    display.begin([resource])
    display.progress(Progress(WORKING, resource, "pulling", HOSTILE))
    display.progress(Progress(FAILED, resource, "failed", HOSTILE))
    display.warn(HOSTILE)
    display.settle()
    display.progress(Progress(DONE, resource, "done", HOSTILE))
    display.close()
    assert_tame(raw.getvalue(), own=True)
    if mode in ("plain", "quiet"):
        assert not any(line.startswith("error: forged") for line in raw.getvalue().splitlines())
    if mode == "json":
        assert {json.loads(line).get("message") for line in raw.getvalue().splitlines()} >= {HOSTILE}


def test_a_table_keeps_its_lines() -> None:
    shown = table.render(["NAME", "IMAGE"], [[HOSTILE, "x"], ["short", HOSTILE]])
    assert len(shown.splitlines()) == 3
    assert_tame(shown)


def test_what_a_container_prints_is_passed_on_as_it_is() -> None:
    raw = io.StringIO()
    printer = Printer(raw, raw, color=False)
    printer.add([("id", "web-1")])
    printer.write(LogPiece("id", 0, "stdout", b"\x1b[1mbold\x1b[0m\r\n"))
    assert raw.getvalue() == "web-1  | \x1b[1mbold\x1b[0m\r\n"
    printer.say("id", HOSTILE)
    assert raw.getvalue().count("\n") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["image", "load", "-i", "\x1b[2J\x9b31m.tar"],
        ["image", "inspect", "\x1b[2J\x9b31m"],
        ["image", "tag", "a\x1b[2J", "b\x9b31m"],
        ["-f", "\x1b[2J\x9b31m.yaml", "config"],
        ["logs", "\x1b[2J\x9b31m"],
        ["up", "-d", "\x1b[2J\x9b31m"],
        ["exec", "\x1b[2J\x9b31m", "true"],
        ["cp", "\x1b[2J\x9b31m:/x", "."],
        ["\x1b[2J\x9b31m"],
        ["ps", "--\x1b[2J\x9b31m"],
        ["--progress", "json", "logs", "\x1b[2J\x9b31m"],
    ],
)
def test_no_error_passes_a_name_on_raw(console: Console, arguments: list[str]) -> None:
    console.write("services: {a: {image: 'i:1'}}\n")
    done = console(*arguments)
    assert done.code != 0
    assert_tame(done.out)
    assert_tame(done.err)
    assert "\\x1b[2J" in done.err or "\\u001b[2J" in done.err


def test_an_error_of_several_lines_forges_no_other(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ImageError(f"cannot load '{HOSTILE}'", hint=HOSTILE) from ComposerError(HOSTILE)

    monkeypatch.setattr(console.backend, "load_images", fail)
    done = console("image", "load", "-i", "x")
    assert_tame(done.err)
    assert [line for line in done.err.splitlines() if line.startswith("error:")] == done.err.splitlines()[:1]


def test_documents_for_machines_say_what_they_said(console: Console) -> None:
    """An escape in a JSON document is the character itself."""
    text = "a\x9bb\x7fc\u202ed"
    console.write(f'services: {{a: {{image: "i:1", labels: {{x: {json.dumps(text)}}}}}}}\n')
    console("up", "-d")
    done = console("config", "--format", "json", terminal=True)
    assert_tame(done.out)
    assert json.loads(done.out)["services"]["a"]["labels"] == {"x": text}
    shown = console("ps", "--format", "json")
    assert_tame(shown.out)
    assert text in json.loads(shown.out)["Labels"]


def test_a_project_that_a_program_reads_is_what_was_written(console: Console) -> None:
    text = "a\u202eb"
    console.write(f'services: {{a: {{image: "i:1", labels: {{x: "{text}"}}}}}}\n')
    assert text in console("config").out
    assert "\\u202e" in console("config", terminal=True).out


def test_plans_show_values_tame(console: Console) -> None:
    console.write("services: {a: {image: 'i:1', environment: {A: '1'}}}\n")
    console("up", "-d")
    console.write('services: {a: {image: "i:1", environment: {A: "\\e[2J\\u009b31m\\nx"}}}\n')
    for terminal in (False, True):
        done = console("plan", terminal=terminal)
        assert_tame(done.out, own=True)
        assert "\x1b[2J" not in done.out and "\x9b" not in done.out


def test_nobody_writes_around_the_border() -> None:
    """The process's own streams are named where the context is made; what is raw is a container's output."""
    raw: set[str] = set()
    own: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = str(path.relative_to(PACKAGE))
            if isinstance(node, ast.Attribute) and node.attr == "raw":
                raw.add(name)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "click.echo",
                "click.secho",
            ):
                own.add(name)
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
                own.add(name)
    cli = {name for name in raw if name.startswith("cli/")}
    assert cli == {"cli/safe.py", "cli/lines.py", "cli/terminal.py"}
    # what goes through dial-stdio, or comes from an agent, is between two programs
    own -= {"cli/booting/dialling.py", "faults/agent.py"}
    assert {name for name in own if not name.startswith("runtime/supervision/")} == {"cli/main.py"}


def test_nothing_printable_has_to_be_shown() -> None:
    for pattern in (safe._OF_A_TEXT, safe._OF_A_LINE):
        shown = [
            character for character in map(chr, range(sys.maxunicode + 1)) if re.match(pattern, character)
        ]
        assert len(shown) > 2000
        assert not [character for character in shown if character.isprintable()]
