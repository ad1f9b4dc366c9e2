"""Snapshots of PostgreSQL with 1 GB: restores in a row under load, each checked; and forks.

    python -m tests.bench.snapshots [--restores N] [--scale N] [--freeze] [--backend NAME]

Needs root and, for the first run, mmdebstrap. Before each restore pgbench writes with four connections, and goes on
until it is killed. After each, the database must be consistent in itself (pgbench's books balance: all deltas of a
transaction are there, or none) and the snapshot's own (the number of transactions); at the end each index is compared
with its table (amcheck). The service's own start is measured beside it.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from typing import Any

import composer
from tests.samples import stand_ins

FILE = """
services:
  db:
    image: stand-in/postgres
    command: ["postgres", "-c", "max_wal_size=4GB"]
    environment: {POSTGRES_PASSWORD: secret, PGUSER: postgres, PGDATABASE: postgres}
    shm_size: 256m
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: {test: [CMD, pg_isready, -q, -h, /tmp], interval: 5s, start_interval: 100ms, start_period: 120s}
volumes: {data: {}}
"""
BALANCED = """
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = h.total AND (SELECT sum(tbalance) FROM pgbench_tellers) = h.total
   AND (SELECT sum(bbalance) FROM pgbench_branches) = h.total, h.count
  FROM (SELECT coalesce(sum(delta), 0) AS total, count(*) AS count FROM pgbench_history) AS h
"""
INDEXES = """
CREATE EXTENSION IF NOT EXISTS amcheck;
SELECT count(bt_index_check(c.oid, true)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
 WHERE a.amname = 'btree' AND c.relkind = 'i'
"""


def sql(stack: composer.Stack, text: str) -> str:
    return stack["db"].exec(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text]).stdout.strip()


def pgbench(stack: composer.Stack, *words: str, check: bool = True) -> None:
    stack["db"].exec(
        ["sh", "-c", 'exec "$(ls -d /usr/lib/postgresql/*/bin)/pgbench" "$@"', "-", *words], check=check
    )


def timed(act: Any, *arguments: Any, **options: Any) -> tuple[float, Any]:
    begin = time.monotonic()
    found = act(*arguments, **options)
    return time.monotonic() - begin, found


def under_load(stack: composer.Stack, seconds: float) -> threading.Thread:
    """Begin to write, and return when a while has passed; whoever kills the database ends it."""
    words = ("-c", "4", "-j", "2", "-T", "600", "-n")
    thread = threading.Thread(target=lambda: pgbench(stack, *words, check=False))
    thread.start()
    time.sleep(seconds)
    return thread


def show(what: str, times: list[float]) -> None:
    ordered = sorted(times)
    print(
        f"{what:<44} median {statistics.median(ordered):6.2f} s   largest {ordered[-1]:6.2f} s   of {len(ordered)}",
        flush=True,
    )


def start_alone(stack: composer.Stack) -> float:
    stack["db"].stop()
    return timed(lambda: (stack["db"].start(), stack["db"].wait_healthy()))[0]


def measure(stack: composer.Stack, count: int, scale: int, *, stop: bool | None) -> None:
    stack.up(timeout=300)
    pgbench(stack, "-i", "-q", "-s", str(scale))
    pgbench(stack, "-c", "4", "-t", "500", "-n")
    sql(stack, "CHECKPOINT")
    print("database:", sql(stack, "SELECT pg_size_pretty(pg_database_size(current_database()))"))
    show("the start of the database alone", [start_alone(stack) for _ in range(5)])
    took, snapshot = timed(stack.snapshot, stop=stop)
    print(
        f"save: {took:.2f} s, {snapshot.quiet}, by {snapshot.way}, {snapshot.size_bytes >> 20} MB", flush=True
    )
    wanted = sql(stack, BALANCED)
    assert wanted.startswith("t|"), wanted
    restores, ways = [], set()
    for number in range(count):
        load = under_load(stack, 1.0)
        took, way = timed(stack.restore, snapshot, timeout=300)
        load.join()
        restores.append(took)
        ways.add(way)
        found = sql(stack, BALANCED)
        assert found == wanted, f"restore {number + 1}: {found}, not {wanted}"
    show(f"restore under load, by {'/'.join(sorted(ways))}", restores)
    assert int(sql(stack, INDEXES)) > 50
    forks = []
    for _ in range(max(3, count // 10)):
        took, fork = timed(stack.fork, snapshot=snapshot, timeout=300)
        with fork:
            forks.append(took)
            assert sql(fork, BALANCED) == wanted
    show("fork of a snapshot", forks)
    stack.remove_snapshot(snapshot)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--restores", type=int, default=100)
    parser.add_argument("--scale", type=int, default=65, help="15 MB each, with the index")
    parser.add_argument("--freeze", action="store_true", help="freeze the database for the save")
    parser.add_argument("--backend", default="namespace")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="composer-snapshots-") as directory:
        os.environ.update(COMPOSER_ROOT=f"{directory}/root", COMPOSER_BACKEND=given.backend)
        stand_ins.import_images([sys.executable, "-m", "composer"], dict(os.environ), ["postgres"])
        file = pathlib.Path(directory, "compose.yaml")
        file.write_text(FILE)
        with composer.Stack(str(file), backend=given.backend, name="benchsnapshots") as stack:
            try:
                measure(stack, given.restores, given.scale, stop=False if given.freeze else None)
            finally:
                for one in stack.snapshots():
                    stack.remove_snapshot(one)


if __name__ == "__main__":
    main()
