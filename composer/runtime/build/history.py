"""How an instruction is called in an image's history: in BuildKit's words, which tools that read images know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMENT = "buildkit.dockerfile.v0"
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quoted(text: str) -> str:
    """Return a text as Go's ``%q`` writes it."""
    return f'"{"".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text)}"'


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def quoted_list(words: Iterable[str]) -> str:
    return f"[{' '.join(map(quoted, words))}]"


def pairs(word: str, entries: Iterable[tuple[str, str]]) -> str:
    """Return ``ENV a=b c=d``."""
    return f"{word} {' '.join(f'{key}={value}' for key, value in entries)}"


def run(arguments: Sequence[str], given: Sequence[tuple[str, str]]) -> str:
    """Return RUN with the build arguments that its shell has, as ``|2 A=b C=d /bin/sh -c …``."""
    prefix = [f"|{len(given)}", *(f"{key}={value}" for key, value in given)] if given else []
    return f"RUN {' '.join([*prefix, *arguments])} # buildkit"


def copy(word: str, chown: str, chmod: str, sources: Iterable[str], target: str) -> str:
    flags = [f"--chown={chown}"] if chown else []
    flags += [f"--chmod={chmod}"] if chmod else []
    return f"{' '.join([word, *flags, *sources, target])} # buildkit"


def healthcheck(check: Mapping[str, Any]) -> str:
    times = (
        quoted(duration(check.get(key, 0))) for key in ("Interval", "Timeout", "StartPeriod", "StartInterval")
    )
    retries = check.get("Retries", 0)
    rune = "'" if retries == ord("'") else quoted(chr(retries))[1:-1] if retries != ord('"') else '"'
    rune = f"\\{rune}" if rune == "'" else rune
    return f"HEALTHCHECK &{{{quoted_list(check['Test'])} {' '.join(times)} '{rune}'}}"


def duration(nanoseconds: int) -> str:
    """Return a duration as Go's `time.Duration` prints it: ``1m30s``, ``1.5s``, ``300ms``."""
    if not nanoseconds:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1_000:
            return f"{_decimal(nanoseconds, size)}{unit}"
    hours, rest = divmod(nanoseconds, 3_600_000_000_000)
    minutes, rest = divmod(rest, 60_000_000_000)
    head = f"{hours}h" if hours else ""
    head += f"{minutes}m" if hours or minutes else ""
    return f"{head}{_decimal(rest, 1_000_000_000)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
