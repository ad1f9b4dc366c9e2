"""From tables of system calls to classic BPF: a binary search over the numbers, then tests of the arguments.

Code is a list of instructions whose jumps are relative, so a piece is put together from its parts without
labels: a search node is a comparison, the code for the smaller numbers, the code for the others. Spec: the
kernel's Documentation/networking/filter.rst and linux/seccomp.h.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Condition = tuple[int, str, int, int]  # argument, operator, value (mask for MASKED_EQ), second value
    Rules = tuple[tuple[tuple[tuple[Condition, ...], int], ...], int | None]
    Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
    Code = list[Instruction]

_LOAD, _AND, _JUMP, _EQUAL, _GREATER, _AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGS_OFFSET = 0, 4, 16
_KILL = 0
_X32_BIT = 0x40000000
_LIMIT = 4096
_PASS, _FAIL = 1000, 1001  # symbolic targets inside a rule, replaced when its length is known

_AUDIT_ARCH = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}


class Table:
    """What one ABI's calls get: ``rules`` by number, ``default`` for the others.

    ``unknown`` above ``newest``.
    """

    __slots__ = ("default", "newest", "rules", "unknown")

    def __init__(self, rules: Mapping[int, Rules], default: int, unknown: int, newest: int) -> None:
        self.rules = rules
        self.default = default
        self.unknown = unknown
        self.newest = newest


def assemble(tables: Mapping[str, Table]) -> bytes:
    """Return a filter for the ABIs of ``tables``; a call through any other kills, as libseccomp has it."""
    code: Code = [(_LOAD, 0, 0, _ARCH_OFFSET)]
    for abi, table in tables.items():
        if abi == "x32":
            continue  # the same architecture as x86_64: only the numbers differ
        segments = _segments(table, 0)
        if abi == "x86_64":
            segments = [one for one in segments if one[0] < _X32_BIT]
            x32 = tables.get("x32")
            segments += _segments(x32, _X32_BIT) if x32 else [(_X32_BIT, ((), _KILL))]
        body: Code = [(_LOAD, 0, 0, _NUMBER_OFFSET), *_search(segments)]
        code += _branch(_EQUAL, _AUDIT_ARCH[abi], body)
    code.append((_RETURN, 0, 0, _KILL))
    if len(code) > _LIMIT:
        raise ValueError(f"the seccomp filter is too large: {len(code)} instructions (limit: {_LIMIT})")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _branch(test: int, value: int, body: Code) -> Code:
    """Return code that runs ``body``, which never falls through, when the test holds.

    And goes on behind it if not.
    """
    if len(body) <= 255:
        return [(test, 0, len(body), value), *body]
    return [(test, 1, 0, value), (_JUMP, 0, 0, len(body)), *body]


def _segments(table: Table, start: int) -> list[tuple[int, Rules]]:
    """Return (first number, rules) of each run of numbers that are treated alike, from ``start`` on."""
    segments: list[tuple[int, Rules]] = []

    def add(first: int, rules: Rules) -> None:
        if not segments or segments[-1][1] != rules:
            segments.append((first, rules))

    default: Rules = ((), table.default)
    expected = start
    for number in sorted(table.rules):
        if number > expected:
            _fill(add, expected, number, table)
        conditional, always = table.rules[number]
        add(number, (conditional, table.default if always is None else always))
        expected = number + 1
    if expected <= table.newest:
        add(expected, default)
    add(max(expected, table.newest + 1), ((), table.unknown))
    return segments


def _fill(add: Adder, first: int, end: int, table: Table) -> None:
    """Add what holds for the unnamed numbers from ``first`` to ``end``.

    The default, and the unknown above the newest.
    """
    if first <= table.newest:
        add(first, ((), table.default))
    if end > table.newest + 1:
        add(max(first, table.newest + 1), ((), table.unknown))


def _search(segments: list[tuple[int, Rules]]) -> Code:
    if len(segments) == 1:
        return _decide(segments[0][1])
    middle = len(segments) // 2
    smaller = _search(segments[:middle])
    others = _search(segments[middle:])
    if len(smaller) <= 255:
        return [(_AT_LEAST, len(smaller), 0, segments[middle][0]), *smaller, *others]
    return [(_AT_LEAST, 0, 1, segments[middle][0]), (_JUMP, 0, 0, len(smaller)), *smaller, *others]


def _decide(rules: Rules) -> Code:
    conditional, always = rules
    code: Code = []
    for conditions, action in conditional:
        code += _rule(conditions, action)
    return [*code, (_RETURN, 0, 0, always or 0)]


def _rule(conditions: tuple[Condition, ...], action: int) -> Code:
    """Return code that returns ``action`` when every condition holds, and falls through when one does not."""
    parts = [_test(condition) for condition in conditions]
    length = sum(map(len, parts)) + 1
    code: Code = []
    end_of_part = 0
    for part in parts:
        end_of_part += len(part)
        for operation, true, false, value in part:
            position = len(code) + 1
            targets = {_PASS: end_of_part - position, _FAIL: length - position}
            code.append((operation, targets.get(true, true), targets.get(false, false), value))
    return [*code, (_RETURN, 0, 0, action)]


def _test(condition: Condition) -> Code:
    """Return the test of one 64-bit argument in two halves, jumping to _PASS or _FAIL."""
    index, operator, value, second = condition
    offset = _ARGS_OFFSET + 8 * index  # little-endian, as both our architectures are
    low, high = value & 0xFFFFFFFF, value >> 32
    load_high, load_low = (_LOAD, 0, 0, offset + 4), (_LOAD, 0, 0, offset)
    if operator == "EQ":
        return [load_high, (_EQUAL, 0, _FAIL, high), load_low, (_EQUAL, _PASS, _FAIL, low)]
    if operator == "NE":
        return [load_high, (_EQUAL, 0, _PASS, high), load_low, (_EQUAL, _FAIL, _PASS, low)]
    if operator == "MASKED_EQ":
        return [
            load_high,
            (_AND, 0, 0, high),
            (_EQUAL, 0, _FAIL, second >> 32),
            load_low,
            (_AND, 0, 0, low),
            (_EQUAL, _PASS, _FAIL, second & 0xFFFFFFFF),
        ]
    wanted, unwanted = (_PASS, _FAIL) if operator in ("GT", "GE") else (_FAIL, _PASS)
    compare = _GREATER if operator in ("GT", "LE") else _AT_LEAST
    return [
        load_high,
        (_GREATER, wanted, 0, high),
        (_EQUAL, 0, unwanted, high),
        load_low,
        (compare, wanted, unwanted, low),
    ]


if TYPE_CHECKING:
    from collections.abc import Callable

    Adder = Callable[[int, Rules], None]
