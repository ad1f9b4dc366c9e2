"""Text → Dockerfile. All faults of a file are reported at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile import arguments, directives, forms
from composer.runtime.build.dockerfile.faults import Faults
from composer.runtime.build.dockerfile.instructions import (
    Arg,
    Dockerfile,
    From,
    Maintainer,
    Onbuild,
    Place,
    Stage,
    Statement,
)
from composer.runtime.build.dockerfile.lines import LineReader
from composer.runtime.build.dockerfile.statements import Stop, Writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.build.dockerfile.instructions import Instruction
    from composer.runtime.build.dockerfile.lines import LogicalLine

_BOM = "\ufeff"
_UNUSABLE = pattern("[\0\ud800-\udfff]")
"""What no command line, no path and no JSON document can have."""


class _Read(NamedTuple):
    """An instruction; ``value`` is None where it has faults."""

    statement: Statement
    value: Instruction | From | None


def parse(text: bytes | str, path: str = "Dockerfile") -> Dockerfile:
    """Return what a Dockerfile says. ``path`` is for messages. Raises DockerfileInvalid with all faults."""
    lines = _lines(text)
    faults = Faults(path, lines)
    reader = LineReader(lines, faults.add)
    found = list(_instructions(reader, faults))
    before, groups = _by_stage(found, faults)
    if not groups:
        _report_no_stage(found, faults)
    _check_options(reader, faults)
    faults.raise_all()
    return Dockerfile(
        path,
        tuple(lines),
        reader.escape,
        reader.values.get("syntax", "").partition(" ")[0],
        reader.values.get("check", "").partition(" ")[0],
        tuple(before),
        tuple(Stage(base, tuple(instructions)) for base, instructions in groups),
        tuple(statement for statement, _ in found),
    )


def parse_trigger(text: str, path: str = "ONBUILD") -> Instruction:
    """Return the instruction that the ``ONBUILD`` of an image holds. Raises DockerfileInvalid."""
    lines = _lines(text)
    faults = Faults(path, lines)
    found = list(_instructions(LineReader(lines, faults.add), faults))
    faults.raise_all()
    value = found[0].value if found else None
    if len(found) != 1 or value is None or isinstance(value, From | Onbuild | Maintainer):
        faults.add(
            1, 1, "trigger of ONBUILD is not one instruction of a stage", "repair the image that it is of"
        )
        faults.raise_all()
    assert value is not None and not isinstance(value, From)
    return value


def _lines(text: bytes | str) -> list[str]:
    """Return the lines without their line feeds. Bytes that are no UTF-8 become surrogates: comments may have them."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    lines = text.removeprefix(_BOM).split("\n")
    return lines if lines[-1] else lines[:-1]


def _instructions(reader: LineReader, faults: Faults) -> Iterator[_Read]:
    for line in reader:
        parts = forms.split_instruction(line.text, reader.escape)
        writing = Writing(line, parts, reader.escape, faults)
        statement = Statement(
            writing.at, parts.keyword.text, parts.arguments.text, line.comments, line.empty_continuation
        )
        value: Instruction | From | None = None
        if _is_usable(line, reader.lines, writing.at, faults):
            try:
                value = arguments.read(writing)
            except Stop:
                pass  # it is reported
        yield _Read(statement, value)


def _is_usable(line: LogicalLine, lines: Sequence[str], at: Place, faults: Faults) -> bool:
    """Report characters that no instruction can have; a comment can."""
    if not any(_UNUSABLE.search(text) for text in (line.text, *(each.content for each in line.heredocs))):
        return True
    for number in range(at.line, at.last_line + 1):
        if match := _UNUSABLE.search(lines[number - 1]):
            if match[0] == "\0":
                message, hint = "NUL character in an instruction", "remove it"
            else:
                message, hint = "text is not valid UTF-8", "save the file as UTF-8"
            faults.add(number, match.start() + 1, message, hint)
            break
    return False


def _by_stage(
    found: Sequence[_Read], faults: Faults
) -> tuple[list[Arg], list[tuple[From, list[Instruction]]]]:
    """Return the ARG before the first FROM, and the instructions of each stage. Those with faults are left out."""
    before: list[Arg] = []
    groups: list[tuple[From, list[Instruction]]] = []
    for statement, value in found:
        if statement.keyword.upper() == "FROM":
            base = value if isinstance(value, From) else From(statement.at, "", "")
            groups.append((base, []))
        elif value is None or isinstance(value, From):
            continue
        elif groups:
            groups[-1][1].append(value)
        elif isinstance(value, Arg):
            before.append(value)
        else:
            name = statement.keyword.upper()
            message = f"{name} before the first FROM belongs to no stage"
            faults.add(*statement.at[:2], message, "move it behind FROM: only ARG may come before")
    return before, groups


def _report_no_stage(found: Sequence[_Read], faults: Faults) -> None:
    message = "Dockerfile has no FROM" if found else "Dockerfile has no instructions"
    faults.add(found[-1].statement.at.line if found else 1, 1, message, "begin with FROM IMAGE")


def _check_options(reader: LineReader, faults: Faults) -> None:
    """Report a ``check`` directive that cannot be read."""
    try:
        directives.check_options(reader.values.get("check", "").partition(" ")[0])
    except ValueError as error:
        faults.add(reader.directive_line("check"), 1, str(error))
