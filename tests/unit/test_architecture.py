"""The layout: imports point down only and in no circle, folders stay small, what the keeper carries needs nobody.

Nothing below the command reads the environment.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

from composer.cli.main import COMMANDS
from composer.runtime.supervision import code

PACKAGE = Path(__file__).parents[2] / "composer"

_VALUES = {
    "archives",
    "attributes",
    "dates",
    "errors",
    "opening",
    "parallel",
    "patterns",
    "references",
    "sysctls",
    "units",
    "unusable",
    "values",
    "version",
}
_SEAM = {
    f"engine.{name}"
    for name in ("backend", "inspected", "lacking", "observed", "resolving.installed", "wanted")
}
_CARRIED = {f"runtime.{room}" for room in ("base", "network", "container", "streams", "tasks")}

ALLOWED: dict[str, set[str]] = {
    # layer → what it may import of the package, besides itself; the longest name that fits a module counts
    "errors": set(),
    "patterns": set(),
    # the process's own: before anything else of the package is there
    "bundle": set(),
    "starting": set(),
    "units": set(),
    "sysctls": set(),
    "values": set(),
    "dates": set(),
    "attributes": set(),
    "opening": set(),
    "state_root": set(),
    "userconfig": {"errors"},
    "parallel": set(),
    "version": set(),
    "archives": {"errors"},
    # names of images are text that the loader, the plan, the command and every backend look at: one grammar for all
    "references": {"errors"},
    "unusable": {"errors", "references", "values"},
    "schema": {"errors", "opening", "references", "sysctls", "units", "unusable", "values"},
    "graph": {"schema.model", "schema.load", "errors"},
    # hashing is over the JSON text that the renderer writes
    "engine": {
        "graph",
        "schema.load",
        "schema.model",
        "schema.render",
        "schema.tree",
        "archives",
        "attributes",
        "errors",
        "unusable",
        "userconfig",
        "values",
        "opening",
        "references",
        "state_root",
        "units",
        "version",
    },
    "registry": {"errors", "references", "userconfig"},
    "runtime.base": {"errors", "state_root"},
    "runtime.network": {"runtime.base", "errors"},
    "runtime.container": {"runtime.base", "runtime.network", "errors", "sysctls"},
    "runtime.streams": {"runtime.base"},
    "runtime.tasks": {*_CARRIED, "errors"},
    "runtime.supervision": {*_CARRIED, "errors"},
    "runtime.images": {"runtime.base", "registry", *_VALUES},
    "runtime.objects": {*_CARRIED, "runtime.supervision", "runtime.images", "registry", *_VALUES},
    "runtime.build": {*_CARRIED, "runtime.images", "runtime.objects", "registry", *_VALUES},
    "runtime.snapshots": {"runtime.base", "runtime.objects", "errors"},
    "runtime.engine": {
        *_CARRIED,
        "runtime.build",
        "runtime.images",
        "runtime.objects",
        "runtime.snapshots",
        "registry",
        *_VALUES,
    },
    "runtime.host": {
        *_CARRIED,
        "runtime.build",
        "runtime.engine",
        "runtime.supervision",
        "runtime.images",
        "runtime.objects",
        "runtime.snapshots",
        *_VALUES,
    },
    # every backend asks credentials of the same files in the same way, and keeps what it found out in one place
    "backends": {
        *_SEAM,
        "registry",
        "state_root",
        "userconfig",
        *_VALUES,
    },
    "backends.namespace": {
        "runtime",
        "registry",
        "userconfig",
        *_SEAM,
        *_VALUES,
    },
    "documents": {"errors", "schema.views"},
    # what a build leaves out of its context, a watch does not tell: the patterns are the builder's
    "watching": {"engine", "runtime.build.context", "schema.model", "errors"},
    "session": {"archives", "backends", "engine", "schema", "state_root", "errors"},
    # files from elsewhere: the only place where the loader's wishes, git and registries meet
    "session.remote": {"schema", "registry", "runtime.base", "runtime.build", "references", "errors"},
    "session.publishing": {"session.remote", "schema", "registry", "references", "errors"},
    # the Python API: what the command line does, for programs; `""` is where its names are, and nothing imports it
    "": {"stacks", "errors", "schema.model", "version"},
    "faults": {"errors", "runtime.network.nftables", "runtime.base.syscalls"},
    "stacks": {"faults", "session", "backends", "engine", "schema", "errors", "state_root", "values"},
    # tests of other people's projects begin where programs do
    "testing": {"backends.choice", "stacks", "session", "engine", "schema", "errors", "values"},
    # a second door to the runtime: the table of attributes is the backend's, see docs/adr/0016
    "api": {"backends.namespace", "engine.wanted", "runtime", "registry", *_VALUES},
    "cli": {
        "api",
        "faults",
        "stacks",
        "session",
        "starting",
        "state_root",
        "userconfig",
        "watching",
        "documents",
        "engine",
        "schema",
        "backends",
        "runtime",
        "registry",
        "graph",
        *_VALUES,
    },
}
"""``""`` is the package itself: it hands on names of its uppermost rooms, so whoever imports it is above them."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name and name != "__main__":
            yield name, path


@functools.cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
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
    return any(is_below(target, allowed) for allowed in (layer, "patterns", *ALLOWED[layer]))


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


_SURROUNDED = ("stacks.surroundings", "testing.plugin", "testing.reaping")
"""What is not a command and is in a process all the same."""


def test_only_the_command_reads_the_environment() -> None:
    wrong = []
    for name, path in modules():
        if name.split(".")[0] == "cli" or name in _SURROUNDED:
            continue
        wrong += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr in _READS_THE_ENVIRONMENT
        ]
    assert not wrong


# ---------------------------------------------------------------------------- circles


def import_graph() -> nx.DiGraph[str]:
    """Return who imports whom, for types and within functions too. A package that only hands names on is nobody."""
    known = {name: path for name, path in modules() if path.name != "__init__.py"}
    packages = {name for name, path in modules() if path.name == "__init__.py"}
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name, path in known.items():
        for _, target in imports(path):
            found = target if target in known else target.rpartition(".")[0] if target else ""
            if found in known and found != name:
                graph.add_edge(name, found)
            elif found not in known and target not in packages:
                assert target == "" or found in packages, f"{name} imports {target}, which is nowhere"
    return graph


def test_no_circle_of_imports() -> None:
    graph = import_graph()
    assert graph.number_of_edges() > 1000  # it has seen the package
    assert not [sorted(found) for found in nx.strongly_connected_components(graph) if len(found) > 1]


# ---------------------------------------------------------------------------- siblings

_MOST_SIBLINGS = 24
_CROWDED = {".": 32, "cli": 37, "cli/commands": len(COMMANDS), "schema": 34}
"""Folders above that number, and how many they have: none grows, but for one file for each command."""


def test_no_folder_above_its_number_of_siblings() -> None:
    counts = {}
    for folder in (PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())):
        entries = [
            path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
        ]
        counts[str(folder.relative_to(PACKAGE))] = sum(path.name != "__init__.py" for path in entries)
    assert counts["runtime/tasks"] > 10  # it has seen the package
    most = {name: _CROWDED.get(name, _MOST_SIBLINGS) for name in counts}
    assert not {name: count for name, count in counts.items() if count > most[name]}


# ---------------------------------------------------------------------------- what the keeper carries


def test_what_the_keeper_carries_is_there_without_the_package() -> None:
    """Functions' own imports included: the package may be gone when they run. For types nothing is imported."""
    root = PACKAGE.parent
    carried = code._sources(str(root))
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in carried}
    assert {"composer.errors", "composer.runtime.supervision.supervisor"} <= names
    wrong = [
        f"{source}:{line} imports {target}"
        for source in carried
        for line, target in _imported_when_run(ast.parse((root / source).read_text()))
        if target.partition(".")[0] not in sys.stdlib_module_names and target not in names
    ]
    assert not wrong


def _imported_when_run(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the modules of whoever's that are imported, without those under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from _imported_when_run(other)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module
            for alias in node.names:
                deeper = PACKAGE.parent / node.module.replace(".", "/") / alias.name
                is_module = deeper.is_dir() or deeper.with_suffix(".py").exists()
                yield node.lineno, f"{node.module}.{alias.name}" if is_module else node.module
        yield from _imported_when_run(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    import yaml", ["yaml"]),
        ("from composer.runtime import images", ["composer.runtime.images"]),
        ("from composer.values import Value", ["composer.values"]),
        (
            "if TYPE_CHECKING:\n    from composer.schema import model\nelse:\n    def f():\n        import os",
            ["os"],
        ),
        ("try:\n    import pydantic\nexcept ImportError:\n    pass", ["pydantic"]),
    ],
)
def test_imports_are_found_wherever_they_stand(text: str, expected: list[str]) -> None:
    assert [name for _, name in _imported_when_run(ast.parse(text))] == expected


def test_files_have_one_concern_and_few_lines() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}: {lines} lines"
        for _, path in modules()
        if (lines := len(path.read_text().splitlines())) > 600
    ]
    assert not long
