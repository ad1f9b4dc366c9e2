"""Trees of plain values that know where each value was written, and the one walk that all passes share.

A `Map` is a dict, a `Seq` a list; each carries a `Mark` per child, so an origin travels with its value when a
pass moves it. Paths are tuples of keys and indices, never dotted text. A pass is a table from path patterns
to functions (``{("services", "*", "ports"): fn}``, ``"*"`` matches any key or index) and `walk` applies it
bottom-up, making new nodes only where something changed. Nodes that a pass found to be wrong are `INVALID`:
later passes step over them, so that one load can report every error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from composer.errors import Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Path = tuple[str | int, ...]
    Rule = Callable[[Any, Path, Mark], Any]

NOWHERE: Final = Mark("")
WORKLOADS: Final = ("services", "jobs")
"""The sections whose entries become containers; most rules hold for both."""


class Map(dict[str, Any]):
    """A mapping with the marks of its values (``marks``) and of its keys (``names``)."""

    __slots__ = ("marks", "names")

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(items)
        self.marks: dict[str, Mark] = {}
        self.names: dict[str, Mark] = {}

    def put(self, key: str, value: Any, mark: Mark, name: Mark | None = None) -> None:
        """Set a child together with its mark."""
        self[key] = value
        self.marks[key] = mark
        if name is not None:
            self.names[key] = name

    def mark(self, key: str) -> Mark:
        """Return where a value was written."""
        return self.marks.get(key, NOWHERE)

    def name(self, key: str) -> Mark:
        """Return where a key was written; the value's mark when the key was never written."""
        return self.names.get(key) or self.marks.get(key, NOWHERE)

    def take(self, key: str, source: Map, *, under: str | None = None) -> None:
        """Copy a child of ``source`` with its marks, under another key when one is given."""
        new = key if under is None else under
        self[new] = source[key]
        self.marks[new] = source.mark(key)
        name = source.names.get(key)
        if name is not None:
            self.names[new] = name

    def copy(self) -> Map:
        """Return a shallow copy: children are shared, marks are not."""
        new = Map(self)
        new.marks = self.marks.copy()
        new.names = self.names.copy()
        return new

    def drop(self, key: str) -> None:
        """Remove a child and its marks, if it is there."""
        self.pop(key, None)
        self.marks.pop(key, None)
        self.names.pop(key, None)


class Seq(list[Any]):
    """A list with the marks of its items."""

    __slots__ = ("marks",)

    def __init__(self, items: Iterable[Any] = (), marks: Iterable[Mark] = ()) -> None:
        super().__init__(items)
        self.marks: list[Mark] = list(marks)

    def add(self, value: Any, mark: Mark) -> None:
        """Append an item together with its mark."""
        self.append(value)
        self.marks.append(mark)

    def mark(self, index: int) -> Mark:
        """Return where an item was written."""
        return self.marks[index] if index < len(self.marks) else NOWHERE

    def copy(self) -> Seq:
        """Return a shallow copy: items are shared, marks are not."""
        return Seq(self, self.marks)


class LookedUp(str):
    """The name of a variable with the value that it has where it is written: in an included project."""

    value: str

    def __new__(cls, name: str, value: str) -> LookedUp:
        found = super().__new__(cls, name)
        found.value = value
        return found


class _Invalid:
    """The value of a node that was reported as wrong."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()


class Rules:
    """A table of path patterns, compiled to a trie. Every pattern has one function."""

    __slots__ = ("children", "function")

    def __init__(self, table: Mapping[tuple[str, ...], Rule] | None = None) -> None:
        self.function: Rule | None = None
        self.children: dict[str, Rules] = {}
        for pattern, function in (table or {}).items():
            node = self
            for part in pattern:
                node = node.children.setdefault(part, Rules())
            node.function = function


def walk(tree: Any, rules: Rules, path: Path = (), mark: Mark = NOWHERE) -> Any:
    """Return ``tree`` with the rules applied, children before their parents.

    A function gets the value, its path and its mark and returns the new value; the tree that was passed in is
    not changed.
    """
    if tree is INVALID:
        return tree
    if rules.children:
        if isinstance(tree, Map):
            tree = _walk_map(tree, rules.children, path)
        elif isinstance(tree, Seq) and (item := rules.children.get("*")) is not None:
            tree = _walk_seq(tree, item, path)
    if rules.function is not None:
        tree = rules.function(tree, path, mark)
    return tree


def _walk_map(tree: Map, children: Mapping[str, Rules], path: Path) -> Map:
    star = children.get("*")
    new: Map | None = None
    for key in list(tree) if star is not None else [key for key in children if key in tree]:
        rules = children.get(key) or star
        if rules is None:
            continue
        value = tree[key]
        changed = walk(value, rules, (*path, key), tree.mark(key))
        if changed is not value:
            if new is None:
                new = tree.copy()
            new[key] = changed
    return tree if new is None else new


def _walk_seq(tree: Seq, rules: Rules, path: Path) -> Seq:
    new: Seq | None = None
    for index, value in enumerate(tree):
        changed = walk(value, rules, (*path, index), tree.mark(index))
        if changed is not value:
            if new is None:
                new = tree.copy()
            new[index] = changed
    return tree if new is None else new


def find(tree: Any, path: Path) -> Any:
    """Return the value at ``path``, or None when nothing is there."""
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def mark_at(tree: Any, path: Path, *, key: bool = False) -> Mark | None:
    """Return the mark of the value at ``path`` (of its key with ``key``), or of its nearest marked ancestor."""
    found: Mark | None = None
    for position, part in enumerate(path):
        mark = NOWHERE
        if isinstance(tree, Map) and part in tree:
            last = key and position == len(path) - 1
            mark = tree.name(str(part)) if last else tree.mark(str(part))
        elif isinstance(tree, Seq) and isinstance(part, int) and part < len(tree):
            mark = tree.mark(part)
        else:
            break
        if mark is not NOWHERE and mark != NOWHERE:
            found = mark
        tree = tree[part]
    return found


def plain(tree: Any) -> Any:
    """Return a tree of ordinary dicts and lists."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    return tree


def dotted(path: Path) -> str:
    """Return a path as people read it: ``services.web.ports[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
