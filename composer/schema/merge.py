"""Merges an override file into a base file: mappings key by key, lists appended, scalars replaced, and the exceptions.

The exceptions are the table `SPECIAL` (how two values become one) and the table `UNIQUE` (which list items are
the same thing, so that the later one takes the earlier one's place). Files are merged in the form in which they
were written, short syntax beside long; a second pass of `unique` after `canonical` sees what expansion revealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import Mark, MergeError
from composer.schema.golang import go_text
from composer.schema.tree import INVALID, NOWHERE, WORKLOADS, Map, Rules, Seq, dotted, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.problems import Problems
    from composer.schema.tree import Path

    Merger = Callable[[Any, Any, Path, Mark, Mark, "_Merge"], Any]


def merge(base: Map, over: Map, problems: Problems) -> Map:
    """Return ``base`` with ``over`` on top of it. A change of kind is reported and the base is kept."""
    merged: Map = _Merge(problems).maps(base, over, (), _SPECIAL)
    return merged


def merge_service(base: Map, over: Map, name: str, problems: Problems) -> Map:
    """Return a service on top of the one that it extends."""
    rules = _SPECIAL.children["services"].children["*"]
    merged: Map = _Merge(problems).maps(base, over, ("services", name), rules)
    return merged


class _Merge:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def maps(self, base: Map, over: Map, path: Path, rules: _Special | None) -> Map:
        new = base.copy()
        children = rules.children if rules else {}
        star = children.get("*")
        for key, value in over.items():
            if key not in base:
                new.take(key, over)
                continue
            below = children.get(key) or star
            old_mark, new_mark = base.mark(key), over.mark(key)
            merged = self.node(base[key], value, (*path, key), below, old_mark, new_mark)
            if merged is base[key] and value is not merged:
                continue
            new[key] = merged
            if merged is not value and isinstance(merged, (Map, Seq)):
                continue  # put together of both: its place stays where it began
            new.marks[key] = new_mark
            if key in over.names:
                new.names[key] = over.names[key]
        return new

    def node(
        self, old: Any, new: Any, path: Path, rules: _Special | None, old_mark: Mark, new_mark: Mark
    ) -> Any:
        if old is INVALID or new is INVALID:
            return INVALID
        if rules is not None and rules.merger is not None:
            return rules.merger(old, new, path, old_mark, new_mark, self)
        if new is None:
            return old
        if old is None:
            return new
        if isinstance(old, Map):
            if not isinstance(new, Map):
                return self.refuse(old, path, new_mark, "a mapping", new)
            return self.maps(old, new, path, rules)
        if isinstance(old, Seq):
            if not isinstance(new, Seq):
                return self.refuse(old, path, new_mark, "a list", new)
            return Seq([*old, *new], [*old.marks, *new.marks])
        return new

    def refuse(self, old: Any, path: Path, at: Mark, kind: str, new: Any) -> Any:
        self._problems.error(
            f"cannot merge '{dotted(path)}': {kind} in the base file, {_kind(new)} here",
            at,
            path,
            hint="use the same form in both files, or mark this one with !override",
            kind=MergeError,
        )
        return old


def _kind(value: Any) -> str:
    return "a mapping" if isinstance(value, Map) else "a list" if isinstance(value, Seq) else "a single value"


# ------------------------------------------------------------------ how two values become one


def _replace(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    return new


def as_sequence(value: Any, mark: Mark) -> Seq:
    """Return a mapping as ``K=V`` items (sorted; one for each value of a list), a single value as one item."""
    if isinstance(value, Map):
        items = [
            (key if item is None else f"{key}={go_text(one)}", value.mark(key))
            for key, item in value.items()
            for one in (item if isinstance(item, Seq) else (item,))
        ]
        items.sort(key=_first)
        return Seq([text for text, _ in items], [at for _, at in items])
    if isinstance(value, Seq):
        return value
    return Seq() if value is None else Seq([value], [mark])


def _first(pair: tuple[str, Mark]) -> str:
    return pair[0]


def _sequences(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    left, right = as_sequence(old, old_mark), as_sequence(new, new_mark)
    return Seq([*left, *right], [*left.marks, *right.marks])


def _extra_hosts(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    left, right = as_sequence(old, old_mark), as_sequence(new, new_mark)
    both = left.copy()
    for index, item in enumerate(right):
        if item not in both:
            both.add(item, right.mark(index))
    return both


def _mapping(started: Any) -> Merger:
    """Return a merger that turns lists of names into mappings, with ``started`` as every value, and merges those."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Seq) or not all(isinstance(item, str) or item is INVALID for item in value):
            return value
        new = Map()
        for index, item in enumerate(value):
            if item is not INVALID:
                new.put(item, started.copy() if isinstance(started, Map) else started, value.mark(index))
        return new

    def merger(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
        old, new = convert(old), convert(new)
        if new is None or old is None:
            return (old or Map()) if new is None else new
        if not isinstance(old, Map) or not isinstance(new, Map):
            return merge.refuse(old, path, new_mark, _kind(old), new)
        return merge.maps(old, new, path, None)

    return merger


def _networks(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    return _mapping(None)(old, new, path, old_mark, new_mark, merge)


def _build(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    def convert(value: Any, mark: Mark) -> Any:
        if isinstance(value, str):
            whole = Map()
            whole.put("context", value, mark)
            return whole
        return value

    old, new = convert(old, old_mark), convert(new, new_mark)
    if new is None or old is None:
        return old if new is None else new
    if not isinstance(old, Map) or not isinstance(new, Map):
        return merge.refuse(old, path, new_mark, _kind(old), new)
    return merge.maps(old, new, path, _SPECIAL.at("services", "*", "build"))


def _logging(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    if new is None or old is None:
        return old if new is None else new
    if not isinstance(old, Map) or not isinstance(new, Map):
        return merge.refuse(old, path, new_mark, _kind(old), new)
    if "driver" in old and "driver" in new and old["driver"] != new["driver"]:
        return new
    return merge.maps(old, new, path, None)


def _ipam_config(old: Any, new: Any, path: Path, old_mark: Mark, new_mark: Mark, merge: _Merge) -> Any:
    """Merge the lists of ``ipam.config`` by subnet, including Compose's bugs.

    Each entry of the base is merged with every entry of the override that has the same subnet, or whose subnet is
    already in the result; so two base subnets and one override give the override twice. Entries are changed in place,
    also while they are compared.
    """
    for value, mark in ((old, old_mark), (new, new_mark)):
        if not isinstance(value, Seq) or not all(isinstance(item, Map) for item in value):
            return merge.refuse(old, path, mark, "a list of mappings", value)
    found = Seq()
    overrides = [item.copy() for item in new]
    for position, item in enumerate(old):
        below = item.copy()
        for index, over in enumerate(overrides):
            if over.get("subnet") != below.get("subnet") and _with_subnet(found, over) is None:
                found.add(over, new.mark(index))
                continue
            below.update(joined := merge.maps(below, over, (*path, position), None))
            below.marks.update(joined.marks)
            place = _with_subnet(found, below)
            if place is None:
                found.add(below, old.mark(position))
            else:
                found[place] = below
    return found


def _with_subnet(found: Seq, wanted: Map) -> int | None:
    same = (index for index, item in enumerate(found) if item.get("subnet") == wanted.get("subnet"))
    return next(same, None)


class _Special:
    """A trie of the paths that have their own way to be merged."""

    __slots__ = ("children", "merger")

    def __init__(self) -> None:
        self.merger: Merger | None = None
        self.children: dict[str, _Special] = {}

    def at(self, *path: str) -> _Special:
        node = self
        for part in path:
            node = node.children.setdefault(part, _Special())
        return node


def _started() -> Map:
    new = Map()
    for key, value in (("condition", "service_started"), ("required", True)):
        new.put(key, value, Mark("", why="short syntax"))
    return new


_SERVICE: dict[str, Merger] = {
    **dict.fromkeys(
        (
            "annotations", "build.additional_contexts", "build.args", "build.labels", "deploy.labels", "dns",
            "dns_opt", "dns_search", "env_file", "environment", "label_file", "labels", "sysctls", "tmpfs",
            "volumes.*.volume.labels",
        ),
        _sequences,
    ),
    **dict.fromkeys(("command", "entrypoint", "healthcheck.test", "ulimits.*"), _replace),
    "build": _build,
    "build.extra_hosts": _extra_hosts,
    "depends_on": _mapping(_started()),
    "extra_hosts": _extra_hosts,
    "logging": _logging,
    "models": _networks,
    "networks": _networks,
}  # fmt: skip

SPECIAL: dict[tuple[str, ...], Merger] = {
    ("networks", "*", "ipam", "config"): _ipam_config,
    ("networks", "*", "labels"): _sequences,
    ("volumes", "*", "labels"): _sequences,
    **{
        (section, "*", *path.split(".")): merger for section in WORKLOADS for path, merger in _SERVICE.items()
    },
}

_SPECIAL = _Special()
for _pattern, _merger in SPECIAL.items():
    _SPECIAL.at(*_pattern).merger = _merger


# ------------------------------------------------------------------ which items are the same thing


def _by_key(item: Any) -> Any:
    return item.partition("=")[0] if isinstance(item, str) else item


def _by_text(item: Any) -> Any:
    return go_text(item) if isinstance(item, (str, int, float)) else item


def _by_path(item: Any) -> Any:
    return item.get("path") if isinstance(item, Map) else item


def _by_port(item: Any) -> Any:
    if not isinstance(item, Map):
        return go_text(item)
    published, target = item.get("published"), item.get("target")
    # a port as a number and the same as a text are two ports to Compose
    kinds = f"{type(published).__name__}/{type(target).__name__}"
    host, protocol = item.get("host_ip", "0.0.0.0"), item.get("protocol", "tcp")
    return f"{go_text(host)}:{go_text(published)}:{go_text(target)}/{go_text(protocol)} {kinds}"


def _by_target(item: Any) -> Any:
    if isinstance(item, Map):
        return item.get("target")
    from composer.schema.shortforms import parse_volume

    try:
        return parse_volume(item).get("target") if isinstance(item, str) else item
    except ValueError:
        return item


def _by_device(item: Any) -> Any:
    if isinstance(item, Map):
        return item.get("target", item.get("source"))
    if not isinstance(item, str):
        return item
    parts = item.split(":")
    return parts[1] if len(parts) > 1 else item


def _by_mount(prefix: str) -> Callable[[Any], Any]:
    def key(item: Any) -> Any:
        if isinstance(item, Map):
            target = item.get("target")
            return f"{prefix}/{item.get('source')}" if target is None else target
        return f"{prefix}/{item}"

    return key


def _unique(key: Callable[[Any], Any]) -> Callable[[Any, Path, Mark], Any]:
    def rule(value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, Seq) or len(value) < 2:
            return value
        places: dict[Any, int] = {}
        new = Seq()
        for index, item in enumerate(value):
            name = key(item) if item is not INVALID else index
            if isinstance(name, (Map, Seq)):
                name = repr(name)
            place = places.setdefault((type(name) is bool, name), len(new))
            if place == len(new):
                new.add(item, value.mark(index))
            else:
                new[place], new.marks[place] = item, value.mark(index)
        return value if len(new) == len(value) else new

    return rule


UNIQUE: dict[tuple[str, ...], Callable[[Any], Any]] = {
    ("networks", "*", "labels"): _by_key,
    **{
        (section, "*", *path.split(".")): _by_key
        for section in WORKLOADS
        for path in (
            "annotations", "build.additional_contexts", "build.args", "build.labels", "build.tags", "cap_add",
            "cap_drop", "deploy.labels", "dns", "dns_opt", "dns_search", "environment", "labels", "links",
            "networks.*.aliases", "networks.*.link_local_ips", "profiles", "sysctls", "tmpfs",
        )
    },
    **{
        (section, "*", name): key
        for section in WORKLOADS
        for name, key in {
            "configs": _by_mount(""),
            "devices": _by_device,
            "env_file": _by_path,
            "expose": _by_text,
            "ports": _by_port,
            "secrets": _by_mount("/run/secrets"),
            "volumes": _by_target,
        }.items()
    },
}  # fmt: skip

_RULES = Rules({pattern: _unique(key) for pattern, key in UNIQUE.items()})


def is_unique(path: tuple[str, ...]) -> bool:
    """Tell whether the items of the list at a path are unique."""
    return any(
        len(pattern) == len(path) and all(part in ("*", at) for part, at in zip(pattern, path, strict=True))
        for pattern in UNIQUE
    )


def unique(tree: Map) -> Map:
    """Return the tree with list items that mean the same thing reduced to the last one, in the first one's place."""
    new: Map = walk(tree, _RULES, (), NOWHERE)
    return new
