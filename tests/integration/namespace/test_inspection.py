"""``network inspect`` and ``volume inspect``: Docker's fields, of real objects."""

from __future__ import annotations

import json
import pathlib

import pytest

from .conftest import Stack

pytestmark = pytest.mark.root

PROJECT = """
services:
  web: {image: host, command: [sleep, inf], init: true, networks: [net], volumes: ["data:/data"]}
networks:
  net:
    internal: true
    ipam:
      config:
        - subnet: 10.213.7.0/24
          ip_range: 10.213.7.128/25
          gateway: 10.213.7.5
          aux_addresses: {printer: 10.213.7.128}
volumes:
  data: {labels: {purpose: test}}
"""


def test_a_network_shows_its_addresses_and_who_has_them(stack: Stack) -> None:
    stack.up(PROJECT)
    (shown,) = json.loads(stack.out("network", "inspect", f"{stack.name}_net"))
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.213.7.0/24",
            "Gateway": "10.213.7.5",
            "IPRange": "10.213.7.128/25",
            "AuxiliaryAddresses": {"printer": "10.213.7.128"},
        }
    ]
    assert shown["Internal"] is True
    (container,) = shown["Containers"].values()
    assert container["Name"] == f"{stack.name}-web-1"
    assert container["IPv4Address"] == "10.213.7.129/24"
    assert container["IPv4Address"].partition("/")[0] in stack.shell("web", "hostname -I")
    assert stack.out("network", "inspect", "-f", "{{.Driver}}", f"{stack.name}_net") == "bridge\n"


def test_a_volume_shows_where_its_data_is(stack: Stack) -> None:
    stack.up(PROJECT)
    stack.shell("web", "echo here > /data/file")
    (shown,) = json.loads(stack.out("volume", "inspect", f"{stack.name}_data"))
    assert pathlib.Path(shown["Mountpoint"], "file").read_text() == "here\n"
    assert (shown["Driver"], shown["Scope"], shown["Options"]) == ("local", "local", {})
    assert shown["Labels"]["purpose"] == "test"
    assert shown["CreatedAt"].startswith("20")


def test_an_ipam_driver_that_is_not_there_is_refused(stack: Stack) -> None:
    stack.write(PROJECT.replace("    ipam:\n", "    ipam:\n      driver: other\n"))
    failed = stack.run("up", "-d", check=False)
    assert failed.returncode == 1
    assert "IPAM driver 'other' is not supported" in failed.stderr
