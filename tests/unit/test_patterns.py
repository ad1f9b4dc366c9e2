"""Patterns that are compiled at their first use: each one is valid, and none is compiled by an import."""

from __future__ import annotations

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import composer
from composer import patterns

PACKAGE = pathlib.Path(composer.__file__).parent


def test_every_pattern_of_the_package_is_one() -> None:
    found = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        if "pattern(" not in path.read_text():
            continue
        module = importlib.import_module(
            ".".join(("composer", *path.relative_to(PACKAGE).with_suffix("").parts))
        )
        for value in vars(module).values():
            for one in value.values() if isinstance(value, dict) else (value,):
                if isinstance(one, patterns._Later):
                    re.compile(*one._given)
                    found += 1
    assert found > 90


def test_it_is_used_as_any_other() -> None:
    later = patterns.pattern(r"(a+)b", re.IGNORECASE)
    assert (match := later.fullmatch("AAB"))
    assert match[1] == "AA"
    assert later.sub("-", "xab ab") == "x- -"
    assert later.pattern == r"(a+)b"
    with pytest.raises(AttributeError):
        _ = later.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", ["ps", "version", "exec -T web true"])
def test_a_command_imports_nothing_that_only_others_need(verb: str, tmp_path: pathlib.Path) -> None:
    """Most of the time of a short command is that of its imports."""
    (tmp_path / "compose.yaml").write_text("name: none\nservices: {web: {image: host}}\n")
    command = [sys.executable, "-X", "importtime", "-m", "composer", "--backend", "namespace", *verb.split()]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PACKAGE.parent),
            "COMPOSER_ROOT": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in result.stderr
    found = {
        line.rpartition("|")[2].strip()
        for line in result.stderr.splitlines()
        if line.startswith("import time")
    }
    assert "click.core" in found
    assert not found & {"ast", "dis", "inspect", "platform", "uuid", "gettext", "locale"}
    if verb == "ps":
        assert not found & {"yaml", "ctypes", "subprocess"}
        assert len(found) <= 160


def test_what_click_asks_later_is_the_real_thing(tmp_path: pathlib.Path) -> None:
    script = """
import composer.starting as start
start.import_click()
import click, uuid, inspect, gettext
assert uuid.UUID(int=1) and inspect.isfunction(start.import_click) and gettext.gettext("a") == "a"
assert click.UUID.convert("12345678-1234-5678-1234-567812345678", None, None) == uuid.UUID(
    "12345678-1234-5678-1234-567812345678")
option = click.Option(["--value"], default=start.import_click, show_default=True, help="One.\\n\\n    Two.")
assert option.help == "One.\\n\\nTwo."
context = click.Context(click.Command("c", params=[option]))
assert "(dynamic)" in option.get_help_record(context)[1]
"""
    subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, check=True, timeout=60)


def test_yaml_is_imported_without_compiling_and_is_the_real_one(tmp_path: pathlib.Path) -> None:
    script = """
import re, threading
import composer.starting as start
from composer import patterns
compile = re.compile
start.import_yaml()
assert re.compile is compile
import yaml, yaml.reader, yaml.resolver
assert type(yaml.reader.Reader.NON_PRINTABLE) is patterns._Later
found = yaml.safe_load("a: [1, 2001-01-01, 0x10, yes, 'b']")["a"]
assert (found[0], str(found[1]), *found[2:]) == (1, "2001-01-01", 16, True, "b")
assert yaml.load("x: 1.5", Loader=yaml.SafeLoader) == {"x": 1.5}
try:
    yaml.load("a: \\x07", Loader=yaml.SafeLoader)
except yaml.YAMLError as error:
    assert "special characters" in str(error)
else:
    raise AssertionError("it was taken")
"""
    subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, check=True, timeout=60)


def test_what_another_thread_compiles_meanwhile_is_compiled_at_once() -> None:
    script = """
import re, sys, threading
import composer.starting as start
found = []
class Watching:
    def find_spec(self, name, path=None, target=None):
        if name == "yaml" and not found:
            other = threading.Thread(target=lambda: found.append(re.compile("a+(?#one that no cache has)")))
            other.start()
            other.join()
        return None
sys.meta_path.insert(0, Watching())
start.import_yaml()
assert type(found[0]) is re.Pattern, found
"""
    subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, check=True, timeout=60)


def test_annotations_that_are_left_are_read_all_the_same() -> None:
    script = """
from __future__ import annotations
import composer.starting as start
start.leave_annotations()
from typing import NamedTuple, Optional, get_type_hints
class Pair(NamedTuple):
    one: int
    other: Optional["Pair"] = None
assert Pair.__annotations__["one"] == "int" and type(Pair.__annotations__["other"]) is str
assert get_type_hints(Pair) == {"one": int, "other": Optional[Pair]}
assert Pair(1) == (1, None)
from pydantic import TypeAdapter
assert TypeAdapter(Pair).validate_python([2, [3, None]]) == Pair(2, Pair(3))
from composer.engine.options import Options
import composer.documents.plans
assert Options().services == ()
"""
    subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, check=True, timeout=60)
