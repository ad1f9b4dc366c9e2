"""More networks than Docker has default pools, and where a user says that they get their addresses from."""

from __future__ import annotations

import ipaddress
import itertools
import json
import pathlib
import subprocess

import pytest

from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root
_COUNT = 40


def _subnets(stack: Stack) -> list[ipaddress.IPv4Network]:
    names = stack.out("network", "ls", "-q").split()
    found = json.loads(stack.out("network", "inspect", *names))
    return sorted(ipaddress.IPv4Network(one["IPAM"]["Config"][0]["Subnet"]) for one in found)


def _project(count: int) -> str:
    networks = "\n".join(f"  n{number}: {{}}" for number in range(count))
    return (
        f"services: {{a: {{image: host, command: [sleep, '100'], networks: [n0]}}}}\nnetworks:\n{networks}\n"
    )


def test_a_project_of_many_networks(stack: Stack) -> None:
    stack.write(_project(_COUNT))
    stack.run("--all-resources", "create")
    found = _subnets(stack)
    assert len(found) == _COUNT
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(found))
    assert {24} <= {one.prefixlen for one in found}


def test_pools_of_the_configuration_file(stack: Stack, tmp_path: pathlib.Path) -> None:
    (tmp_path / "composer").mkdir()
    (tmp_path / "composer" / "config.toml").write_text(
        '[[address_pools]]\nbase = "10.213.128.0/25"\nsize = 26\n'
    )
    stack.write(_project(3))
    failed = stack.run("--all-resources", "create", check=False, XDG_CONFIG_HOME=str(tmp_path))
    assert failed.returncode == 1
    assert "no free IPv4 subnet in 10.213.128.0/25: in use by network" in failed.stderr
    assert [str(one) for one in _subnets(stack)] == ["10.213.128.0/26", "10.213.128.64/26"]
    stack.run("network", "rm", *stack.out("network", "ls", "-q").split())
    assert stack.out("network", "ls", "-q") == "", "an id as ls shows it names a network"


@pytest.mark.parametrize("name", ["br-other", "other0"])
def test_a_subnet_that_an_interface_of_others_has_is_refused(stack: Stack, name: str) -> None:
    """As of a network that Docker still has of the same project: nobody would be reached, and nobody would know why."""
    subnet = "10.213.77.0/24"
    stack.write(
        "services: {a: {image: host, command: [sleep, infinity]}}\n"
        f"networks: {{default: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}}}\n"
    )
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.213.77.1/24", "dev", name], check=True)
        refused = stack.run("up", "-d", check=False)
        assert refused.returncode == 1
        assert f"interface {name} of this machine has subnet {subnet} already" in refused.stderr
        assert ("composer --backend docker down" in refused.stderr) is (name == "br-other")
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)
    stack.run("up", "-d")
