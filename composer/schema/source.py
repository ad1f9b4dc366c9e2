"""Text → trees: libyaml's events, our own resolution of scalars, marks on everything.

PyYAML's resolvers speak YAML 1.1 (``22:22`` is a number, ``on`` a boolean); Compose files are read with go-yaml,
which is nearer to 1.2. So only libyaml's event stream is used. Aliases share one node; what an alias bomb would
expand to is counted and capped. ``!reset`` and ``!override`` come out as paths beside the tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import Mark, YamlError
from composer.patterns import pattern
from composer.schema.tree import Map, Seq

if TYPE_CHECKING:
    from composer.schema.problems import Problems
    from composer.schema.tree import Path

MAX_NODES = 100_000
_MAX_DIGITS = 25
MAX_DEPTH = 200
"""go-yaml stops at 10,000 levels; no compose file has 20. Python's stack is the reason for this figure."""

_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    ".nan": float("nan"),
    ".NaN": float("nan"),
    ".NAN": float("nan"),
    **{sign + word: float("inf") for word in (".inf", ".Inf", ".INF") for sign in ("", "+")},
    **{"-" + word: float("-inf") for word in (".inf", ".Inf", ".INF")},
}
_FLOAT = pattern(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT = pattern(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_TIME = pattern(
    r"\d{4}-\d{1,2}-\d{1,2}"
    r"(?:(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d*)?(?:Z|[-+]\d\d:\d\d))|(?: \d{1,2}:\d{1,2}:\d{1,2}(?:\.\d*)?))?"
)
_DIGITS = frozenset("0123456789+-.")


class Timestamp(str):
    """A plain scalar that go-yaml reads as a date: no attribute takes one, so it must be quoted."""

    __slots__ = ()


_CORE: dict[str, type] = {
    "bool": bool,
    "float": float,
    "int": int,
    "null": type(None),
    "timestamp": Timestamp,
}
"""Tags that a scalar may have, with what its text must then be; ``!!str`` and ``!!binary`` take any."""


class Tagged:
    """A node under ``!reset`` or ``!override``; gone once `_collect_tags` has seen it."""

    __slots__ = ("tag", "value")

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


class Document(NamedTuple):
    """One YAML document. ``resets`` are the paths that it removes from what is below it."""

    tree: Any
    mark: Mark
    resets: tuple[Path, ...] = ()
    nodes: int = 0
    """How many values it has, with every alias counted as often as it is used."""


class _Anchor:
    __slots__ = ("done", "size", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.size = 0
        self.done = False


def resolve_scalar(text: str) -> Any:
    """Return the value of a plain scalar, as go-yaml v3 resolves it."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _DIGITS:
        return text
    if _TIME.fullmatch(text):
        return Timestamp(text)
    number = text.replace("_", "")
    if len(number) <= _MAX_DIGITS and _INT.fullmatch(number):
        value = _integer(number)
        if -(1 << 63) <= value < 1 << 64:
            return value
    if _FLOAT.fullmatch(number):
        real = float(number)
        return text if abs(real) == float("inf") else real  # Go's ParseFloat refuses 1e400
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2].lower())
    if base is None:
        base = 8 if len(digits) > 1 and digits[0] == "0" else 10
    value = int(digits.lower().removeprefix("0o"), base)
    return -value if text[0] == "-" else value


def parse(text: str, file: str, problems: Problems) -> list[Document]:
    """Return the documents of a file. What is not YAML is reported, and what came before it is returned."""
    from yaml.error import YAMLError

    problems.read(file, text)
    problems.compose_files.add(file)
    documents: list[Document] = []
    try:
        parser = _parser(text)
        composer = _Composer(parser, file, problems)
        while (document := composer.document()) is not None:
            documents.append(document)
    except YamlError as error:
        problems.error(error.message, error.at, hint=error.hint, kind=YamlError)
    except YAMLError as error:
        message, mark, hint = _translate(error, file, text)
        problems.error(message, mark, hint=hint, kind=YamlError)
    return documents


def _parser(text: str) -> Any:
    """Return a parser of events: libyaml's, or PyYAML's own, ten times slower, where it was built without libyaml."""
    try:
        from yaml._yaml import CParser
    except ImportError:
        from yaml.parser import Parser
        from yaml.reader import Reader
        from yaml.scanner import Scanner

        class PureParser(Reader, Scanner, Parser):
            def __init__(self, text: str) -> None:
                Reader.__init__(self, text)
                Scanner.__init__(self)
                Parser.__init__(self)

        return PureParser(text)
    return CParser(text)


def _translate(error: Any, file: str, text: str) -> tuple[str, Mark, str | None]:
    """Return message, place and remedy of libyaml's error."""
    mark = getattr(error, "problem_mark", None)
    begun = getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    if begun is not None and (mark is None or "end of stream" in problem):
        mark = begun  # the end of the file is no help: say where it began
    message = f"cannot read YAML: {problem}" + (f", {context}" if context else "")
    if mark is None:
        return message, Mark(file), None
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = None
    if "\t" in line[: len(line) - len(line.lstrip())]:
        hint = "replace the tabs at the start of the line with spaces"
    elif "quoted scalar" in message:
        hint = "close the quote"
    elif "mapping values are not allowed" in problem:
        hint = "quote a value that contains ': ', or fix the indentation"
    elif "start any token" in problem:
        hint = "quote the value"
    return message, Mark(file, mark.line + 1, mark.column + 1), hint


class _Composer:
    """Builds trees from libyaml's events, one document at a time."""

    def __init__(self, parser: Any, file: str, problems: Problems) -> None:
        from yaml import events

        self._next = parser.get_event
        self._file = file
        self._problems = problems
        self._anchors: dict[str, _Anchor] = {}
        self._nodes = 0
        self._tags = False
        self._scalar_event, self._mapping_event = events.ScalarEvent, events.MappingStartEvent
        self._sequence_event, self._alias_event = events.SequenceStartEvent, events.AliasEvent
        self._document_event, self._stream_end = events.DocumentStartEvent, events.StreamEndEvent
        self._mapping_end, self._sequence_end = events.MappingEndEvent, events.SequenceEndEvent

    def document(self) -> Document | None:
        """Return the next document, or None at the end of the stream."""
        event = self._next()
        while not isinstance(event, self._document_event):
            if event is None or isinstance(event, self._stream_end):
                return None
            event = self._next()
        if event.version not in (None, (1, 1)):
            raise YamlError(
                f"%YAML {event.version[0]}.{event.version[1]} is not supported by Compose",
                at=self._mark(event),
                hint="remove the %YAML directive",
            )
        self._anchors, self._tags = {}, False
        before = self._nodes
        first = self._next()
        tree = self._node(first, 0)
        mark = self._mark(first)
        if not self._tags:
            return Document(tree, mark, (), self._nodes - before)
        resets: list[Path] = []
        return Document(_collect_tags(tree, (), resets), mark, tuple(resets), self._nodes - before)

    def _mark(self, event: Any) -> Mark:
        at = event.start_mark
        return Mark(self._file, at.line + 1, at.column + 1)

    def _count(self, event: Any, size: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise YamlError(
                f"the file expands to too many values (limit: {MAX_NODES:,})",
                at=self._mark(event),
                hint="use fewer nested aliases, or repeat the values",
            )

    def _node(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is self._alias_event:
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise YamlError(f"values are nested more than {MAX_DEPTH} levels deep", at=self._mark(event))
        before = self._nodes
        self._count(event, 1)
        anchor = None
        if event.anchor is not None:
            anchor = self._anchors[event.anchor] = _Anchor()
        if kind is self._scalar_event:
            value = self._scalar(event)
        elif kind is self._mapping_event:
            value = self._mapping(depth)
        else:
            value = self._sequence(depth)
        if event.tag == "!reset" or event.tag == "!override":
            self._tags = True
            value = Tagged(event.tag, value)
        if anchor is not None:
            anchor.value, anchor.size, anchor.done = value, self._nodes - before, True
        return value

    def _alias(self, event: Any) -> Any:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            raise YamlError(
                f"unknown anchor '{event.anchor}'",
                at=self._mark(event),
                hint=f"define it with '&{event.anchor}' before its first use",
            )
        if not anchor.done:
            raise YamlError(f"anchor '&{event.anchor}' contains itself", at=self._mark(event))
        self._count(event, anchor.size)
        return anchor.value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            return resolve_scalar(text) if event.implicit[0] else text
        if tag.startswith("tag:yaml.org,2002:"):
            return self._cast(event, text, tag[18:])
        return text  # to go-yaml a tag that it does not know makes a text: `!override 010` is no number

    def _cast(self, event: Any, text: str, tag: str) -> Any:
        """Apply an explicit core tag such as ``!!str`` or ``!!int``."""
        if tag == "str":
            return text
        if tag == "binary":
            return self._binary(event, text)
        if tag not in _CORE:
            return text
        value = resolve_scalar(text)
        if tag == "float" and type(value) is int:
            return float(value)
        if type(value) is not _CORE[tag]:
            raise YamlError(f"cannot read '{text}' as !!{tag}", at=self._mark(event))
        return value

    def _binary(self, event: Any, text: str) -> str:
        from base64 import b64decode

        try:
            return b64decode("".join(text.split()), validate=True).decode()
        except ValueError:
            raise YamlError(
                "cannot read a !!binary value: it is not base64-encoded text", at=self._mark(event)
            ) from None

    def _sequence(self, depth: int) -> Seq:
        seq = Seq()
        while not isinstance(event := self._next(), self._sequence_end):
            seq.append(self._node(event, depth + 1))
            seq.marks.append(self._mark(event))
        return seq

    def _mapping(self, depth: int) -> Map:
        tree = Map()
        merged: list[tuple[Any, Any]] = []
        while not isinstance(event := self._next(), self._mapping_end):
            key = self._node(event, depth + 1)
            value_event = self._next()
            value = self._node(value_event, depth + 1)
            if key == "<<" and type(event) is self._scalar_event and not event.style:
                if merged:
                    self._twice(key, merged[0][1].start_mark.line + 1, event)
                merged.append((value, event))
                continue
            if type(key) is not str:
                key = self._string_key(key, event)
            if key in tree:
                self._twice(key, tree.name(key).line, event)
                continue
            tree[key] = value
            tree.marks[key] = self._mark(value_event)
            tree.names[key] = self._mark(event)
        for value, event in merged:
            self._merge(tree, value, event)
        return tree

    def _twice(self, key: str, line: int, event: Any) -> None:
        self._problems.error(
            f"duplicate key '{key}', already defined at line {line}",
            self._mark(event),
            hint="remove or rename one of them",
            kind=YamlError,
        )

    def _string_key(self, key: Any, event: Any) -> str:
        text = event.value if type(event) is self._scalar_event else "…"
        if not isinstance(key, str) or isinstance(key, Timestamp):
            self._problems.error(
                f"key '{text}' must be a string",
                self._mark(event),
                hint=f'quote it: "{text}"' if text != "…" else None,
                kind=YamlError,
            )
        return text

    def _merge(self, tree: Map, value: Any, event: Any) -> None:
        """Apply ``<<``: keys that the mapping writes itself win, then earlier sources over later ones."""
        sources = value if isinstance(value, Seq) else [value]
        for source in sources:
            if not isinstance(source, Map):
                raise YamlError(
                    "'<<' must be a mapping or a list of mappings",
                    at=self._mark(event),
                    hint="use an alias of a mapping, such as '<<: *defaults'",
                )
            for key in source:
                if key not in tree:
                    tree.take(key, source)


def _collect_tags(tree: Any, path: Path, resets: list[Path]) -> Any:
    """Return the tree without `Tagged` nodes: ``!reset`` ones removed, ``!override`` ones bare."""
    if isinstance(tree, Tagged):
        if not any(isinstance(part, int) for part in path):
            resets.append(path)  # an item of a list has no counterpart below
        return tree if tree.tag == "!reset" else _collect_tags(tree.value, path, resets)
    if isinstance(tree, Map):
        new_map = tree.copy()
        for key, value in tree.items():
            kept = _collect_tags(value, (*path, key), resets)
            if isinstance(kept, Tagged):
                new_map.drop(key)
            else:
                new_map[key] = kept
        return new_map
    if isinstance(tree, Seq):
        new_seq = Seq()
        for index, value in enumerate(tree):
            kept = _collect_tags(value, (*path, index), resets)
            if not isinstance(kept, Tagged):
                new_seq.add(kept, tree.mark(index))
        return new_seq
    return tree


def remove_paths(tree: Any, resets: tuple[Path, ...], path: Path = ()) -> Any:
    """Return the tree without what ``!reset`` and ``!override`` of a file above it take away."""
    if not any(reset[: len(path)] == path for reset in resets):
        return tree
    if isinstance(tree, Map):
        new_map = tree.copy()
        for key, value in tree.items():
            if (*path, key) in resets:
                new_map.drop(key)
            else:
                new_map[key] = remove_paths(value, resets, (*path, key))
        return new_map
    if isinstance(tree, Seq):
        new_seq = Seq()
        for index, value in enumerate(tree):
            if (*path, index) not in resets:
                new_seq.add(remove_paths(value, resets, (*path, index)), tree.mark(index))
        return new_seq
    return tree
