"""The import arrows of the layout: they point down only, and nothing below the command reads the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "composer"

_VALUES = {"archives", "clusters", "errors", "mounttargets", "opening", "sysctls", "units", "values"}
_SEAM = {f"engine.{name}" for name in ("backend", "inspected", "lacking", "observed", "wanted")}
_CARRIED = {f"runtime.{room}" for room in ("base", "network", "container", "streams", "tasks")}

ALLOWED: dict[str, set[str]] = {
    # layer → what it may import of the package, besides itself; the longest name that fits a module counts
    "errors": set(),
    "units": set(),
    "sysctls": set(),
    "values": set(),
    "clusters": set(),
    "mounttargets": set(),
    "opening": set(),
    "state_root": set(),
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
    "registry": {"errors"},
    "runtime.base": {"errors", "state_root", "values"},
    "runtime.network": {"runtime.base", "errors"},
    "runtime.container": {"runtime.base", "runtime.network", "errors", "sysctls"},
    "runtime.streams": {"runtime.base"},
    "runtime.tasks": {*_CARRIED, "errors"},
    "runtime.supervision": {*_CARRIED, "errors"},
    "runtime.images": {"runtime.base", "registry", *_VALUES},
    "runtime.objects": {*_CARRIED, "runtime.supervision", "runtime.images", "registry", *_VALUES},
    "runtime.engine": {*_CARRIED, "runtime.images", "runtime.objects", "registry", *_VALUES},
    "runtime.host": {
        *_CARRIED,
        "runtime.engine",
        "runtime.supervision",
        "runtime.images",
        "runtime.objects",
        *_VALUES,
    },
    "backends": {
        *_SEAM,
        *_VALUES,
        "",
    },
    "backends.namespace": {
        "runtime",
        "registry",
        *_SEAM,
        *_VALUES,
    },
    "documents": {"errors", "schema.views"},
    "session": {"backends", "engine", "schema", "state_root", "errors"},
    "cli": {
        "session",
        "state_root",
        "documents",
        "engine",
        "schema",
        "backends",
        "runtime",
        "registry",
        "graph",
        *_VALUES,
        "",
    },
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


def layer_of(name: str) -> str:
    """Return the longest layer that a module belongs to."""
    fitting = [layer for layer in ALLOWED if is_below(name, layer)]
    assert fitting, f"{name} belongs to no layer"
    return max(fitting, key=len)


def is_below(name: str, layer: str) -> bool:
    return name == layer or bool(layer and name.startswith(f"{layer}."))


def is_allowed(layer: str, target: str) -> bool:
    return any(is_below(target, allowed) for allowed in (layer, *ALLOWED[layer]))


_PACKAGES = ("runtime",)
"""Packages of rooms: they hold no code."""


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_arrows_point_down(layer: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target or 'the package'}"
        for name, path in modules()
        if name not in _PACKAGES and layer_of(name) == layer
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


_READS_THE_ENVIRONMENT = ("environ", "environb", "getenv", "expanduser", "expandvars", "gettempdir")
"""Attributes of os, os.path and tempfile that do."""


def test_only_the_command_reads_the_environment() -> None:
    wrong = []
    for name, path in modules():
        if name.split(".")[0] == "cli":
            continue
        wrong += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr in _READS_THE_ENVIRONMENT
        ]
    assert not wrong
