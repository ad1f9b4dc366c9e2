"""Error messages for trees that violate the JSON Schema. Imported only for trees that are known to be invalid.

jsonschema finds the errors; of the branches of a ``oneOf`` the one that the value was meant for is followed (its
type fits, its errors are deepest). Every node that was complained about is taken out of the tree, so that later
passes see what is sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import Mark, SchemaError
from composer.schema.problems import did_you_mean
from composer.schema.source import Timestamp
from composer.schema.tree import INVALID, Map, Seq, dotted, mark_at
from composer.schema.validate import first_repeat, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.schema.problems import Problems
    from composer.schema.tree import Path

_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
_NAMED = ("services", "networks", "volumes", "secrets", "configs", "models", "jobs")


class Complaint(NamedTuple):
    """One error of jsonschema: the keyword that failed, its value, the instance and the schema around it."""

    keyword: str
    value: Any
    instance: Any
    schema: Mapping[str, Any]
    path: Path
    below: tuple[tuple[int, Complaint], ...] = ()
    """The errors of the branches of a ``oneOf``, each with the number of its branch."""


def complain(tree: Map, problems: Problems) -> Map:
    """Report all schema errors and return the tree without the invalid nodes."""
    broken: set[Path] = set()
    for error in _errors(tree):
        broken |= _report(error, tree, problems)
    return _without(tree, broken, ()) if broken else tree


def _errors(tree: Map) -> Iterator[Complaint]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "string", lambda _, value: isinstance(value, str) and not isinstance(value, Timestamp)
    )
    make: Any = extend
    validator: Any = make(Draft202012Validator, type_checker=checker)(schema())
    for error in validator.iter_errors(tree):
        yield from _causes(_complaint(error))


def _complaint(error: Any) -> Complaint:
    below = tuple((int(one.schema_path[0]), _complaint(one)) for one in error.context or ())
    return Complaint(
        error.validator,
        error.validator_value,
        error.instance,
        error.schema,
        tuple(error.absolute_path),
        below,
    )


def _causes(error: Complaint) -> list[Complaint]:
    """Return the errors below a ``oneOf`` that say what is really wrong: those of the branch that was meant."""
    if error.keyword != "oneOf" or not error.below:
        return [error]
    branches: dict[int, list[Complaint]] = {}
    for branch, below in error.below:
        branches.setdefault(branch, []).append(below)
    for errors in branches.values():
        if not any(one.keyword == "type" and one.path == error.path for one in errors):
            return [cause for one in errors for cause in _causes(one)]
    return [error]


# ------------------------------------------------------------------ one error


def _report(error: Complaint, tree: Map, problems: Problems) -> set[Path]:
    """Report an error; return the paths of the nodes that are to go."""
    path = error.path
    report = _REPORTS.get(error.keyword)
    if report is None:
        report = _other
    return report(error, path, tree, problems)


def _say(problems: Problems, message: str, at: Mark | None, path: Path, hint: str | None = None) -> None:
    problems.error(message, at, path, hint=hint, kind=SchemaError)


def _subject(path: Path) -> str:
    return f"'{dotted(path)}'" if path else "the file"


def _additional(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    known: dict[str, Any] = error.schema.get("properties", {})
    patterns = [pattern for pattern in error.schema.get("patternProperties", {}) if pattern != "^x-"]
    broken: set[Path] = set()
    for key in error.instance:
        if key in known or (key.startswith("x-") and "^x-" in error.schema.get("patternProperties", {})):
            continue
        if patterns and _matches(patterns, key):
            continue
        broken.add((*path, key))
        at = mark_at(tree, (*path, key), key=True)
        if patterns:
            kind = str(path[-1]).removesuffix("s") if len(path) == 1 and path[0] in _NAMED else "key"
            _say(problems, f"invalid {kind} name '{key}'", at, (*path, key),
                 "use only letters, digits, '.', '_' and '-'")  # fmt: skip
            continue
        _say(problems, _unknown(key, path), at, (*path, key), _remedy(key, path, known, tree))
    return broken


def _matches(patterns: list[str], key: str) -> bool:
    import re

    return any(re.search(pattern, key) for pattern in patterns)


def _unknown(key: str, path: Path) -> str:
    if not path:
        return f"unknown top-level attribute '{key}'"
    if len(path) == 2 and path[0] in _NAMED:
        return f"unknown attribute '{key}' of {str(path[0]).removesuffix('s')} '{path[1]}'"
    return f"unknown attribute '{key}' of '{dotted(path)}'"


_MISPLACED = {
    "env": "environment", "env_vars": "environment", "envfile": "env_file", "cmd": "command", "port": "ports",
    "volume": "volumes", "network": "networks", "depends": "depends_on", "dependson": "depends_on",
    "memory": "mem_limit", "mem": "mem_limit", "cpu": "cpus", "user_id": "user", "name": "container_name",
    "workdir": "working_dir", "health_check": "healthcheck", "restart_policy": "restart", "replicas": "scale",
}  # fmt: skip


def _remedy(key: str, path: Path, known: dict[str, Any], tree: Map) -> str | None:
    meant = _MISPLACED.get(key.lower().replace("-", "_"))
    if meant and meant in known:
        return f"did you mean '{meant}'?"
    near = did_you_mean(key, known)
    if near:
        return near
    whole = schema()
    if not path:
        service = whole["$defs"]["service"]["properties"]
        value = tree.get(key)
        if key in service:
            return f"'{key}' is a service attribute: indent it under 'services: NAME:'"
        if isinstance(value, Map) and ("image" in value or "build" in value):
            return f"if '{key}' is a service, indent it under 'services:'"
    elif len(path) == 2 and path[0] == "services":
        if key in whole["properties"]:
            return f"'{key}' is a top-level attribute: remove its indentation"
        for name in ("build", "deploy", "healthcheck", "logging", "develop"):
            definition = whole["$defs"].get(
                {"deploy": "deployment", "develop": "development"}.get(name, name), {}
            )
            if key in definition.get("properties", {}):
                return f"'{key}' belongs under '{name}:'"
        if isinstance(tree.get("services", {}).get(path[1], {}).get(key), Map):
            return f"if '{key}' is a service, indent it like '{path[1]}'"
    elif len(path) > 2 and path[0] == "services" and key in whole["$defs"]["service"]["properties"]:
        return f"'{key}' is a service attribute: move it up to the service"
    if len(known) <= 12:
        return f"allowed attributes: {', '.join(sorted(known))}" if known else None
    return "custom attributes must start with 'x-'"


def _type(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    wanted = error.value if isinstance(error.value, list) else [error.value]
    return _wrong_type([str(name) for name in wanted], error.instance, path, tree, problems)


def _alternatives(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    """No branch of a ``oneOf`` has the type of the value: say which types there are."""
    wanted: list[str] = []
    for _, below in error.below:
        if below.keyword == "type" and below.path == path:
            wanted.extend(below.value if isinstance(below.value, list) else [below.value])
    if not wanted:
        return _other(error, path, tree, problems)
    return _wrong_type(list(dict.fromkeys(wanted)), error.instance, path, tree, problems)


def _wrong_type(wanted: list[str], value: Any, path: Path, tree: Map, problems: Problems) -> set[Path]:
    if value is INVALID:
        return {path}  # another pass has said what is wrong
    if (
        path
        and isinstance(path[-1], int)
        and wanted[0] == "string"
        and isinstance(value, Map)
        and len(value) == 1
    ):
        hint: str | None = _pair_hint(value)
    else:
        hint = _type_hint(wanted, value, path)
    names = [_WORDS.get(name, name) for name in wanted if name != "null" or len(wanted) == 1]
    words = " or ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)
    _say(problems, f"{_subject(path)} must be {words}, not {_kind(value)}", mark_at(tree, path), path, hint)
    return {path}


def _pair_hint(value: Map) -> str:
    key, item = next(iter(value.items()))
    item = str(item).lower() if isinstance(item, bool) else item
    return f"'- {key}: …' is a mapping in a list: use '- {key}={'' if item is None else item}', or remove the dashes"


def _type_hint(wanted: list[str], value: Any, path: Path) -> str | None:
    if isinstance(value, Timestamp):
        return f'YAML parses it as a date; quote it: "{value}"'
    if path and path[-1] in _DURATIONS and isinstance(value, (int, float)):
        return f"add a unit, such as {value}s"
    if len(path) == 2 and path[0] == "services" and path[1] in schema()["$defs"]["service"]["properties"]:
        return f"if '{path[1]}' is an attribute of the service above, indent it further"
    if "string" in wanted and isinstance(value, (int, float, bool)):
        return f'quote the value: "{str(value).lower() if isinstance(value, bool) else value}"'
    if "array" in wanted and isinstance(value, str):
        return f"use a list: [{value}]"
    if "array" in wanted and isinstance(value, Map):
        return "start each entry with '- '"
    if "object" in wanted and isinstance(value, Seq):
        return "use 'name: value' lines without '- '"
    if "object" in wanted and value is None and path:
        return "indent its content under it, or remove it"
    if value is None:
        return "set a value, or remove it"
    return "use a single value" if isinstance(value, (Map, Seq)) else None


_DURATIONS = frozenset(
    (
        "stop_grace_period",
        "interval",
        "timeout",
        "start_period",
        "start_interval",
        "delay",
        "monitor",
        "window",
    )
)


def _kind(value: Any) -> str:
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, Seq):
        return "a list"
    if isinstance(value, Timestamp):
        return f"the date {value}"
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    shown = value if len(value) <= 40 else value[:39] + "…"
    return f"the string '{shown}'"


def _enum(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    allowed = [str(one) for one in error.value]
    near = did_you_mean(str(error.instance), allowed)
    _say(
        problems,
        f"{_subject(path)} must be one of {', '.join(allowed)}, not '{error.instance}'",
        mark_at(tree, path),
        path,
        near,
    )
    return {path}


def _required(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    missing = [key for key in error.value if key not in error.instance]
    if problems.within(path):
        return {path}
    words = " and ".join(f"'{key}'" for key in missing)
    properties = error.schema.get("properties", {})
    choices = properties.get(missing[0], {}).get("enum") if missing else None
    hint = f"{missing[0]} must be one of {', '.join(choices)}" if choices else None
    _say(
        problems,
        f"{words} {'is' if len(missing) == 1 else 'are'} required in {_subject(path)}",
        mark_at(tree, path),
        path,
        hint,
    )
    return {path}


def _pattern(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    hints = {
        "pull_policy": "must be always, never, missing, if_not_present, build, daily, weekly or every_<duration>",
        "container_name": "use at least two letters, digits, '_', '.' or '-'",
    }
    _say(
        problems,
        f"invalid value '{error.instance}' for {_subject(path)}",
        mark_at(tree, path),
        path,
        hints.get(str(path[-1]) if path else ""),
    )
    return {path}


def _unique(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    pair = first_repeat(list(error.instance)) or (0, 1)
    item = error.instance[pair[1]]
    shown = f": '{item}'" if isinstance(item, (str, int, float)) else ""
    where = (*path, pair[1])
    _say(problems, f"items {pair[0] + 1} and {pair[1] + 1} of {_subject(path)} are equal{shown}",
         mark_at(tree, where), where, "remove one of them")  # fmt: skip
    return {path}


def _bound(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    word = "at least" if error.keyword == "minimum" else "at most"
    _say(
        problems,
        f"{_subject(path)} must be {word} {error.value}, not {error.instance}",
        mark_at(tree, path),
        path,
    )
    return {path}


def _other(error: Complaint, path: Path, tree: Map, problems: Problems) -> set[Path]:
    _say(problems, f"{_subject(path)} is not valid", mark_at(tree, path), path)
    return {path}


_REPORTS = {
    "additionalProperties": _additional,
    "type": _type,
    "oneOf": _alternatives,
    "enum": _enum,
    "required": _required,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "minimum": _bound,
    "maximum": _bound,
}


def _without(tree: Any, broken: set[Path], path: Path) -> Any:
    if path in broken:
        return Map() if not path else INVALID
    if isinstance(tree, Map):
        new = tree.copy()
        for key, value in tree.items():
            below = _without(value, broken, (*path, key))
            if below is INVALID:
                new.drop(key)
            else:
                new[key] = below
        return new
    if isinstance(tree, Seq):
        kept = Seq()
        for index, item in enumerate(tree):
            below = _without(item, broken, (*path, index))
            if below is not INVALID:
                kept.add(below, tree.mark(index))
        return kept
    return tree
