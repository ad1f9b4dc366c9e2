"""``composer stats`` and ``top``: rates from two samples, Docker's columns, a terminal and a pipe."""

from __future__ import annotations

import json

from composer.backends.memory import Behaviour
from composer.cli.commands.stats import cpu_percent, row
from composer.engine.inspected import Usage
from composer.engine.observed import ContainerState, ObservedContainer
from tests.unit.cli.console import Console

S = 1_000_000_000
FIRST = Usage(10 * S, cpu_ns=S)
THEN = Usage(12 * S, cpu_ns=4 * S, memory_bytes=484 << 10, memory_limit_bytes=1 << 30, received_bytes=1350, sent_bytes=126, read_bytes=1_982_000, processes=2)  # noqa: E501  # fmt: skip


def test_a_rate_is_between_two_samples() -> None:
    assert cpu_percent(FIRST, THEN) == 150.0
    assert cpu_percent(None, THEN) == cpu_percent(THEN, FIRST) == cpu_percent(THEN, THEN) == 0.0
    assert cpu_percent(THEN, Usage(13 * S, cpu_ns=S)) == 0.0, "it was started again in between"


def test_texts_are_dockers() -> None:
    container = ObservedContainer("a" * 64, "web-1", {}, ContainerState.RUNNING)
    assert dict(row(container, FIRST, THEN, whole=False)) == {
        "BlockIO": "1.98MB / 0B",
        "CPUPerc": "150.00%",
        "Container": "a" * 64,
        "ID": "a" * 12,
        "MemPerc": "0.05%",
        "MemUsage": "484KiB / 1GiB",
        "Name": "web-1",
        "NetIO": "1.35kB / 126B",
        "PIDs": "2",
    }
    assert row(container, None, None, whole=True)["MemUsage"] == "0B / 0B"


def test_it_is_shown_once(console: Console) -> None:
    console.write("services: {web: {image: nginx}, db: {image: postgres}}")
    console.backend.behave("web", Behaviour(usage=(FIRST, THEN)))
    console("up", "-d")
    console("stop", "db")
    result = console("stats", "--no-stream", "-a", "--format", "json")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [(r["Name"], r["CPUPerc"]) for r in rows] == [("app-db-1", "0.00%"), ("app-web-1", "150.00%")]
    text = console("stats", "--no-stream", "db").out
    assert text.split() == "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS".split()
    assert console("stats", "--no-stream", "none").code == 1


def test_the_processes_of_services_are_one_table(console: Console) -> None:
    console.write("services: {web: {image: nginx, command: [nginx, -g], scale: 2}, db: {image: postgres}}")
    console("up", "-d")
    console("stop", "db")
    lines = console("top").out.splitlines()
    assert lines[0].split() == ["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert [line.split()[:2] for line in lines[1:]] == [["web", "1"], ["web", "2"]]
    assert lines[1].endswith("nginx -g")
    assert console("top", "db").out == ""
    assert "no such service: none" in console("top", "none").err
