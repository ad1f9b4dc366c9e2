"""A log with a limit gives its front back to the disk, and readers see whole lines of what is left."""

from __future__ import annotations

import os
import pathlib

from composer.backends.namespace.logs import _Reader
from composer.backends.namespace.runtime.logs import RECORD, Log, read_starts


def _lines(directory: pathlib.Path) -> list[bytes]:
    return [line.data for line in _Reader("id", str(directory)).new_lines()]


def _write(log: Log, first: int, last: int, stream: int = 0) -> None:
    for number in range(first, last):
        log.append(stream, b"line %06d\n" % number)


def test_the_front_is_dropped_by_whole_lines(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 16_000, "least": 8_000})
    _write(log, 0, 6_000)
    found = _lines(tmp_path)
    assert found[-1] == b"line 005999\n"
    assert all(len(line) == 12 for line in found)
    assert 8_000 - 12 * 2 <= sum(map(len, found)) <= 16_000
    numbers = [int(line.split()[1]) for line in found]
    assert numbers == list(range(numbers[0], 6_000))
    for name, most in (("stdout", 16_000), ("index", 16_000 // 12 * RECORD.size)):
        assert os.stat(tmp_path / "logs" / name).st_blocks * 512 <= most + 3 * 4096
    log.close()


def test_a_follower_goes_on_over_what_is_dropped(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 4_000, "least": 2_000})
    reader = _Reader("id", str(tmp_path))
    _write(log, 0, 10)
    assert len(list(reader.new_lines())) == 10
    _write(log, 10, 5_000)  # most of it is gone before it was read
    seen = [line.data for line in reader.new_lines()]
    assert seen[-1] == b"line 004999\n"
    assert not any(b"\0" in line for line in seen)
    _write(log, 5_000, 5_003)
    assert [line.data for line in reader.new_lines()] == [b"line %06d\n" % n for n in range(5_000, 5_003)]
    log.close()


def test_both_streams_count_and_keep_their_share(tmp_path: pathlib.Path) -> None:
    log = Log(str(tmp_path), {"most": 24_000, "least": 12_000})
    for number in range(0, 4_000, 2):
        _write(log, number, number + 1, stream=0)
        _write(log, number + 1, number + 2, stream=1)
    lines = list(_Reader("id", str(tmp_path)).new_lines())
    for stream, last in (("stdout", b"line 003998\n"), ("stderr", b"line 003999\n")):
        mine = [line.data for line in lines if line.stream == stream]
        assert mine[-1] == last
        assert 5_000 < sum(map(len, mine)) <= 12_100
    log.close()


def test_the_next_writer_goes_on_where_the_last_was_killed(tmp_path: pathlib.Path) -> None:
    limits = {"most": 4_000, "least": 2_000}
    log = Log(str(tmp_path), limits)
    _write(log, 0, 1_000)
    starts = read_starts(str(tmp_path / "logs"))
    assert all(start > 0 for start in (starts[0], starts[2]))
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
        assert read_starts(str(tmp_path / name / "logs")) == (0, 0, 0)
        log.close()
