"""What a build tells of a command's output: line by line, within a limit, and its end in any case."""

from __future__ import annotations

from composer.runtime.build.requests import News
from composer.runtime.build.telling import Teller


def told(*pieces: bytes) -> tuple[list[str], list[str]]:
    """Return the lines that are told of output, and the last five that a failure would show."""
    found: list[News] = []
    shown = Teller(found.append).step("RUN x")
    with shown.running():
        for piece in pieces:
            shown.output("stdout", piece)
        tail = shown.tail(5)
    return [one.text for one in found if one.kind == "line"], tail


def test_lines_come_whole() -> None:
    assert told(b"on", b"e\ntwo\nthr", b"ee") == (["one", "two", "three"], ["one", "two", "three"])


def test_what_overwrote_itself_is_shown_as_it_was_at_last() -> None:
    assert told(b" 10%\r 90%\r100%\n")[0] == ["100%"]


def test_output_is_clipped_and_its_end_is_kept() -> None:
    lines, tail = told(b"y\n" * (1 << 20), b"z\n" * (1 << 20), b"last but one\nlast\n")
    assert lines[-1] == "[output clipped, log limit 2MiB reached]"
    assert lines.count("y") == 1 << 20
    assert "z" not in lines
    assert tail == ["z", "z", "z", "last but one", "last"]


def test_a_line_that_never_ends_takes_no_memory() -> None:
    lines, tail = told(*[b"x" * (1 << 20)] * 8, b"\nend")
    assert lines == ["[output clipped, log limit 2MiB reached]"]
    assert tail[-1] == "end"
    assert max(map(len, tail)) <= 16 << 10
