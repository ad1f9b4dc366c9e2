"""Templates of ``--format``: the part of Go's text/template that people write on a command line.

    {{.Name}} {{.State.Health}} {{index .Ports 0}} {{(index .Mounts 0).Source}} {{.Label "key"}} {{json .}}
    {{range $i, $port := .Ports}} … {{else}} … {{end}}   {{if and .Name (ne .State "exited")}} … {{else if …}} … {{end}}
    {{with .Labels}} … {{end}}   {{.Name | lower | printf "%-20s|"}}   {{- trimmed -}}   {{$x := .ID}}

`Record` is what Go has as a struct: an unknown field is an error that names those that there are. A plain mapping is a
Go map: a missing key is ``<no value>``. Not there, and said so: define, template, block, break, continue. Reference: https://pkg.go.dev/text/template,
https://docs.docker.com/engine/cli/formatting/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from composer.cli.record import NO_VALUE, Record, to_json
from composer.patterns import pattern

_ACTION = pattern(r"\{\{(?P<left>-(?=\s))?(?P<body>.*?)(?P<right>(?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = pattern(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>[-+]?\d+(?:\.\d+)?)|(?P<variable>\$\w*)"""
    r"""|(?P<field>\.\w+|\.)|(?P<word>\w+)|(?P<sign>:=|[|(),=]))"""
)
_UNSUPPORTED = ("define", "template", "block", "break", "continue")
_VERB = pattern(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([vsqdxXtfgeTc%])")


def fault(text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint="--format")


class Scope(NamedTuple):
    """Where a template is: the dot, and the variables; ``$`` is the first of them."""

    dot: Any
    variables: dict[str, Any]


Node = Callable[[Scope], str]
Expression = Callable[[Scope], Any]


class Template:
    """A template, ready to be filled in."""

    def __init__(self, text: str) -> None:
        self._nodes = _Parser(text).parse()

    def render(self, data: Any) -> str:
        scope = Scope(data, {"$": data})
        return "".join(node(scope) for node in self._nodes)


# ------------------------------------------------------------------ text and actions


class _Parser:
    def __init__(self, text: str) -> None:
        self._pieces = list(_pieces(text))
        self._position = 0

    def parse(self) -> list[Node]:
        nodes, end = self._list()
        if end is not None:
            raise fault(f"unexpected {{{{{end}}}}}")
        return nodes

    def _list(self) -> tuple[list[Node], str | None]:
        """Read up to the end of the text, or to an ``end`` or ``else``, which is returned."""
        nodes: list[Node] = []
        while self._position < len(self._pieces):
            is_action, text = self._pieces[self._position]
            self._position += 1
            if not is_action:
                nodes.append(_literal(text))
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                return nodes, text
            if word in _UNSUPPORTED:
                raise fault(f"'{word}' is not supported in templates")
            if word in ("if", "with", "range"):
                nodes.append(self._block(word, rest))
            elif text and not (text.startswith("/*") and text.endswith("*/")):
                nodes.append(_Action(text).node())
        return nodes, None

    def _block(self, word: str, rest: str) -> Node:
        action = _Action(rest)
        names, condition = action.declaration(two=word == "range")
        body, end = self._list()
        otherwise: list[Node] = []
        if end is not None and end.startswith("else"):
            following = end.removeprefix("else").strip()
            if following:
                nested, _, condition_text = following.partition(" ")
                if nested not in ("if", "with"):
                    raise fault(f"cannot read '{{{{{end}}}}}'")
                return _BLOCKS[word](names, condition, body, [self._block(nested, condition_text)])
            otherwise, end = self._list()
        if end != "end":
            raise fault(f"{{{{{word} …}}}} has no {{{{end}}}}")
        return _BLOCKS[word](names, condition, body, otherwise)


def _pieces(text: str) -> Sequence[tuple[bool, str]]:
    found: list[tuple[bool, str]] = []
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if trim else before
        found.append((False, before.rstrip() if match["left"] else before))
        found.append((True, match["body"].strip()))
        position, trim = match.end(), bool(match["right"])
    rest = text[position:]
    if "{{" in rest:
        raise fault("{{ is not closed with }}")
    found.append((False, rest.lstrip() if trim else rest))
    return found


def _literal(text: str) -> Node:
    return lambda _: text


def _run(nodes: Sequence[Node], scope: Scope) -> str:
    return "".join(node(scope) for node in nodes)


def _if(names: Sequence[str], condition: Expression, body: list[Node], otherwise: list[Node]) -> Node:
    def node(scope: Scope) -> str:
        value = condition(scope)
        variables = {**scope.variables, **dict.fromkeys(names, value)}
        return _run(body if is_true(value) else otherwise, Scope(scope.dot, variables))

    return node


def _with(names: Sequence[str], condition: Expression, body: list[Node], otherwise: list[Node]) -> Node:
    def node(scope: Scope) -> str:
        value = condition(scope)
        if not is_true(value):
            return _run(otherwise, scope)
        return _run(body, Scope(value, {**scope.variables, **dict.fromkeys(names, value)}))

    return node


def _range(names: Sequence[str], condition: Expression, body: list[Node], otherwise: list[Node]) -> Node:
    def node(scope: Scope) -> str:
        value = condition(scope)
        pairs: list[tuple[Any, Any]]
        if isinstance(value, Mapping):
            pairs = sorted(value.items())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(number, number) for number in range(value)]
        elif not value:
            pairs = []
        else:
            raise fault(f"cannot range over {text_of(value)!r}")
        if not pairs:
            return _run(otherwise, scope)
        return "".join(
            _run(
                body,
                Scope(
                    item,
                    {**scope.variables, **dict(zip(names, (key, item)[-len(names) or 2 :], strict=False))},
                ),
            )
            for key, item in pairs
        )

    return node


_BLOCKS = {"if": _if, "with": _with, "range": _range}


# ------------------------------------------------------------------ expressions


class _Token(NamedTuple):
    kind: str
    text: str
    is_joined: bool
    """Nothing stands between it and the token before: ``.A.B`` is one chain, ``.A .B`` are two."""


class _Action:
    """One action: variables that it declares, and its pipeline."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._position = 0

    def _split(self, text: str) -> Sequence[_Token]:
        tokens: list[_Token] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise fault(f"cannot read '{text[position:].strip()}' in '{{{{{self._text}}}}}'")
            value = match[match.lastgroup]
            tokens.append(
                _Token(match.lastgroup, value, position > 0 and match.start(match.lastgroup) == position)
            )
            position = match.end()
        return tokens

    def node(self) -> Node:
        names, pipeline = self.declaration()
        if not names:
            return lambda scope: text_of(pipeline(scope))

        def assign(scope: Scope) -> str:
            scope.variables[names[0]] = pipeline(scope)
            return ""

        return assign

    def declaration(self, *, two: bool = False) -> tuple[list[str], Expression]:
        """Return the variables that are declared, and the pipeline that gives them their values."""
        names: list[str] = []
        mark = next(
            (i for i, t in enumerate(self._tokens) if t.text in (":=", "=") and t.kind == "sign"), None
        )
        if mark is not None:
            names = [t.text for t in self._tokens[:mark] if t.kind == "variable"]
            if not names or len(names) > (2 if two else 1) or len(names) * 2 - 1 != mark:
                raise fault(f"cannot read the variables of '{{{{{self._text}}}}}'")
            self._position = mark + 1
        pipeline = self._pipeline()
        if self._position < len(self._tokens):
            raise fault(f"unexpected '{self._tokens[self._position].text}' in '{{{{{self._text}}}}}'")
        return names, pipeline

    def _peek(self) -> _Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _pipeline(self) -> Expression:
        commands = [self._command()]
        while (token := self._peek()) is not None and token.text == "|" and token.kind == "sign":
            self._position += 1
            commands.append(self._command())

        def run(scope: Scope) -> Any:
            value = commands[0](scope, ())
            for command in commands[1:]:
                value = command(scope, (value,))
            return value

        return run

    def _command(self) -> Callable[[Scope, tuple[Any, ...]], Any]:
        first = self._peek()
        if first is None or (first.kind == "sign" and first.text != "("):
            raise fault(f"a value is missing in '{{{{{self._text}}}}}'")
        if first.kind == "word" and first.text not in _CONSTANTS:
            self._position += 1
            function = _FUNCTIONS.get(first.text)
            if function is None:
                raise fault(
                    f"function '{first.text}' is not defined; available functions: {', '.join(sorted(_FUNCTIONS))}"
                )
            arguments = self._arguments()
            return lambda scope, more: _call(
                function, first.text, [lambda s=a: s(scope) for a in arguments], more
            )
        operand = self._operand()
        arguments = self._arguments()

        def run(scope: Scope, more: tuple[Any, ...]) -> Any:
            value = operand(scope)
            given = (*(argument(scope) for argument in arguments), *more)
            if callable(value):
                return _call(value, self._text, [lambda one=one: one for one in given], ())
            if given:
                raise fault(f"'{self._text}' gives arguments to a value that is not a function")
            return value

        return run

    def _arguments(self) -> list[Expression]:
        found = []
        while (token := self._peek()) is not None and (token.kind != "sign" or token.text == "("):
            found.append(self._operand())
        return found

    def _operand(self) -> Expression:
        token = self._tokens[self._position]
        self._position += 1
        if token.kind == "sign":
            if token.text != "(":
                raise fault(f"unexpected '{token.text}' in '{{{{{self._text}}}}}'")
            inner = self._pipeline()
            closing = self._peek()
            if closing is None or closing.text != ")":
                raise fault(f"')' is missing in '{{{{{self._text}}}}}'")
            self._position += 1
            return self._chain(inner)
        if token.kind == "field":
            return self._chain(_field_of(lambda scope: scope.dot, token.text[1:]))
        if token.kind == "variable":
            return self._chain(_variable(token.text))
        value = _constant(token)
        return lambda _: value

    def _chain(self, expression: Expression) -> Expression:
        while (token := self._peek()) is not None and token.kind == "field" and token.is_joined:
            self._position += 1
            expression = _field_of(expression, token.text[1:])
        return expression


_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "nil": None}


def _constant(token: _Token) -> Any:
    if token.kind == "string":
        return token.text[1:-1] if token.text[0] == "`" else _unquoted(token.text)
    if token.kind == "number":
        return float(token.text) if "." in token.text else int(token.text)
    if token.text in _CONSTANTS:
        return _CONSTANTS[token.text]
    raise fault(f"function '{token.text}' must be the first word, or in parentheses")


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        raise fault(f"cannot read the string {text}") from None


def _variable(name: str) -> Expression:
    def read(scope: Scope) -> Any:
        if name not in scope.variables:
            raise fault(f"undefined variable '{name}'")
        return scope.variables[name]

    return read


def _field_of(expression: Expression, name: str) -> Expression:
    if not name:
        return expression
    return lambda scope: field(expression(scope), name)


def field(value: Any, name: str) -> Any:
    """Return a field of a record, or what a map has for a key."""
    if isinstance(value, Record):
        if name not in value:
            raise fault(
                f"no field '.{name}'; available fields: {', '.join(f'.{key}' for key in sorted(value))}"
            )
        return value[name]
    if isinstance(value, Mapping):
        return value.get(name, NO_VALUE)
    if value is None or value is NO_VALUE:
        raise fault(f"cannot read '.{name}' of nil")
    raise fault(f"cannot read '.{name}' of '{text_of(value)}', which has no fields")


# ------------------------------------------------------------------ values


def is_true(value: Any) -> bool:
    return bool(value)


def text_of(value: Any) -> str:
    """Return a value as Go prints it."""
    if value is NO_VALUE:
        return "<no value>"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Record):
        return "{" + " ".join(text_of(item) for item in value.values() if not callable(item)) + "}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{text_of(k)}:{text_of(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(text_of(item) for item in value) + "]"
    return str(value)


# ------------------------------------------------------------------ functions

Lazy = Callable[[], Any]


def _call(function: Callable[..., Any], name: str, lazy: list[Any], more: tuple[Any, ...]) -> Any:
    if function in (_and, _or):
        return function(*lazy, *((lambda value=value: value) for value in more))
    try:
        return function(*(argument() for argument in lazy), *more)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise fault(f"cannot call '{name}' with these arguments: {error}") from None


def _and(*arguments: Lazy) -> Any:
    value: Any = None
    for argument in arguments:
        value = argument()
        if not is_true(value):
            break
    return value


def _or(*arguments: Lazy) -> Any:
    value: Any = None
    for argument in arguments:
        value = argument()
        if is_true(value):
            break
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = field(value, key) if isinstance(value, Mapping) else value[_position(key, value)]
    return value


def _position(key: Any, value: Any) -> int:
    if not isinstance(key, int) or not 0 <= key < len(value):
        raise IndexError(f"no element {text_of(key)}")
    return key


def _eq(value: Any, *others: Any) -> bool:
    if not others:
        raise TypeError("two values are required")
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in others)


def _printf(layout: str, *values: Any) -> str:
    rest = list(values)

    def put(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb in "dxXfge" and isinstance(value, int | float):
            return f"%{flags}{width}{f'.{precision}' if precision else ''}{verb}" % value
        text = json.dumps(value, ensure_ascii=False) if verb == "q" else text_of(value)
        text = text[: int(precision)] if precision else text
        return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))

    return _VERB.sub(put, layout)


def _print(*values: Any) -> str:
    """Go's Sprint: a space between two values where neither is a string."""
    text = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            text += " "
        text += text_of(value)
    return text


def _title(text: str) -> str:
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), text)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not is_true(value),
    "eq": _eq,
    "ne": lambda value, other: not _eq(value, other),
    "lt": lambda value, other: value < other,
    "le": lambda value, other: value <= other,
    "gt": lambda value, other: value > other,
    "ge": lambda value, other: value >= other,
    "len": lambda value: len(value),
    "index": _index,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(text_of(value) for value in values) + "\n",
    "json": to_json,
    "join": lambda values, separator: separator.join(text_of(value) for value in values),
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "title": _title,
    "pad": lambda text, before, after: " " * before + text + " " * after if text else text,
    "truncate": lambda text, length: text[:length],
}
