"""The import arrows of the layout: they point down only, and nothing below the command reads the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "composer"

ALLOWED: dict[str, set[str]] = {
    # layer → what it may import of the package, besides itself
    "errors": set(),
    "units": set(),
    "sysctls": set(),
    "values": set(),
    "mounttargets": set(),
    "opening": set(),
    "archives": {"errors"},
    "schema": {"errors", "mounttargets", "opening", "sysctls", "units", "values"},
    "graph": {"schema.model", "schema.load", "errors"},
    # hashing is over the JSON text that the renderer writes
    "engine": {
        "graph",
        "schema.load",
        "schema.model",
        "schema.render",
        "archives",
        "errors",
        "opening",
        "units",
        "",
    },
    "backends": {
        "engine.backend",
        "engine.facts",
        "engine.observed",
        "engine.wanted",
        "archives",
        "errors",
        "mounttargets",
        "units",
        "sysctls",
        "values",
        "",
    },
    "cli": {"engine", "schema", "backends", "graph", "archives", "errors", "mounttargets", "units", ""},
}
"""``""`` is the package itself: its version."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name and name != "__main__":
            yield name, path


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the package's own modules that a file imports, at any depth, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "composer":
                for alias in node.names:
                    is_module = (PACKAGE / alias.name).exists() or (PACKAGE / f"{alias.name}.py").exists()
                    yield node.lineno, alias.name if is_module else ""
            elif node.module.startswith("composer."):
                base = node.module.removeprefix("composer.")
                for alias in node.names:
                    deeper = PACKAGE / base.replace(".", "/") / alias.name
                    is_module = deeper.exists() or deeper.with_suffix(".py").exists()
                    yield node.lineno, f"{base}.{alias.name}" if is_module else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "composer":
                    yield node.lineno, alias.name.removeprefix("composer").removeprefix(".")


def is_allowed(layer: str, target: str) -> bool:
    if target.split(".")[0] == layer:
        return True
    return any(
        target == allowed or (allowed and target.startswith(f"{allowed}.")) for allowed in ALLOWED[layer]
    )


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_arrows_point_down(layer: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target or 'the package'}"
        for name, path in modules()
        if name.split(".")[0] == layer
        for line, target in imports(path)
        if not is_allowed(layer, target)
    ]
    assert not wrong


def test_a_backend_knows_no_other_backend() -> None:
    wrong = []
    for name, path in modules():
        parts = name.split(".")
        if parts[0] != "backends" or len(parts) < 2:
            continue
        family = parts[1].partition("_")[0]
        for line, target in imports(path):
            other = target.split(".")
            if other[0] == "backends" and len(other) > 1 and other[1].partition("_")[0] != family:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {target}")
    assert not wrong


def test_only_the_command_reads_the_environment() -> None:
    wrong = []
    for name, path in modules():
        if name.split(".")[0] == "cli":
            continue
        wrong += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
        ]
    assert not wrong
