"""What others take away of the kernel's state under a running stack: put back by the supervisor, named, and by `up`."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from composer.runtime.base import syscalls
from tests.integration.namespace.conftest import Stack, wait_for
from tests.integration.namespace.netns import Namespace
from tests.ports import free_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="needs /usr/bin/python3"),
]


class Site:
    """A running stack with a published port, and the ways to look at and to damage what it needs."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.port = stack, free_port()
        server = "[/usr/bin/python3, -Sm, http.server, --bind, '::', '80']"
        check = 'import socket; socket.create_connection(("127.0.0.1", 80))'
        stack.up(
            f"services:\n  web:\n    image: host\n    command: {server}\n    stop_grace_period: 0s\n"
            f"    ports: ['{self.port}:80']\n"
            f"    healthcheck: {{test: [CMD, /usr/bin/python3, -Sc, '{check}'], interval: 1s}}\n"
            "  other: {image: host, command: sleep 1000, stop_grace_period: 0s}\n"
            "networks: {default: {enable_ipv6: true}}\n",
            "--wait",
        )
        self.bridge = self.record()["bridge"]
        self.link = self.state("web")["endpoints"][0]["link"]

    def record(self) -> dict[str, object]:
        (path,) = self.stack.state.glob("lib/networks/*/network.json")
        found: dict[str, object] = json.loads(path.read_text())
        return found

    def state(self, service: str) -> dict[str, list[dict[str, str]]]:
        for path in self.stack.state.glob("lib/containers/*/meta.json"):
            if json.loads(path.read_text())["name"] == f"{self.stack.name}-{service}-1":
                state: dict[str, list[dict[str, str]]] = json.loads(path.with_name("state.json").read_text())
                return state
        raise AssertionError(service)

    def works(self) -> bool:
        """Tell whether the published port answers, containers reach each other by name, and the way out is there."""
        return (
            answers("127.0.0.1", self.port)
            and answers("::1", self.port)
            and "200" in self.stack.shell("other", FETCH)
            and pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
        )

    def started(self) -> str:
        return self.stack.shell("web", "cat /proc/1/stat | cut -d' ' -f22")


FETCH = (
    "/usr/bin/python3 -Sc \"import socket; s = socket.create_connection(('web', 80), 2);"
    "s.send(b'GET / HTTP/1.0\\r\\n\\r\\n');"
    'print(s.recv(99))" 2>&1 || true'
)


def answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2) as one:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(one.recv(20))
    except OSError:
        return False


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def nft(*arguments: str) -> None:
    subprocess.run(["nft", *arguments], check=True)


def sysctl(name: str) -> None:
    pathlib.Path("/proc/sys/", name).write_text("0")


DAMAGE: dict[str, tuple[Callable[[Site], None], str]] = {
    "flush ruleset": (lambda site: nft("flush", "ruleset"), "the firewall table is missing"),
    "flush table": (lambda site: nft("flush", "table", "inet", "composer"), "the firewall table is missing"),
    "flush chain": (
        lambda site: nft("flush", "chain", "inet", "composer", "published"),
        "firewall rules are missing",
    ),
    "flush map": (lambda site: nft("flush", "map", "inet", "composer", "ports4"), "is not forwarded"),
    "flush set": (
        lambda site: nft("flush", "set", "inet", "composer", "same"),
        "its firewall rules are missing",
    ),
    "ip_forward": (lambda site: sysctl("net/ipv4/ip_forward"), "net.ipv4.ip_forward is 0"),
    "ipv6 forwarding": (lambda site: sysctl("net/ipv6/conf/all/forwarding"), "forwarding is 0"),
    "bridge deleted": (lambda site: ip("link", "del", site.bridge), "is missing"),  # type: ignore[arg-type]
    "bridge down": (lambda site: ip("link", "set", site.bridge, "down"), "is down"),  # type: ignore[arg-type]
    "address deleted": (
        lambda site: ip("addr", "flush", "dev", site.bridge, "scope", "global"),  # type: ignore[arg-type]
        "is missing",
    ),
    "route deleted": (lambda site: ip("route", "flush", "dev", site.bridge), "the route to"),  # type: ignore[arg-type]
    "interface deleted": (lambda site: ip("link", "del", site.link), "is disconnected from it"),
    "interface taken out": (lambda site: ip("link", "set", site.link, "nomaster"), "is disconnected from it"),
}


@pytest.fixture
def apart() -> Iterator[None]:
    """A network namespace of the test's own: what it destroys there is nobody else's."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    place = Namespace()
    try:
        place.enter()
        yield
    finally:
        syscalls.setns(before, syscalls.CLONE_NEWNET)
        os.close(before)
        place.close()


@pytest.fixture
def site(apart: None, stack: Stack) -> Site:
    made = Site(stack)
    wait_for(made.works, what="the site")
    return made


def test_the_supervisor_puts_back_what_others_take_under_running_containers(site: Site) -> None:
    """All kinds of damage, one after the other, in one stack; nothing is restarted."""
    started = site.started()
    for name, (damage, _) in DAMAGE.items():
        damage(site)
        wait_for(site.works, what=f"mending after {name}", timeout_s=20)
        assert " Running" in site.stack.run("up", "-d").stderr, name
    assert site.started() == started


def test_plan_and_doctor_name_it_and_up_puts_it_back_without_touching_containers(site: Site) -> None:
    """While the supervisor cannot: it is stopped for the time of each look."""
    stack, started = site.stack, site.started()
    supervisor = stack.pid("supervisor")
    for name, (damage, words) in DAMAGE.items():
        os.kill(supervisor, signal.SIGSTOP)
        try:
            damage(site)
            planned = stack.run("plan", check=False, timeout_s=30)
            said = stack.run("doctor", check=False, timeout_s=30)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        assert "1 to repair" in planned.stdout and words in planned.stdout, (
            name,
            planned.stdout,
            planned.stderr,
        )
        assert words in said.stdout, (name, said.stdout)
        stack.run("up", "-d")
        wait_for(site.works, what=f"mending after {name}", timeout_s=20)
    assert site.started() == started
    assert "to repair" not in stack.out("plan")


def test_up_asks_the_supervisor_which_puts_it_back(site: Site) -> None:
    """It is stopped until `up` has seen what is missing, so that it cannot have mended it before it is asked."""
    stack = site.stack
    supervisor = stack.pid("supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    try:
        nft("flush", "ruleset")
        up = stack.popen("up", "-d")
        assert up.stderr is not None
        said = next((line for line in up.stderr if "Mending" in line), "")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    rest = up.communicate(timeout=30)[1]
    assert up.returncode == 0, said + rest
    assert said
    assert site.works()


def test_a_supervisor_that_comes_back_finds_what_was_taken_meanwhile(site: Site) -> None:
    nft("flush", "ruleset")
    os.kill(site.stack.pid("supervisor"), signal.SIGKILL)
    wait_for(site.works, what="mending by the next supervisor", timeout_s=20)
