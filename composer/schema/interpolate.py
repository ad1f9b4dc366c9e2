"""``${…}`` in values, never in keys; then the casts of attributes that are numbers or booleans.

`substitute` is Compose's grammar and knows nothing of trees: env files use it too. Values that a variable brings
in are not looked at again. A ``$`` that starts nothing stays as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import InterpolationError, Mark
from composer.patterns import pattern
from composer.schema.tree import INVALID, WORKLOADS, Map, Seq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.schema.problems import Problems

    Lookup = Callable[[str], str | None]
    Missing = Callable[[str], None]

_NAME = pattern(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = pattern(r":?[-+?]")
_BRACE = pattern("[{}]")
_MAX_NESTING = 20
_MAX_CHARS = 1 << 20
"""A variable may be long, and several of them longer; lists of doublings end here."""
_MAX_TOTAL = 64 << 20
MAX_TEMPLATES = 1 << 20
"""How much text of one document may hold a ``$``; nesting reads it once per level."""


class Variables(NamedTuple):
    """What ``${…}`` sees, and where each variable was set (``".env:3"``; absent for the shell's own)."""

    values: Mapping[str, str]
    origins: Mapping[str, str]

    def why(self, name: str) -> str:
        """Return the words for a mark: which variable, and who set it."""
        if name not in self.values:
            return f"variable {name}, not set"
        origin = self.origins.get(name)
        return f"variable {name} from {origin}" if origin else f"environment variable {name}"


class TemplateError(ValueError):
    """A template (a string with ``${…}``) cannot be interpolated. ``hint`` is the remedy."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def substitute(text: str, lookup: Lookup, missing: Missing | None = None, *, depth: int = 0) -> str:
    """Return ``text`` with every variable replaced. ``missing`` hears of those that are not set and have no default.

    Raises TemplateError.
    """
    if depth > _MAX_NESTING:
        raise TemplateError("variables are nested too deeply")
    out: list[str] = []
    position = size = 0
    while (dollar := text.find("$", position)) >= 0:
        out.append(text[position:dollar])
        if size > _MAX_CHARS:
            raise TemplateError(f"the value expands to too much text (limit: {_MAX_CHARS >> 20} MiB)")
        follow = text[dollar + 1 : dollar + 2]
        if follow == "$":
            out.append("$")
            position = dollar + 2
        elif follow == "{":
            close = _closing_brace(text, dollar + 2)
            if close < 0:
                raise _invalid(text[dollar : dollar + 80])
            out.append(_braced(text[dollar + 2 : close], text[dollar : close + 1], lookup, missing, depth))
            position = close + 1
        elif name := _NAME.match(text, dollar + 1):
            out.append(_value(name[0], lookup, missing))
            position = name.end()
        else:
            out.append("$")
            position = dollar + 1
        size += len(out[-1])
    out.append(text[position:])
    return "".join(out)


def variables_in(text: str) -> list[tuple[str, str, str]]:
    """Return (name, operator, operand) of every variable in a template, nested ones after their parent."""
    found: list[tuple[str, str, str]] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        follow = text[dollar + 1 : dollar + 2]
        position = dollar + 2
        if follow == "{":
            close = _closing_brace(text, dollar + 2)
            name = _NAME.match(text, dollar + 2)
            if close < 0 or not name:
                continue
            operator = _OPERATOR.match(text, name.end())
            operand = text[operator.end() : close] if operator else ""
            found.append((name[0], operator[0] if operator else "", operand))
            found.extend(variables_in(operand))
            position = close + 1
        elif follow != "$" and (name := _NAME.match(text, dollar + 1)):
            found.append((name[0], "", ""))
            position = name.end()
    return found


def _closing_brace(text: str, start: int) -> int:
    """Return the index of the brace that closes the one before ``start``; -1 when none does.

    Braces that are left open inside a default do not count when there is a later one on the line to close.
    """
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    newline = text.find("\n", start)
    return text.rfind("}", start, newline if newline >= 0 else len(text))


def _braced(body: str, whole: str, lookup: Lookup, missing: Missing | None, depth: int) -> str:
    name = _NAME.match(body)
    if not name or "\n" in body:  # Compose's grammar ends with the line
        raise _invalid(whole)
    operator = _OPERATOR.match(body, name.end())
    if not operator:
        if name.end() != len(body):
            raise _invalid(whole)
        return _value(name[0], lookup, missing)
    value = lookup(name[0])
    present = bool(value) if operator[0][0] == ":" else value is not None
    action = operator[0][-1]
    used = present if action == "+" else not present
    # Compose replaces the operand even when it is not used, so what is wrong in it is wrong; only warnings wait
    operand = substitute(body[operator.end() :], lookup, missing if used else None, depth=depth + 1)
    if action == "+":
        return operand if present else ""
    if present:
        return value or ""
    if action == "-":
        return operand
    reason = operand
    raise TemplateError(
        f"required variable '{name[0]}' is missing a value" + (f": {reason}" if reason else ""),
        f"set {name[0]} in the environment or in .env",
    )


def _value(name: str, lookup: Lookup, missing: Missing | None) -> str:
    value = lookup(name)
    if value is None:
        if missing is not None:
            missing(name)
        return ""
    return value


def _invalid(template: str) -> TemplateError:
    shown = template if len(template) <= 60 else template[:57] + "…"
    return TemplateError(
        f"invalid interpolation format '{shown}'",
        "use ${NAME}, ${NAME:-default}, ${NAME:?error} or ${NAME:+replacement}; escape a literal $ as $$",
    )


# ------------------------------------------------------------------ the pass

_ATOI = pattern(r"[-+]?[0-9]+")
_GO_FLOAT = pattern(
    r"[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:inf|infinity)|nan", re.IGNORECASE
)
_TRUE, _FALSE = frozenset({"true", "y", "yes", "on"}), frozenset({"false", "n", "no", "off"})


class CastError(ValueError):
    """A string cannot be converted to the type of its attribute. ``hint`` is the remedy."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def to_int(text: str) -> int:
    """Return the decimal number of a text. Raises CastError."""
    if len(text) > 20 or not _ATOI.fullmatch(text):
        raise CastError(f"'{text[:40]}' is not an integer", "use digits only, such as 3")
    return int(text)


def to_float(text: str) -> float:
    """Return the number of a text. Raises CastError."""
    if not _GO_FLOAT.fullmatch(text):
        raise CastError(f"'{text}' is not a number", "use digits, such as 2 or 0.5")
    return float(text)


def to_bool(text: str) -> bool:
    """Return the truth of ``true``, ``yes``, ``y``, ``on`` and their opposites. Raises CastError."""
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise CastError(f"'{text}' is not a boolean", "use true or false")


_INT = (
    *(f"{section}.*.{name}" for section in WORKLOADS for name in (
        "cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime",
        "cpu_shares", "deploy.replicas", "deploy.update_config.parallelism", "deploy.rollback_config.parallelism",
        "deploy.restart_policy.max_attempts", "deploy.placement.max_replicas_per_node", "healthcheck.retries",
        "oom_score_adj", "pids_limit", "ports.*.target", "scale", "ulimits.*", "ulimits.*.hard", "ulimits.*.soft",
    )),
)  # fmt: skip
_FLOATS = (
    *(f"{section}.*.{name}" for section in WORKLOADS for name in (
        "cpu_percent", "cpus", "deploy.update_config.max_failure_ratio", "deploy.rollback_config.max_failure_ratio",
    )),
)  # fmt: skip
_BOOLS = (
    *(f"{section}.*.{name}" for section in WORKLOADS for name in (
        "depends_on.*.required", "depends_on.*.restart", "healthcheck.disable", "init", "oom_kill_disable",
        "privileged", "read_only", "stdin_open", "triggers.manual", "tty",
        "volumes.*.read_only", "volumes.*.volume.nocopy",
    )),
    *(f"networks.*.{name}" for name in ("external", "internal", "attachable", "enable_ipv4", "enable_ipv6")),
    *(f"{section}.*.external" for section in ("volumes", "secrets", "configs")),
)  # fmt: skip


class _Casts:
    """A trie of the typed paths."""

    __slots__ = ("cast", "children")

    def __init__(self) -> None:
        self.cast: Callable[[str], Any] | None = None
        self.children: dict[str, _Casts] = {}


def _build_casts() -> _Casts:
    root = _Casts()
    for paths, cast in ((_INT, to_int), (_FLOATS, to_float), (_BOOLS, to_bool)):
        for path in paths:
            node = root
            for part in path.split("."):
                node = node.children.setdefault(part, _Casts())
            node.cast = cast
    return root


_CASTS = _build_casts()


def interpolate(tree: Any, variables: Variables, problems: Problems) -> Any:
    """Return the tree with every value interpolated and the typed ones cast."""
    return _Interpolation(variables, problems).node(tree, _CASTS, Mark(""))[0]


class _Interpolation:
    def __init__(self, variables: Variables, problems: Problems) -> None:
        self._variables = variables
        self._problems = problems
        self._path: list[str | int] = []
        self._size = self._read = 0

    def node(self, value: Any, casts: _Casts | None, mark: Mark) -> tuple[Any, Mark]:
        """Return the new value and its new mark."""
        kind = type(value)
        if kind is str:
            if "$" in value:
                return self._template(value, casts, mark)
            if casts is not None and casts.cast is not None:
                return self._cast(value, casts.cast, mark), mark
            return value, mark
        if kind is Map:
            return self._map(value, casts), mark
        if kind is Seq:
            return self._seq(value, casts), mark
        return value, mark

    def _map(self, tree: Map, casts: _Casts | None) -> Map:
        new: Map | None = None
        marks = tree.marks
        children = casts.children if casts is not None else None
        star = children.get("*") if children else None
        for key, value in tree.items():
            self._path.append(key)
            mark = marks[key]
            under = (children.get(key) or star) if children else None
            changed, changed_mark = self.node(value, under, mark)
            self._path.pop()
            if changed is not value or changed_mark is not mark:
                if new is None:
                    new = tree.copy()
                new[key] = changed
                new.marks[key] = changed_mark
        return tree if new is None else new

    def _seq(self, tree: Seq, casts: _Casts | None) -> Seq:
        new: Seq | None = None
        under = casts.children.get("*") if casts is not None else None
        for index, value in enumerate(tree):
            self._path.append(index)
            mark = tree.marks[index]
            changed, changed_mark = self.node(value, under, mark)
            self._path.pop()
            if changed is not value or changed_mark is not mark:
                if new is None:
                    new = tree.copy()
                new[index] = changed
                new.marks[index] = changed_mark
        return tree if new is None else new

    def _template(self, text: str, casts: _Casts | None, mark: Mark) -> tuple[Any, Mark]:
        self._read += len(text)
        if self._read > MAX_TEMPLATES:
            self._problems.error(
                f"templates are too large (limit: {MAX_TEMPLATES >> 20} MiB)", mark, tuple(self._path)
            )
            return INVALID, mark
        values = self._variables.values
        used: list[str] = []

        def lookup(name: str) -> str | None:
            if name not in used:
                used.append(name)
            return values.get(name)

        def missing(name: str) -> None:
            self._problems.warn(
                f'The "{name}" variable is not set. Defaulting to a blank string.',
                mark,
                hint=f"set {name}, or use ${{{name}:-}} if an empty value is intended, or $$ for the character $",
            )

        try:
            new: Any = substitute(text, lookup, missing)
        except TemplateError as error:
            self._problems.error(
                str(error), mark, tuple(self._path), hint=error.hint, kind=InterpolationError
            )
            return INVALID, mark
        self._size += len(new)
        if self._size > _MAX_TOTAL:
            self._problems.error(
                f"variables expand to too much text (limit: {_MAX_TOTAL >> 20} MiB)", mark, tuple(self._path)
            )
            return INVALID, mark
        if used:
            mark = mark._replace(why=", ".join(self._variables.why(name) for name in used))
        if casts is not None and casts.cast is not None:
            new = self._cast(new, casts.cast, mark)
        return new, mark

    def _cast(self, text: str, cast: Callable[[str], Any], mark: Mark) -> Any:
        try:
            value = cast(text)
        except CastError as error:
            name = next((part for part in reversed(self._path) if isinstance(part, str)), "value")
            self._problems.error(
                f"'{name}': {error}", mark, tuple(self._path), hint=error.hint, kind=InterpolationError
            )
            return INVALID
        if cast is to_bool and text.lower() not in ("true", "false"):
            self._problems.warn(
                f"'{text}' is read as the boolean {str(value).lower()}, but is a string in YAML 1.2",
                mark,
                hint="use true or false",
            )
        return value
