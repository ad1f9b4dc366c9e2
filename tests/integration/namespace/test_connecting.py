"""Networks that a running container joins and leaves: interfaces, routes, names, ports, and nothing left of them."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
from typing import Any

import pytest

from composer.backends import namespace
from composer.backends.namespace.backend import NamespaceBackend
from composer.engine.wanted import EndpointSpec
from composer.errors import BackendError, Conflict
from tests.integration.namespace.conftest import Stack, wait_for

pytestmark = pytest.mark.root

_TWO = """
services:
  web:
    image: host
    command: [sh, -c, "echo one >/tmp/index.html; exec busybox httpd -f -p 80 -h /tmp"]
    stop_signal: SIGKILL
    networks: [a]
    ports: ["127.0.0.1:18477:80"]
  other: {image: host, command: [sleep, "600"], stop_signal: SIGKILL, networks: [b]}
networks:
  a: {ipam: {config: [{subnet: 10.98.1.0/24}]}}
  b: {ipam: {config: [{subnet: 10.98.2.0/24}]}}
"""


@pytest.fixture
def backend(stack: Stack) -> Any:
    made = namespace.connect({"COMPOSER_ROOT": str(stack.state)})
    assert isinstance(made, NamespaceBackend)
    yield made
    made.close()


def _id(stack: Stack, service: str) -> str:
    return f"{stack.name}-{service}-1"


def test_a_network_is_joined_and_left_while_it_runs(stack: Stack, backend: NamespaceBackend) -> None:
    stack.up(_TWO)
    web, second = _id(stack, "web"), f"{stack.name}_b"
    attributes = {"ipv4_address": "10.98.2.77", "interface_name": "late0"}
    for _ in range(2):
        backend.connect_network(web, EndpointSpec(second, ("web", "late"), attributes))
    assert "10.98.2.77/24" in stack.shell("web", "ip addr show late0")
    assert "10.98.2.77" in stack.shell("other", "getent hosts late")
    assert "10.98.2" in stack.shell("web", "getent hosts other")
    assert "10.98.2.77" in stack.shell("web", "cat /etc/hosts")
    stack.shell("other", "busybox wget -q -O - http://late/ | grep one")

    backend.disconnect_network(web, second)
    assert "late0" not in stack.shell("web", "ip addr")
    assert "10.98.2.77" not in stack.shell("web", "cat /etc/hosts")
    stack.run("exec", "-T", "other", "getent", "hosts", "late", check=False)
    assert stack.run("exec", "-T", "other", "getent", "hosts", "late", check=False).stdout == ""
    assert [e.network for e in backend.container(web).endpoints] == [f"{stack.name}_a"]


def test_the_way_out_follows_and_published_ports_with_it(stack: Stack, backend: NamespaceBackend) -> None:
    stack.up(_TWO)
    web, second = _id(stack, "web"), f"{stack.name}_b"
    assert "via 10.98.1.1" in stack.shell("web", "ip route show default")
    backend.connect_network(web, EndpointSpec(second, ("web",), {"gw_priority": 5}))
    assert "via 10.98.2.1" in stack.shell("web", "ip route show default")
    _answers(18477)
    backend.disconnect_network(web, f"{stack.name}_a")
    assert "via 10.98.2.1" in stack.shell("web", "ip route show default")
    _answers(18477)
    backend.connect_network(web, EndpointSpec(f"{stack.name}_a", ("web",), {}))
    backend.disconnect_network(web, second)
    assert "via 10.98.1.1" in stack.shell("web", "ip route show default")
    _answers(18477)


def _answers(port: int) -> None:
    def ask() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"200" in connection.recv(100)

    assert wait_for(ask)


def test_an_address_that_is_taken_changes_nothing(stack: Stack, backend: NamespaceBackend) -> None:
    stack.up(_TWO)
    web, second = _id(stack, "web"), f"{stack.name}_b"
    taken = backend.container(_id(stack, "other")).endpoints[0].ipv4.partition("/")[0]
    before = stack.shell("web", "ip addr; cat /etc/hosts")
    with pytest.raises(Conflict, match="already in use"):
        backend.connect_network(web, EndpointSpec(second, ("web",), {"ipv4_address": taken}))
    assert stack.shell("web", "ip addr; cat /etc/hosts") == before
    assert [e.network for e in backend.container(web).endpoints] == [f"{stack.name}_a"]


def test_a_name_that_the_container_has_taken_leaves_the_way_out_as_it_was(
    stack: Stack, backend: NamespaceBackend
) -> None:
    stack.up(_TWO)
    web, second = _id(stack, "web"), f"{stack.name}_b"
    state = next(stack.state.glob(f"lib/containers/{backend.container(web).id}/state.json"))
    before = json.loads(state.read_text())
    inside = ["nsenter", "-n", "-t", str(before["pid"]), "ip", "link", "add", "late0", "type", "bridge"]
    subprocess.run(inside, check=True)
    with pytest.raises(BackendError, match="cannot join network"):
        backend.connect_network(
            web, EndpointSpec(second, ("web",), {"interface_name": "late0", "gw_priority": 5})
        )
    assert json.loads(state.read_text())["endpoints"] == before["endpoints"]
    _answers(18477)


def test_a_bridge_that_was_made_anew_is_found(stack: Stack, backend: NamespaceBackend) -> None:
    """A removal that was killed takes the bridge and leaves the network: the next start makes another one."""
    stack.up(_TWO)
    stack.run("stop", "-t", "0", "other")
    (record,) = [
        found
        for path in stack.state.glob("lib/networks/*/network.json")
        if (found := json.loads(path.read_text()))["name"] == f"{stack.name}_b"
    ]
    subprocess.run(["ip", "link", "del", record["bridge"]], check=True)
    backend.start_container(_id(stack, "other"))
    assert "10.98.2" in stack.shell("other", "ip addr show eth0")


def test_it_is_remembered_over_a_kill_of_the_supervisor(stack: Stack, backend: NamespaceBackend) -> None:
    stack.up(_TWO)
    web, second = _id(stack, "web"), f"{stack.name}_b"
    backend.connect_network(web, EndpointSpec(second, ("web", "late"), {}))
    killed = stack.pid("supervisor")
    os.kill(killed, 9)
    wait_for(lambda: not pathlib.Path(f"/proc/{killed}").exists() and stack.pid("supervisor") != killed)
    assert "10.98.2" in stack.shell("other", "getent hosts late")
    stack.run("restart", "-t", "0", "web")
    assert "10.98.2" in stack.shell("web", "ip addr show eth1")


def test_a_container_without_a_network_of_its_own_joins_none(stack: Stack, backend: NamespaceBackend) -> None:
    stack.up(
        "services:\n"
        "  db: {image: host, command: [sleep, '600'], stop_signal: SIGKILL}\n"
        "  web: {image: host, command: [sleep, '600'], stop_signal: SIGKILL, network_mode: 'service:db'}\n"
    )
    with pytest.raises(Conflict, match="does not have a network namespace of its own"):
        backend.connect_network(_id(stack, "web"), EndpointSpec(f"{stack.name}_default", ("web",), {}))
