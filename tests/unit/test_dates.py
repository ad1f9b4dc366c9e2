"""Points in time: read to the nanosecond, and written."""

from __future__ import annotations

import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer import dates

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NOON_NS = 1_767_355_200_000_000_000  # 2026-01-02T12:00:00Z


@given(
    st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30), timezones=st.timezones()),
    st.integers(0, 999),
)
def test_what_datetime_writes_and_three_digits_more(moment: datetime.datetime, nanoseconds: int) -> None:
    if (moment.utcoffset() or datetime.timedelta()).microseconds:
        return
    exact = (moment - EPOCH) // datetime.timedelta(microseconds=1)
    written = moment.isoformat(timespec="microseconds")
    assert dates.parse_ns(f"{written[:26]}{nanoseconds:03}{written[26:]}") == exact * 1000 + nanoseconds


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_what_is_written_is_read_again(time_ns: int) -> None:
    assert dates.parse_ns(dates.utc_ns(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-01-02T12:00:00Z", NOON_NS),
        ("2026-01-02T14:00:00+02:00", NOON_NS),
        ("2026-01-02T06:30:00-05:30", NOON_NS),
        ("2026-01-02T12:00:00.5Z", NOON_NS + 500_000_000),
        ("2026-01-02T12:00:00.000000001Z", NOON_NS + 1),
        ("2026-01-02T12:00:00.0000000019Z", NOON_NS + 1),
        ("2026-01-02T13:00:00.25+01:00", NOON_NS + 250_000_000),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2026-01-02T12:00:00.Z", None),
        ("2026-13-02T12:00:00Z", None),
        ("2026-02-30T12:00:00Z", None),
        ("2026-01-02T25:00:00Z", None),
        ("2026-01-02T12:00:00.1.2Z", None),
        ("0001-01-01T00:00:00+23:00", -62_135_679_600 * 10**9),
        ("nonsense", None),
        ("", None),
        (".5", None),
    ],
)
def test_times(text: str, wanted: int | None) -> None:
    assert dates.parse_ns(text) == wanted


def test_without_a_zone_it_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    try:
        assert dates.parse_ns("2026-01-02T15:00:00.000000007") == NOON_NS + 7
        assert dates.utc(NOON_NS / 1e9) == "2026-01-02T12:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_nine_digits_as_docker_writes_them() -> None:
    assert dates.utc_ns(NOON_NS + 42) == "2026-01-02T12:00:00.000000042Z"
    assert dates.utc(-62_135_596_800) == "0001-01-01T00:00:00Z"
    assert dates.utc_ns(-1) == "1969-12-31T23:59:59.999999999Z"
