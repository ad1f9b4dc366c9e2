"""A log with a limit goes on in new files and removes the oldest; readers see whole lines of what is left."""

from __future__ import annotations

import os
import pathlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from composer.engine.observed import LogPiece, lines
from composer.runtime.base import syscalls
from composer.runtime.objects.log_reader import _Reader
from composer.runtime.streams import generations, log
from composer.runtime.streams.generations import Cursor, read_at
from composer.runtime.streams.log import Log
from composer.runtime.streams.seeking import Seeker


def _lines(directory: pathlib.Path) -> list[bytes]:
    return _new(_Reader("id", str(directory)))


def _new(reader: _Reader) -> list[bytes]:
    return list(lines(LogPiece(*piece) for piece in reader.new_lines()))


def _write(log: Log, first: int, last: int, stream: int = 0) -> None:
    for number in range(first, last):
        assert log.append(stream, b"line %06d\n" % number) == 12


def _kept(directory: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in (directory / "logs").rglob("*") if path.is_file())


def test_the_front_is_dropped_by_whole_lines(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 16_000, "least": 8_000})
    for first in range(0, 6_000, 100):
        _write(log, first, first + 100)
        assert _kept(tmp_path) <= 16_000 + 200, "the index counts in what is kept"
    found = _lines(tmp_path)
    assert found[-1] == b"line 005999\n"
    numbers = [int(line.split()[1]) for line in found]
    assert numbers == list(range(numbers[0], 6_000))
    assert 36 * len(found) >= 8_000 - 36 * 2
    log.close()


def test_no_offset_in_a_file_grows_for_ever(tmp_path: pathlib.Path) -> None:
    """What made a program block for good when its output had reached the largest file there can be."""
    log = Log(str(tmp_path), {"most": 4_000, "least": 2_000})
    _write(log, 0, 5_000)
    assert max(path.stat().st_size for path in (tmp_path / "logs").rglob("*") if path.is_file()) < 2_100
    log.close()


@pytest.mark.timeout(30)
def test_a_line_in_many_pieces_is_joined_once(tmp_path: pathlib.Path) -> None:
    """80 MB without a line break: joined with each piece that comes, they would be moved for minutes."""
    log = Log(str(tmp_path), {})
    piece = b"x" * (1 << 14)
    for _ in range(5_000):
        log.append(0, piece)
    log.append(0, b"\nlast\nrest")
    reader = _Reader("id", str(tmp_path))
    assert [len(line) for line in _new(reader)] == [5_000 * len(piece) + 1, 5]
    assert [line.data for line in reader.rest()] == [b"rest"]
    log.close()


def test_a_burst_is_cut_to_what_a_generation_may_have(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 3_000, "least": 2_000})
    assert log.append(0, b"x" * 99 + b"\n" + b"".join(b"%099d\n" % n for n in range(300))) == 30_100
    assert _kept(tmp_path) <= 3_200
    assert _lines(tmp_path)[-1] == b"%099d\n" % 299
    log.close()


def test_a_follower_goes_on_over_what_is_dropped(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 4_000, "least": 2_000})
    reader = _Reader("id", str(tmp_path))
    _write(log, 0, 10)
    assert len(list(reader.new_lines())) == 10
    _write(log, 10, 5_000)  # most of it is gone before it was read
    seen = [line.data for line in reader.new_lines()]
    assert seen[-1] == b"line 004999\n"
    assert all(len(line) == 12 for line in seen)
    _write(log, 5_000, 5_003)
    assert [line.data for line in reader.new_lines()] == [b"line %06d\n" % n for n in range(5_000, 5_003)]
    log.close()


def test_a_follower_that_keeps_up_misses_nothing_over_any_number_of_files(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 1_000, "least": 500})
    reader, seen = _Reader("id", str(tmp_path)), []
    for number in range(2_000):
        _write(log, number, number + 1, stream=number % 2)
        seen += [line.data for line in reader.new_lines()]
    assert seen == [b"line %06d\n" % number for number in range(2_000)]
    log.close()


@pytest.mark.parametrize("size", [7, 500, 4_096])
def test_lines_are_whole_however_they_lie_over_the_files(tmp_path: pathlib.Path, size: int) -> None:
    log = Log(str(tmp_path), {"most": 6_000, "least": 3_000})
    text = b"".join(b"line %06d\n" % number for number in range(4_000))
    for first in range(0, len(text), size):
        log.append(0, text[first : first + size])
    found = _lines(tmp_path)
    numbers = [int(line.split()[1]) for line in found]
    assert numbers == list(range(numbers[0], 4_000))
    log.close()


def test_both_streams_count(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 48_000, "least": 24_000})
    for number in range(0, 4_000, 2):
        _write(log, number, number + 1, stream=0)
        _write(log, number + 1, number + 2, stream=1)
    found = list(_Reader("id", str(tmp_path)).new_lines())
    for stream, last in (("stdout", b"line 003998\n"), ("stderr", b"line 003999\n")):
        mine = [piece.data for piece in found if piece.stream == stream]
        assert mine[-1] == last
        assert 11_500 < len(mine) * 36 <= 24_100
    log.close()


def test_the_next_writer_goes_on_where_the_last_was_killed(tmp_path: pathlib.Path) -> None:
    limits = {"most": 4_000, "least": 2_000}
    log = Log(str(tmp_path), limits)
    _write(log, 0, 1_000)
    assert generations.numbers(str(tmp_path / "logs"))[0] > 0
    log.close()
    again = Log(str(tmp_path), limits)
    _write(again, 1_000, 1_003)
    assert _lines(tmp_path)[-4:] == [b"line %06d\n" % n for n in range(999, 1_003)]
    again.close()


def test_without_a_limit_nothing_is_dropped_and_with_none_nothing_is_kept(tmp_path: pathlib.Path) -> None:
    for name, limits, count in (("all", None, 3_000), ("none", {"keep": False}, 0)):
        (tmp_path / name).mkdir()
        log = Log(str(tmp_path / name), limits)
        _write(log, 0, 3_000)
        assert len(_lines(tmp_path / name)) == count
        assert generations.numbers(str(tmp_path / name / "logs")) == [0]
        log.close()


def test_a_log_that_an_earlier_version_emptied_from_its_front_goes_on(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path))
    _write(log, 0, 100)
    log.close()
    (tmp_path / "logs" / "start").write_bytes(generations._START.pack(12 * 50 + 5, 0, 24 * 50))
    limits = {"most": 2_000, "least": 1_000}
    log = Log(str(tmp_path), limits)
    assert _lines(tmp_path)[0] == b"line 000051\n"
    _write(log, 100, 300)
    assert generations.numbers(str(tmp_path / "logs"))[0] > 0
    assert not (tmp_path / "logs" / "start").exists()
    assert _lines(tmp_path)[-1] == b"line 000299\n"
    log.close()


def test_a_stream_is_read_by_offsets_over_the_files(tmp_path: pathlib.Path) -> None:
    """As forwarding does."""
    log = Log(str(tmp_path), {"most": 3_000, "least": 2_000})
    _write(log, 0, 1_000)
    directory = str(tmp_path / "logs")
    offset, data = read_at(directory, 0, 0, 1 << 16)
    assert offset > 0
    assert offset + len(data) == 12_000
    assert read_at(directory, 0, 11_990, 100) == (11_990, b"ne 000999\n")
    assert read_at(directory, 0, 12_000, 100) == (12_000, b"")
    log.close()


def test_what_a_full_disk_cut_off_is_no_record(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(str(tmp_path))
    _write(log, 0, 3)
    whole = os.pwrite

    def half(fd: int, data: bytes, offset: int) -> int:
        return whole(fd, data[:9] if len(data) == generations.RECORD.size else data, offset)

    monkeypatch.setattr(os, "pwrite", half)
    assert log.append(0, b"line 000003\n") == 12
    monkeypatch.undo()
    _write(log, 4, 6)
    assert _lines(tmp_path) == [b"line %06d\n" % number for number in range(6)]
    log.close()


# ------------------------------------------------------------------ kills


_STEPS = ("open", "mkdir", "rename", "pwrite", "unlink", "rmdir", "ftruncate")


def _be_killed_after(steps: int) -> None:
    """In a child: end like a kill does, before or behind the n-th call that changes something."""
    left = steps

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(9)

    def fatal(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            step()
            result = call(*arguments, **named)
            step()
            return result

        return wrapped

    for name in _STEPS:
        setattr(os, name, fatal(getattr(os, name)))
    syscalls.splice = fatal(syscalls.splice)


def _write_and_be_killed(directory: str, limits: dict[str, int], steps: int) -> bool:
    """Move what is waiting, in a process that is killed on the way; False when it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            _be_killed_after(steps)
            log = Log(directory, limits)
            for stream in (0, 1, 0, 1):
                while log.pump(stream):
                    pass
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(tmp_path: pathlib.Path) -> None:
    """Each step of opening, writing, the change of files and the removal of old ones, and a reader all the time."""
    limits = {"most": 2_000, "least": 1_000}
    Log(str(tmp_path), limits).close()
    writers = [log.open_writer(str(tmp_path), stream) for stream in generations.STREAMS]
    reader, seen = _Reader("id", str(tmp_path)), []
    dice, expected, kills = random.Random(5), [], 0
    for number in range(300):
        line = b"line %06d\n" % number
        os.write(writers[number % 2], line)
        expected.append(line)
        kills += _write_and_be_killed(str(tmp_path), limits, dice.randrange(1, 90))
        seen += _new(reader)
    assert not _write_and_be_killed(str(tmp_path), limits, 1_000)
    seen += _new(reader)
    assert kills > 75
    assert sorted(seen) == expected, "a line is lost, or came twice"
    assert len(generations.numbers(str(tmp_path / "logs"))) <= 2
    present = {name for name in os.listdir(tmp_path / "logs") if name.isdecimal()}
    assert present == {str(number) for number in generations.numbers(str(tmp_path / "logs"))}
    for writer in writers:
        os.close(writer)


def test_what_a_power_cut_emptied_costs_its_own_lines_and_nothing_else(tmp_path: pathlib.Path) -> None:
    """Neither reader nor writer stops at a generation without its ``base``, or at a record that is none."""
    log = Log(str(tmp_path), {"most": 8_000, "least": 6_000})
    _write(log, 0, 1_000)
    log.close()
    newest = max(generations.numbers(f"{tmp_path}/logs"))
    os.truncate(tmp_path / "logs" / str(newest) / "base", 0)
    with open(tmp_path / "logs" / str(newest - 1) / "index", "r+b") as index:
        index.write(generations.RECORD.pack(0, 77, 2**63))
    before = _lines(tmp_path)
    assert before
    log = Log(str(tmp_path), {"most": 8_000, "least": 6_000})
    _write(log, 1_000, 1_100)  # over the number that the damaged one had
    log.close()
    assert _lines(tmp_path)[-100:] == [b"line %06d\n" % number for number in range(1_000, 1_100)]


def test_a_cursor_passes_over_what_was_before(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 1_000, "least": 500})
    _write(log, 0, 200)
    cursor = Cursor(str(tmp_path / "logs"))
    with Seeker(str(tmp_path / "logs")) as seeker:
        place = seeker.end()
    assert place is not None
    assert cursor.seek(place.number, place.position, place.ends)
    _write(log, 200, 202)
    assert b"".join(chunk.data for chunk in cursor.chunks()) == b"line 000200\nline 000201\n"
    log.close()
