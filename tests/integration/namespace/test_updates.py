"""Replacing what serves: without one failed request, and back again when it does not come up."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.ports import free_port

from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

SERVER = (
    "import http.server, os, signal, sys, threading\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        body = os.environ['VERSION'].encode()\n"
    "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
    "        self.wfile.write(body)\n"
    "    def log_message(self, *a): pass\n"
    "s = http.server.ThreadingHTTPServer(('', 80), H)\n"
    "signal.signal(signal.SIGTERM, lambda *a: os._exit(0))\n"
    "s.serve_forever()\n"
)
PYTHON = "/usr/bin/python3"


def project(version: str, port: int, *, order: str = "start-first", command: str = "") -> str:
    run = command or json.dumps([PYTHON, "-c", SERVER])
    probe = json.dumps(
        ["CMD", PYTHON, "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1/', timeout=2)"]
    )
    return f"""
services:
  web:
    image: host
    command: {run}
    environment: {{VERSION: "{version}"}}
    ports: ["127.0.0.1:{port}:80"]
    healthcheck: {{test: {probe}, interval: 1s, retries: 3}}
    deploy: {{update_config: {{order: {order}}}}}
  client:
    image: host
    command: [sleep, infinity]
    stop_signal: SIGKILL
"""


class Fetcher(threading.Thread):
    """Fetches one after the other, and counts: what came, and what failed."""

    def __init__(self, fetch: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self._fetch, self._end = fetch, threading.Event()
        self.seen: dict[str, int] = {}
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._end.is_set():
            try:
                body = self._fetch()
                self.seen[body] = self.seen.get(body, 0) + 1
            except (OSError, urllib.error.URLError, AssertionError) as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._end.set()
        self.join(30)


def from_outside(port: int) -> Callable[[], str]:
    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())

    return fetch


BY_NAME = (
    # until the new one has answered fifty times: by then the old one has gone
    "import urllib.request as r, collections\n"
    "bad = 0\n"
    "seen = collections.Counter()\n"
    "while seen['two'] < 50 and bad < 100:\n"
    "    try: seen[r.urlopen('http://web/', timeout=5).read().decode()] += 1\n"
    "    except Exception as e: bad += 1; print(repr(e))\n"
    "print(sum(seen.values()), bad, sorted(seen))\n"
)


def test_start_first_fails_no_request_by_port_or_by_name(stack: Stack) -> None:
    port = free_port()
    stack.up(project("one", port), "--wait")
    inside = stack.popen("exec", "-T", "client", PYTHON, "-c", BY_NAME)
    fetcher = Fetcher(from_outside(port))
    fetcher.start()
    wait_for(lambda: fetcher.seen.get("one", 0) > 20, what="fetching")
    stack.write(project("two", port))
    stack.run("up", "-d")
    wait_for(lambda: fetcher.seen.get("two", 0) > 20, what="the new version")
    fetcher.stop()
    out, err = inside.communicate(timeout=30)
    assert not fetcher.failures, fetcher.failures[:3]
    assert out.splitlines()[-1].endswith("0 ['one', 'two']"), (out, err)
    rows = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    assert [row["Name"] for row in rows if row["Service"] == "web"] == [f"{stack.name}-web-1"]
    # once more, from the container that took the port over
    stack.write(project("three", port))
    stack.run("up", "-d")
    assert from_outside(port)() == "three"


def test_ports_handed_over_survive_the_supervisor(stack: Stack) -> None:
    port = free_port()
    stack.up(project("one", port), "--wait")
    stack.up(project("two", port))
    import os
    import signal

    old = stack.pid("supervisor")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: stack.pid("supervisor") != old, what="a new supervisor")
    assert from_outside(port)() == "two"
    stack.run("restart", "-t", "0", "web")
    wait_for(lambda: answers(port), what="an answer")
    assert from_outside(port)() == "two"


def answers(port: int) -> bool:
    try:
        return bool(from_outside(port)())
    except OSError:
        return False


def test_a_failed_update_leaves_the_old_one_serving(stack: Stack) -> None:
    port = free_port()
    stack.up(project("one", port), "--wait")
    before = stack.out("ps", "-q", "web")
    fetcher = Fetcher(from_outside(port))
    fetcher.start()
    stack.write(project("two", port, command='["sleep", "infinity"]'))
    result = stack.run("up", "-d", "--on-failure", "rollback", check=False)
    fetched = fetcher.seen["one"]
    wait_for(lambda: fetcher.seen["one"] > fetched + 20, what="fetching after the rollback")
    fetcher.stop()
    assert result.returncode == 1
    assert "rolled back: client, web" in result.stderr
    assert not fetcher.failures, fetcher.failures[:3]
    assert set(fetcher.seen) == {"one"}
    assert stack.out("ps", "-aq", "web") == before


def test_rollback_starts_what_was_stopped(stack: Stack) -> None:
    port = free_port()
    stack.up(project("one", port, order="stop-first"), "--wait")
    before = stack.out("ps", "-q", "web")
    stack.write(project("two", port, order="stop-first", command='["/no/such/program"]'))
    result = stack.run("up", "-d", "--on-failure", "rollback", check=False)
    assert result.returncode == 1, result.stderr
    assert stack.out("ps", "-aq", "web") == before
    wait_for(lambda: answers(port), what="an answer")
    assert from_outside(port)() == "one"


def test_a_changed_network_is_replaced_and_put_back(stack: Stack) -> None:
    text = """
services:
  a: {{image: host, command: [sleep, infinity], stop_signal: SIGKILL, networks: {{front: {{aliases: [other]}}}}}}
  b: {{image: host, command: {command}, stop_signal: SIGKILL, networks: [front]}}
networks: {{front: {{internal: {internal}}}}}
"""
    stack.up(text.format(command="[sleep, infinity]", internal="false"))
    ids = stack.out("ps", "-q")
    stack.up(text.format(command="[sleep, infinity]", internal="true"))
    assert stack.out("ps", "-q") == ids
    address = stack.shell("b", "getent hosts other").split()[0]
    assert address == stack.shell("b", "getent hosts a").split()[0]
    stack.write(text.format(command="[/no/such/program]", internal="false"))
    assert stack.run("up", "-d", "--on-failure", "rollback", check=False).returncode == 1
    assert stack.out("ps", "-q") == ids
    assert stack.shell("b", "getent hosts other")
    assert not stack.shell("a", "ip route show default 2>/dev/null; true")
