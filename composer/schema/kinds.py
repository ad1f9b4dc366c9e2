"""The kinds of values: what Go's types make of what a file says.

A kind turns a value into its canonical form, or raises ValueError with the reason. Values that Go would leave out
(zero, empty) become `OMIT`; `Keep` marks fields that are pointers in Go, whose zero is kept. `shape` puts kinds
together to structs.
"""

from __future__ import annotations

from struct import pack, unpack
from typing import TYPE_CHECKING, Any, Final

from composer.patterns import pattern
from composer.schema.golang import ShellWordsError, go_text, shell_words
from composer.schema.interpolate import CastError, to_bool, to_float, to_int
from composer.schema.tree import INVALID, LookedUp, Map, Seq
from composer.units import format_duration, parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.errors import Mark
    from composer.schema.problems import Problems
    from composer.schema.tree import Path

    Kind = Callable[[Any, Path, Mark, "Decoder"], Any]


_OCTAL = pattern("[-+]?[0-7]+")
_UMASK = pattern("(0o?(?=[0-7]+$)|)([0-9]+)")


class _Omit:
    __slots__ = ()


OMIT: Final = _Omit()


class Decoder:
    """What kinds need beside the value: where to report."""

    __slots__ = ("extensions", "problems", "warn_shell")

    def __init__(
        self, problems: Problems, warn_shell: Callable[[str, Path, Mark, Problems], None] | None
    ) -> None:
        self.problems = problems
        self.warn_shell = warn_shell
        self.extensions: dict[Path, Map] = {}
        """The ``x-…`` children of structs: JSON, and so the tree, has no place for them; YAML has."""


def text(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if isinstance(value, (Map, Seq)):
        raise ValueError("must be a string")
    return value if isinstance(value, LookedUp) else go_text(value) or OMIT


def text_or_int(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """A text that may be written as a whole number."""
    if isinstance(value, (bool, float)):
        raise ValueError(
            f"must be a string or an integer, not the float {go_text(value)} (08 is a float in YAML)"
        )
    return text(value, path, mark, decoder)


def integer(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, str):
        value = to_int(value)
    if isinstance(value, float) and value - value == 0:
        value = int(value)
    if not isinstance(value, int):
        raise ValueError("must be an integer")
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} is out of range (64 bits)")
    return value or OMIT


def device_count(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """How many devices; ``all`` is -1."""
    if isinstance(value, float):
        raise ValueError(f"must be an integer or all, not the float {go_text(value)}")
    return -1 if value == "all" else integer(value, path, mark, decoder)


def unsigned(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    number = integer(value, path, mark, decoder)
    if isinstance(number, int) and number < 0:
        raise ValueError(f"must not be negative: {number}")
    return number


def wrapping(bits: int, hint: str) -> Kind:
    """Return the kind of a number without a sign that no variable can give.

    Texts are refused, and what does not fit into the bits wraps around, as in Compose.
    """

    def rule(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if isinstance(value, str):
            raise ValueError(f"'{value}' must be an unquoted number")
        number = unsigned(value, path, mark, decoder)
        if not isinstance(number, int) or number < 1 << bits:
            return number
        kept = number % (1 << bits)
        decoder.problems.warn(
            f"{_subject(path)}: {number} is out of range and wraps around to {kept}", mark, hint=hint
        )
        return kept or OMIT

    return rule


def decimal(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """A float32, as Go has it: 0.333333333 becomes 0.33333334."""
    if isinstance(value, str):
        value = to_float(value)
    if isinstance(value, (int, float)):
        if value != value or abs(value) == float("inf"):
            raise ValueError(f"must be a finite number, not {go_text(value)}")
        value = float32(float(value))
    return value or OMIT


def float32(value: float) -> float:
    """Return the shortest decimal that is the same number in 32 bits."""
    try:
        exact = pack("f", value)
        value = unpack("f", exact)[0]
    except OverflowError:
        raise ValueError(f"{value} is too large") from None
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if pack("f", short) == exact:
            return short
    return float(f"{value:.9g}")


def boolean(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, str):
        value = to_bool(value)
    return bool(value) or OMIT


def size(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """Bytes. A number that Go does not read as an int64 (``1e3``, ``1.5``) counts as none, as in Compose.

    It may be negative (-1: without a limit), without a unit.
    """
    if isinstance(value, float) or (isinstance(value, int) and value >= 1 << 63):
        decoder.problems.warn(
            f"{_subject(path)}: {go_text(value)} is not an integer number of bytes and is ignored",
            mark,
            hint="use an integer, or a string with a unit such as 512m",
        )
        return OMIT
    if isinstance(value, str) and value.startswith("-"):
        if not (value[1:].isascii() and value[1:].isdigit()):
            raise ValueError(f"invalid size '{value}': a negative number must have no unit")
        value = int(value)
    number = parse_size_bytes(value) if isinstance(value, str) else value
    return str(number) if number else OMIT


def duration(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if not isinstance(value, str):
        raise ValueError(f"invalid duration '{go_text(value)}': add a unit, such as {go_text(value)}s")
    return format_duration(parse_duration_ns(value))


def duration_or_zero(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    text = duration(value, path, mark, decoder)
    return OMIT if text == "0s" else text


def sort_keys(value: Any) -> Any:
    """Return a tree whose mappings are sorted by key, as encoding/json prints Go's maps."""
    if isinstance(value, Map):
        new = Map()
        for key in sorted(value):
            new.take(key, value)
            new[key] = sort_keys(value[key])
        return new
    if isinstance(value, Seq):
        return Seq([sort_keys(item) for item in value], value.marks)
    return value


def command(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """``null`` is unset; an empty list or text is kept: it clears what the image has."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            words = shell_words(value)
        except ShellWordsError as error:
            raise ValueError(f"cannot split '{value}' into words: {error}") from None
        if decoder.warn_shell is not None:
            decoder.warn_shell(value, path, mark, decoder.problems)
        return Seq(words, [mark] * len(words))
    return Seq([go_text(item) for item in value if item is not INVALID], value.marks)


def healthcheck_test(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if isinstance(value, str):
        return Seq(["CMD-SHELL", value], [mark, mark])
    return Seq([go_text(item) for item in value], value.marks) or OMIT


def file_mode(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """A file mode: ``0440`` in YAML is a number already, ``"0440"`` is octal text."""
    if value is None:
        return OMIT
    if isinstance(value, str):
        if not _OCTAL.fullmatch(value):
            raise ValueError(f"invalid file mode '{value}': must be octal, such as 0440")
        value = int(value, 8)
    if isinstance(value, float):
        raise ValueError(f"invalid file mode {go_text(value)}: must be octal, such as 0440")
    return f"0{value:o}"


def umask(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """Bits that files do not get: a number. A text is read as YAML reads one: ``"027"`` is octal, ``"23"`` is not."""
    if value is None:
        return OMIT
    if isinstance(value, str):
        digits = _UMASK.fullmatch(value)
        if not digits:
            raise ValueError(f"'{value}' is not a umask such as 027")
        value = int(digits[2], 8) if digits[1] else int(digits[2])
    if isinstance(value, float) or not 0 <= value < 1 << 32:
        raise ValueError(f"{go_text(value)} is not a umask such as 027")
    return value


def list_of(kind: Kind) -> Kind:
    """Return the kind of a list that is left out when it is empty."""

    def rule(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if not isinstance(value, Seq):
            value = Seq([value], [mark])
        new = Seq()
        for index, item in enumerate(value):
            if item is INVALID:
                continue
            at = value.mark(index)
            decoded = decode(kind, item, (*path, index), at, decoder)
            if decoded is not INVALID:
                empty: Any = {} if isinstance(kind, Struct) else ""  # an item has its place, empty or not
                new.add(empty if decoded is OMIT else decoded, at)
        return new or OMIT

    return rule


def map_of(kind: Kind, *, null: Any = OMIT, keep: bool = False, named: bool = False) -> Kind:
    """Return the kind of a mapping with sorted keys.

    ``null`` replaces values that are left out; without it a struct is an empty one, and another kind's key goes.
    The keys of a ``named`` mapping may begin with ``x-``; elsewhere they are extensions to Compose.
    """
    is_struct = null is OMIT and isinstance(kind, Struct)

    def rule(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if isinstance(value, Seq):
            value = from_pairs(value)
        elif not named:
            value = _gathered(value, path, decoder)
        new = Map()
        for key in sorted(value):
            if value[key] is INVALID:
                continue
            decoded = decode(kind, value[key], (*path, key), value.mark(key), decoder)
            if decoded is INVALID:
                continue
            if decoded is OMIT and is_struct:
                decoded = kind(Map(), (*path, key), value.mark(key), decoder)
            elif decoded is OMIT:
                decoded = null
            if decoded is not OMIT:
                new.take(key, value)
                new[key] = decoded
        return new if new or keep else OMIT

    return rule


EXTENSIONS: Final = "#extensions"


def _gathered(value: Map, path: Path, decoder: Decoder) -> Map:
    """Return a mapping with its ``x-`` keys as one entry, which is what Compose makes of them, even in labels."""
    extra = Map()
    for key in sorted(value):
        if key.startswith("x-"):
            extra.take(key, value)
    if not extra:
        return value
    first = next(iter(extra))
    decoder.problems.warn(
        f"'{first}' in {_subject(path)} is not kept as an entry: "
        f"Compose moves keys starting with 'x-' into '{EXTENSIONS}'",
        extra.name(first),
        hint="use the list form, '- NAME=value', or rename it",
    )
    new = value.copy()
    for key in extra:
        new.drop(key)
    new.put(EXTENSIONS, extra, extra.mark(first), extra.name(first))
    return new


def from_pairs(items: Seq) -> Map:
    """Return ``K=V`` items as a mapping; ``K`` alone is None."""
    new = Map()
    for index, item in enumerate(items):
        if item is INVALID:
            continue
        key, equals, text = go_text(item).partition("=")
        new.put(key, text if equals else None, items.mark(index))
    return new


def text_or_null(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return None if value is None else go_text(value)


def texts(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """One value or several, as texts."""
    new = Seq()
    for index, item in enumerate(value if isinstance(value, Seq) else (value,)):
        if item is not INVALID:
            new.add(go_text(item), value.mark(index) if isinstance(value, Seq) else mark)
    return new or OMIT


def text_or_empty(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return "" if value is None else go_text(value)


def hosts(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """``extra_hosts`` → sorted ``host=address`` items."""
    pairs: list[tuple[str, str, Mark]] = []
    if isinstance(value, Map):
        for host, addresses in _gathered(value, path, decoder).items():
            if isinstance(addresses, Map):
                raise ValueError(f"invalid host name '{next(iter(addresses))}' in a mapping: use a list")
            every = addresses if isinstance(addresses, Seq) else [addresses]
            pairs += [(host, "" if one is None else go_text(one), value.mark(host)) for one in every]
    else:
        for index, item in enumerate(value or ()):
            separator = "=" if "=" in item else ":"
            host, found, addresses = item.partition(separator)
            if not found:
                raise ValueError(f"invalid entry '{item}': use HOST=ADDRESS")
            pairs += [(host, address, value.mark(index)) for address in addresses.split(",")]
    seq = Seq()
    for line, at in sorted(((_host_line(host, address), at) for host, address, at in pairs), key=_first):
        seq.add(line, at)
    return seq if value else OMIT


def _host_line(host: str, address: str) -> str:
    if not host or ":" in host or "=" in host:
        raise ValueError(f"invalid host name '{host}': use HOST=ADDRESS")
    if len(address) > 2 and address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return f"{host}={address}"


def _first(pair: tuple[str, Mark]) -> str:
    return pair[0]


class Keep:
    """A field that Go holds behind a pointer: ``False`` and 0 are printed when they were written."""

    __slots__ = ("kind", "zero")

    def __init__(self, kind: Kind, zero: Any) -> None:
        self.kind = kind
        self.zero = zero

    def __call__(self, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        decoded = self.kind(value, path, mark, decoder)
        return self.zero if decoded is OMIT else decoded


class Struct:
    """A Go struct: its fields in their order. ``always`` fields are printed even when nothing set them.

    An ``extended`` one has a field for its ``x-…`` children; Compose forgets those of the others.
    """

    __slots__ = ("always", "extended", "fields", "renamed")

    def __init__(
        self,
        fields: dict[str, Kind],
        *,
        always: dict[str, Any] | None = None,
        renamed: dict[str, str] | None = None,
        extended: bool = True,
    ) -> None:
        self.fields = fields
        self.always = always or {}
        self.renamed = renamed or {}
        self.extended = extended

    def __call__(self, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if not isinstance(value, Map):
            raise ValueError("must be a mapping")
        new = Map()
        for key, kind in self.fields.items():
            if key in value:
                item = value[key]
                if item is INVALID:
                    continue
                decoded = decode(kind, item, (*path, key), value.mark(key), decoder)
                if decoded is not OMIT and decoded is not INVALID:
                    name = self.renamed.get(key, key)
                    new.take(key, value, under=name)
                    new[name] = decoded
                    continue
            if key in self.always:
                new[self.renamed.get(key, key)] = self.always[key]
        if self.extended and path[-1:] != (EXTENSIONS,):
            _extend(value, path, decoder)
        return new


def _extend(value: Map, path: Path, decoder: Decoder) -> None:
    """Note the ``x-…`` children of a struct."""
    extra = Map()
    for key in sorted(key for key in value if key.startswith("x-")):
        if value[key] is not INVALID:
            extra.take(key, value)
            extra[key] = sort_keys(value[key])
    if extra:
        decoder.extensions[path] = extra


def decode(kind: Kind, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """Return the canonical form of a value; INVALID when it has none, which is reported."""
    try:
        return kind(value, path, mark, decoder)
    except (ValueError, OverflowError) as error:
        hint = error.hint if isinstance(error, CastError) else None
        decoder.problems.error(f"{_subject(path)}: {error}", mark, path, hint=hint)
        return INVALID


def _subject(path: Path) -> str:
    names = [str(part) for part in path if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "value"
