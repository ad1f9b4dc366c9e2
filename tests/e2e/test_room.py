"""What a container has goes to another one within one ``up``: its name, and its port of the host."""

from __future__ import annotations

import urllib.request

import pytest

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for
from tests.ports import free_pair, free_port

SERVICE = """
  {name}:
    image: IMAGE
    command: [sh, -c, "echo {name} > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
    stop_signal: SIGKILL
"""


def project(*services: tuple[str, str]) -> str:
    body = "".join(SERVICE.format(name=name) + f"    {extra}\n" for name, extra in services)
    return f"name: NAME\nservices:{body}"


def answer(port: int) -> str:
    def ask() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as found:
                return str(found.read().decode().strip())
        except OSError:
            return ""

    return wait_for(ask, what=f"an answer at {port}")


@pytest.mark.parametrize("new", ["after", "zafter"], ids=["first", "last"])
def test_a_renamed_service_has_its_port_and_its_name(empty: Stack, new: str) -> None:
    port = free_port()
    extra = f"ports: ['127.0.0.1:{port}:80']\n    container_name: {empty.name}-fixed"
    empty.write(project(("before", extra)))
    empty.run("up", "-d")
    assert answer(port) == "before"
    empty.write(project((new, extra)))
    empty.run("up", "-d", "--remove-orphans")
    assert answer(port) == new
    assert empty.states() == {"fixed": "running"}


def test_two_services_swap_their_ports(empty: Stack) -> None:
    one, two = free_port(), free_port()
    for first, second in ((one, two), (two, one)):
        empty.write(
            project(("a", f"ports: ['127.0.0.1:{first}:80']"), ("b", f"ports: ['127.0.0.1:{second}:80']"))
        )
        empty.run("up", "-d")
        assert (answer(first), answer(second)) == ("a", "b")


def test_a_port_of_who_is_scaled_down_goes_to_another(empty: Stack) -> None:
    low = free_pair()
    extra = f"ports: ['127.0.0.1:{low}-{low + 1}:80']\n    scale: "
    empty.write(project(("b", extra + "2")))
    empty.run("up", "-d")
    empty.write(project(("b", extra + "1"), ("a", f"ports: ['127.0.0.1:{low}-{low + 1}:80']")))
    empty.run("up", "-d")
    assert {answer(low), answer(low + 1)} == {"a", "b"}
