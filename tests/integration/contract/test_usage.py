"""Processes and counters of containers, the same on every backend."""

from __future__ import annotations

import pytest

from composer.errors import BackendError
from tests.integration.contract.conftest import Place, eventually


def test_a_container_that_does_not_run_uses_nothing(place: Place) -> None:
    id = place.create()
    assert place.backend.usage(id) is None
    with pytest.raises(BackendError):
        place.backend.processes(id)


def test_one_that_runs_has_processes_and_a_limit(place: Place) -> None:
    id = place.start(shell="exec sleep 600", mem_limit="64m")
    found = eventually(lambda: place.backend.usage(id), what="the first sample")
    assert found.processes >= 1
    assert found.memory_limit_bytes == (64 << 20 if place.is_real else 1 << 30)
    processes = place.backend.processes(id)
    assert [title for title in processes.titles if title in ("UID", "PID", "CMD")] == ["UID", "PID", "CMD"]
    assert all(len(row) == len(processes.titles) for row in processes.rows)


@pytest.mark.real
def test_work_is_counted(place: Place) -> None:
    id = place.start(shell="cat /dev/zero | head -c 300000000 >/dev/null; exec sleep 601")
    processes = eventually(
        lambda: [row for row in place.backend.processes(id).rows if row[-1] == "sleep 601"],
        what="the end of the work",
    )
    assert len(processes) == 1
    first = place.backend.usage(id)
    assert first is not None and first.cpu_ns > 10_000_000 and first.memory_bytes > 0
    later = eventually(
        lambda: (
            now
            if (now := place.backend.usage(id)) is not None and now.time_ns > first.time_ns + 50_000_000
            else None
        ),
        what="another sample",
    )
    busy_ns = later.cpu_ns - first.cpu_ns
    assert 0 <= busy_ns < (later.time_ns - first.time_ns) // 2, "it sleeps"
