"""Short → long syntax: one shape per attribute from here on.

A table of paths; the functions take what the schema admits. With ``lenient`` (``--no-interpolate``, where texts
still hold ``${…}``) what cannot be parsed stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.schema.golang import go_text, shell_operator
from composer.schema.shortforms import (
    PORT_FORMS,
    parse_device,
    parse_ports,
    parse_volume,
    swallowed_drive,
    unknown_volume_options,
)
from composer.schema.tree import INVALID, NOWHERE, WORKLOADS, Map, Rules, Seq, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.errors import Mark
    from composer.schema.problems import Problems
    from composer.schema.tree import Path, Rule


_NEVER_NULL = frozenset(
    ("build", "depends_on", "env_file", "extends", "gpus", "ports", "ssh", "additional_contexts")
)
MAX_PORTS = 100_000
"""Ranges are short to write; each entry is an entry of the model."""


def canonical(tree: Map, problems: Problems, *, lenient: bool = False) -> Map:
    """Return the tree with every short form expanded."""
    new: Map = walk(tree, _Canonical(problems, lenient).rules(), (), NOWHERE)
    return new


def tree_of(values: Mapping[str, Any], mark: Mark) -> Map:
    """Return plain values as a `Map` whose every child was written at ``mark``."""
    new = Map()
    for key, value in values.items():
        if isinstance(value, dict):
            value = tree_of(value, mark)
        elif isinstance(value, list):
            value = Seq(value, [mark] * len(value))
        new.put(key, value, mark)
    return new


class _Canonical:
    def __init__(self, problems: Problems, lenient: bool) -> None:
        self._problems = problems
        self._lenient = lenient
        self._ports = 0

    def rules(self) -> Rules:
        service: dict[str, Rule] = {
            "build": self._wrap("context"),
            "build.additional_contexts": self.key_values,
            "build.provenance": self.text,
            "build.sbom": self.text,
            "build.secrets.*": self._wrap("source"),
            "configs.*": self._wrap("source"),
            "depends_on": self.depends_on,
            "devices": self.devices,
            "develop.watch.*.ignore": self.string_list,
            "develop.watch.*.include": self.string_list,
            "dns": self.dns,
            "env_file": self.env_file,
            "build.ssh": self.ssh,
            "extends": self._wrap("service"),
            "gpus": self.gpus,
            "label_file": self.string_list,
            "models": self.names,
            "networks": self.names,
            "ports": self.ports,
            "secrets.*": self._wrap("source"),
            "ulimits.*": self.ulimit,
            "environment": self.variables,
            "build.args": self.variables,
            **{f"{hook}.*.environment": self.variables for hook in ("post_start", "pre_stop", "pre_start")},
            "build.ulimits.*": self.ulimit,
            "triggers.schedule.*": self._wrap("cron"),
            "volumes.*": self.volume,
        }
        table: dict[tuple[str, ...], Rule] = {
            (section, "*", *path.split(".")): rule for section in WORKLOADS for path, rule in service.items()
        }
        for section in ("volumes", "networks", "secrets", "configs"):
            table[(section, "*")] = self.external
        return Rules({pattern: self._written(rule, pattern[-1]) for pattern, rule in table.items()})

    def _written(self, rule: Rule, name: str) -> Rule:
        """Return a rule that refuses ``null``: the schema does, but it does not see a service that another extends."""
        if name not in _NEVER_NULL:
            return rule

        def checked(value: Any, path: Path, mark: Mark) -> Any:
            if value is None:
                self._problems.error(
                    f"'{name}' must not be empty", mark, path, hint="set a value, or remove it"
                )
                return INVALID
            return rule(value, path, mark)

        return checked

    def _fail(self, error: ValueError, value: Any, path: Path, mark: Mark, hint: str | None = None) -> Any:
        if self._lenient:
            return value
        self._problems.error(str(error), mark, path, hint=hint)
        return INVALID

    def _wrap(self, key: str) -> Rule:
        def rule(value: Any, path: Path, mark: Mark) -> Any:
            return tree_of({key: value}, mark) if isinstance(value, str) else value

        return rule

    def text(self, value: Any, path: Path, mark: Mark) -> Any:
        return go_text(value) if isinstance(value, bool) else value

    def string_list(self, value: Any, path: Path, mark: Mark) -> Any:
        if value is None or isinstance(value, (Seq, Map)):
            return value
        return Seq([value], [mark])

    def dns(self, value: Any, path: Path, mark: Mark) -> Any:
        """Empty addresses go: ``dns: ${DNS}`` with nothing in it means none."""
        values = self.string_list(value, path, mark)
        if not isinstance(values, Seq) or "" not in values:
            return values
        kept = Seq()
        for index, item in enumerate(values):
            if item != "":
                kept.add(item, values.mark(index))
        return kept

    def ssh(self, value: Any, path: Path, mark: Mark) -> Any:
        """Agent keys: ``default`` or ``id=path`` items → a mapping."""
        if isinstance(value, str):
            return self._fail(
                ValueError("'ssh' must be a list or a mapping"), value, path, mark, f"[{value}]"
            )
        if not isinstance(value, Seq):
            return value
        new = Map()
        for index, item in enumerate(value):
            if item is not INVALID:
                key, equals, text = item.partition("=")
                if not equals and item != "default" and not self._lenient:
                    self._problems.error(
                        f"invalid ssh key '{item}'", value.mark(index), (*path, index),
                        hint="use default, or ID=PATH",
                    )  # fmt: skip
                    continue
                new.put(key, text if equals else None, value.mark(index))
        return new

    def key_values(self, value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, Seq):
            return value
        new = Map()
        for index, item in enumerate(value):
            if item is INVALID:
                continue
            key, equals, text = item.partition("=")
            if not equals and not self._lenient:
                self._problems.error(
                    f"a value is required for '{item}'",
                    value.mark(index),
                    (*path, index),
                    hint=f"use {key}=VALUE",
                )
                continue
            new.put(key, text if equals else None, value.mark(index))
        return new

    def names(self, value: Any, path: Path, mark: Mark) -> Any:
        """A list of names → a mapping without options."""
        if not isinstance(value, Seq):
            return value
        new = Map()
        for index, item in enumerate(value):
            if isinstance(item, str):
                new.put(item, None, value.mark(index), value.mark(index))
            elif item is not INVALID:
                error = ValueError(f"'{path[-1]}' must be a list of names")
                return self._fail(error, value, (*path, index), value.mark(index))
        return new

    def depends_on(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map):
            new = value.copy()
            for name, item in value.items():
                if isinstance(item, Map):
                    item = new[name] = item.copy()
                    for key, default in (("condition", "service_started"), ("required", True)):
                        if (
                            key not in item
                        ):  # condition: in a service that another extends, which has no schema
                            item.put(key, default, value.mark(name)._replace(why="default"))
            return new
        if not isinstance(value, Seq):
            return value
        new = Map()
        for index, item in enumerate(value):
            at = value.mark(index)
            if isinstance(item, str):
                new.put(item, tree_of({"condition": "service_started", "required": True}, at), at, at)
            elif item is not INVALID:
                return self._fail(
                    ValueError("'depends_on' must be a list of names"), value, (*path, index), at
                )
        return new

    def env_file(self, value: Any, path: Path, mark: Mark) -> Any:
        entries = value if isinstance(value, Seq) else Seq([value], [mark])
        new = Seq()
        for index, item in enumerate(entries):
            at = entries.mark(index)
            if isinstance(item, str):
                item = tree_of({"path": item, "required": True}, at)
            elif isinstance(item, Map) and "required" not in item:
                item = item.copy()
                item.put("required", True, at._replace(why="default"))
            new.add(item, at)
        return value if value is None else new

    def gpus(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, str):
            return Seq([tree_of({"count": "all"}, mark)], [mark])
        return value

    def variables(self, value: Any, path: Path, mark: Mark) -> Any:
        """``KEY =value`` in a list would set a variable whose name ends with a space: Compose refuses it."""
        for index, item in enumerate(value if isinstance(value, Seq) else ()):
            key = item.partition("=")[0] if isinstance(item, str) else ""
            if key[-1:].isspace():
                error = ValueError(f"variable '{key}' ends with a space")
                return self._fail(error, value, (*path, index), value.mark(index), f"use {key.strip()}=…")
        return value

    def ulimit(self, value: Any, path: Path, mark: Mark) -> Any:
        """Texts of services were cast before; of builds none are, and ``08`` is a float."""
        if not isinstance(value, (str, float)):
            return value
        error = ValueError(f"ulimit '{path[-1]}' must be an integer, not '{go_text(value)}'")
        return self._fail(error, value, path, mark, "use an unquoted integer")

    def devices(self, value: Any, path: Path, mark: Mark) -> Any:
        return self._expand(value, path, lambda text: [parse_device(text)])

    def ports(self, value: Any, path: Path, mark: Mark) -> Any:
        return self._expand(value, path, parse_ports, PORT_FORMS)

    def _expand(
        self, value: Any, path: Path, parse: Callable[[str], list[dict[str, Any]]], hint: str | None = None
    ) -> Any:
        if not isinstance(value, Seq):
            return value
        new = Seq()
        for index, item in enumerate(value):
            at = value.mark(index)
            if isinstance(item, Map) or item is INVALID:
                new.add(item, at)
                continue
            try:
                if isinstance(item, float):
                    raise ValueError(f"invalid port '{go_text(item)}'")
                entries = parse(go_text(item))
                self._ports += len(entries)
                if self._ports > MAX_PORTS:
                    raise ValueError(f"the project has more than {MAX_PORTS:,} ports and devices")
                for entry in entries:
                    new.add(tree_of(entry, at), at)
            except ValueError as error:
                new.add(self._fail(error, item, (*path, index), at, hint), at)
        return new

    def volume(self, value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, str):
            return value
        try:
            volume = parse_volume(value)
        except ValueError as error:
            return self._fail(error, value, path, mark, "use [source:]target[:options]")
        if not self._lenient:
            for option in unknown_volume_options(value):
                self._problems.warn(
                    f"unknown volume option '{option}' is ignored",
                    mark,
                    hint="valid options: ro, rw, nocopy, z, Z and the propagations (rshared, rslave, …)",
                )
            drive = swallowed_drive(value)
            if drive:
                self._problems.warn(
                    f"'{drive}:' in volume '{value}' is read as a Windows drive letter, not as a volume name",
                    mark,
                    hint=f"use a longer name for volume '{drive}', or {{type: volume, source: {drive}, …}}",
                )
        return tree_of(volume, mark)

    def external(self, value: Any, path: Path, mark: Mark) -> Any:
        """``external: {name: n}`` of version 2 → ``name`` and ``external: true``."""
        if not isinstance(value, Map) or not isinstance(value.get("external"), Map):
            return value
        old, at = value["external"], value.mark("external")
        new = value.copy()
        new.put("external", True, at)
        if "name" in old:
            if "name" in new and new["name"] != old["name"]:
                self._problems.error(
                    "'name' and 'external.name' conflict",
                    old.mark("name"),
                    path,
                    hint="keep 'name' only",
                )
            new.put("name", old["name"], old.mark("name"))
            self._problems.warn(
                f"{path[0]}.{path[1]}: 'external.name' is deprecated",
                at,
                hint=f"use 'external: true' and 'name: {old['name']}'",
            )
        return new


def warn_shell(command: str, path: Path, mark: Mark, problems: Problems) -> None:
    """Warn about a command that reads like shell but is cut at an operator."""
    operator = shell_operator(command)
    if operator is not None:
        problems.warn(
            f"'{path[1]}': {path[-1]} is cut off at '{operator}', because it is not run in a shell",
            mark,
            hint=f'use ["sh", "-c", "…"] as {path[-1]}, or quote the {operator}',
        )
