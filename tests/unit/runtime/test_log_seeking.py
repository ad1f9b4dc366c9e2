"""The end of a log, or what came after a time, without reading what is before it: the same lines as by reading all."""

from __future__ import annotations

import os
import pathlib
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from composer.engine.observed import LogPiece, lines
from composer.runtime.base.state import Paths
from composer.runtime.objects.log_reader import Logs
from composer.runtime.streams import generations
from composer.runtime.streams.log import Log

Line = tuple[int, str, bytes]


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> Paths:
    return Paths(str(tmp_path / "lib"), str(tmp_path / "run"))


def _read(paths: Paths, **given: Any) -> list[Line]:
    wanted = {"since_ns": 0, "until_ns": None, "tail": None, **given}
    pieces = Logs(paths, ["c"], follow=False, **wanted)
    return [(p.time_ns, p.stream, one) for p in pieces for one in lines((LogPiece(*p),))]


def _clock(monkeypatch: pytest.MonkeyPatch, times: Iterator[int]) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: next(times))


def _steps(dice: random.Random) -> Iterator[int]:
    now = 1_000
    while True:
        now += dice.choice((0, 1, 1, 7, -3))  # the clock is set back, too
        yield now


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("limits", [None, {"most": 9_000, "least": 7_500}], ids=["endless", "limited"])
def test_any_part_is_that_of_the_whole(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, seed: int, limits: dict[str, int] | None
) -> None:
    dice = random.Random(seed)
    _clock(monkeypatch, _steps(dice))
    written = Log(paths.container("c"), limits)
    for number in range(400):
        text = (
            b"%d" % number
            + b"." * dice.choice((0, 3, 40, 200))
            + dice.choice((b"\n", b"\n", b"\na\nb\n", b""))
        )
        written.append(int(dice.random() < dice.choice((0, 0.02, 0.5))), text)
    whole = _read(paths)
    first, last = whole[0][0], whole[-1][0]
    moments = [0, first - 1, first, last, last + 1, *(dice.randint(first, last) for _ in range(12))]
    for since in moments:
        for until in (None, *dice.sample(moments, 3)):
            part = [one for one in whole if one[0] >= since and (until is None or one[0] <= until)]
            assert _read(paths, since_ns=since, until_ns=until) == part
            for tail in (0, 1, 2, 10, 77, 1_000):
                found = _read(paths, since_ns=since, until_ns=until, tail=tail)
                assert found == part[max(0, len(part) - tail) :]
    written.close()


def test_a_line_that_began_long_before_is_whole(paths: Paths) -> None:
    """In files before, and between many lines of the other stream."""
    written = Log(paths.container("c"), {"most": 40_000, "least": 38_000})
    written.append(1, b"begin ")
    for number in range(300):
        written.append(0, b"line %d\n" % number)
        written.append(1, b"%d " % number)
    written.append(1, b"end\n")
    assert len(generations.numbers(f"{paths.container('c')}/logs")) > 2
    (found,) = _read(paths, tail=1)
    assert found[2] == b"begin " + b"".join(b"%d " % number for number in range(300)) + b"end\n"
    assert [line for _, _, line in _read(paths, tail=2)] == [b"line 299\n", found[2]]
    written.close()


def _cost(paths: Paths, monkeypatch: pytest.MonkeyPatch, **given: Any) -> tuple[int, int]:
    """Return how many readings of how many bytes it takes."""
    sizes: list[int] = []
    pread = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        data = pread(fd, count, offset)
        sizes.append(len(data))
        return data

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", counted)
        assert _read(paths, **given)
    return len(sizes), sum(sizes)


@pytest.mark.parametrize("part", ["tail", "since", "until"])
def test_what_it_costs_does_not_grow_with_the_log(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    times = iter(range(1, 1_000_000))
    _clock(monkeypatch, times)
    written = Log(paths.container("c"))
    costs = []
    for lines_more in (2_000, 30_000):
        for number in range(lines_more):
            written.append(0, b"line %d of a log\n" % number)
        now = next(times)
        wanted = {
            "tail": {"tail": 10},
            "since": {"since_ns": now - 10},
            "until": {"tail": 10, "until_ns": now - 1_000},
        }
        costs.append(_cost(paths, monkeypatch, **wanted[part]))
    (calls, size), (calls_more, size_more) = costs
    assert calls_more <= calls + 8  # sixteen times as long: four more halvings, twice at most
    assert size_more <= size + (1 << 18)
    written.close()


def test_a_log_is_opened_without_reading_its_index(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Log(paths.container("c"))
    for _ in range(20_000):
        written.append(0, b"line\n")
    written.close()
    sizes: list[int] = []
    pread = os.pread
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", lambda *part: sizes.append(part[1]) or pread(*part))
        again = Log(paths.container("c"))
    assert again.append(0, b"last\n") == 5
    assert sum(sizes) < 20_000 * generations.RECORD.size
    assert [one for _, _, one in _read(paths, tail=1)] == [b"last\n"]
    again.close()


def test_records_that_a_power_cut_emptied_are_passed_over(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    _clock(monkeypatch, iter(range(1, 10_000)))
    written = Log(paths.container("c"))
    for number in range(500):
        written.append(0, b"line %d\n" % number)
    written.close()
    size = generations.RECORD.size
    with open(f"{paths.container('c')}/logs/index", "r+b") as index:
        index.seek(size * 200)
        index.write(bytes(size * 100))
    whole = _read(paths)
    assert [one for one in whole if one[0] >= 150] == _read(paths, since_ns=150)
    assert whole[-20:] == _read(paths, tail=20)


def test_a_log_of_an_earlier_version_may_have_times_that_fall(paths: Paths) -> None:
    """Its writer took the clock as it was; it is read from its beginning where a time is asked for."""
    logs = pathlib.Path(paths.container("c")) / "logs"
    logs.mkdir(parents=True)
    times = [*range(100, 110), *range(50, 65)]
    text = [b"l%d\n" % number for number in range(len(times))]
    (logs / "stdout").write_bytes(b"".join(text))
    (logs / "stderr").touch()
    ends = [sum(map(len, text[: number + 1])) for number in range(len(text))]
    (logs / "index").write_bytes(
        b"".join(generations.RECORD.pack(at, 0, end) for at, end in zip(times, ends, strict=True))
    )
    whole = _read(paths)
    assert [line for _, _, line in whole] == text
    assert _read(paths, since_ns=105) == whole[5:]
    assert _read(paths, since_ns=105, tail=3) == whole[-3:]
    assert _read(paths, until_ns=105, tail=3) == whole[3:6]
    assert [line for _, _, line in _read(paths, tail=3)] == text[-3:]


def test_times_go_on_over_a_change_of_files_and_of_the_writer(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"most": 600, "least": 500}
    _clock(monkeypatch, iter([10_000]))
    written = Log(paths.container("c"), limits)
    assert written.append(0, b"x" * 75 + b"\n") == 76  # it fills its files: the next are empty
    written.close()
    _clock(monkeypatch, iter([9_000]))
    again = Log(paths.container("c"), limits)
    again.append(0, b"new\n")
    again.close()
    assert _read(paths)[-1] == (10_000, "stdout", b"new\n")
    assert _read(paths, since_ns=9_500, tail=1) == _read(paths)[-1:]
