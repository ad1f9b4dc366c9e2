"""Reserving ports: of both families where every address is meant, one that is free in both where there is a choice."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from composer.runtime.base.record_types import PortRequest
from composer.runtime.network.endpoints import Attachment, NetworkFailed, Ports


def _port(host_ip: str = "", first: int = 0, last: int = 0) -> PortRequest:
    return {
        "protocol": "tcp",
        "container_port": 80,
        "host_ip": host_ip,
        "host_port": first,
        "host_port_end": last or first,
    }


def _attachment(*addresses: str) -> Attachment:
    record: dict[str, Any] = dict.fromkeys(Attachment.__slots__, "")
    record.update(addresses=[[one, 64] for one in addresses], gateways=["10.0.0.1"], aliases=[])
    return Attachment({**record, "link_local": [], "priority": 0, "sysctls": {}})


@contextmanager
def _taken_of_six() -> Iterator[int]:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind(("::", 0))
        holder.listen(1)
        yield holder.getsockname()[1]


def test_every_address_means_both_families(tmp_path: pathlib.Path) -> None:
    ports = Ports()
    ports.reserve([_port(), _port("127.0.0.1"), _port("::1")], str(tmp_path))
    companion = ports.companions[0]
    assert companion is not None
    assert companion.getsockname()[:2] == ("::", ports.published[0]["host_port"])
    assert ports.companions[1:] == [None, None]
    ports.release()


def test_a_port_that_is_taken_of_one_family_is_taken(tmp_path: pathlib.Path) -> None:
    ports = Ports()
    with _taken_of_six() as number, pytest.raises(NetworkFailed, match="already in use"):
        ports.reserve([_port(first=number)], str(tmp_path))
    assert (ports.sockets, ports.companions, ports.published) == ([], [], [])


def test_of_a_range_one_is_chosen_that_is_free_in_both(tmp_path: pathlib.Path) -> None:
    ports = Ports()
    with _taken_of_six() as number:
        ports.reserve([_port(first=number, last=number + 20)], str(tmp_path))
        assert ports.published[0]["host_port"] > number
    ports.release()


def test_what_is_relayed_goes_to_the_address_of_its_own_family_where_there_is_one(
    tmp_path: pathlib.Path,
) -> None:
    ports = Ports()
    ports.reserve([_port(), _port("127.0.0.1"), _port("::1")], str(tmp_path))
    four = [target for _, target in ports.relayed([_attachment("10.0.0.2")])]
    both = [target for _, target in ports.relayed([_attachment("10.0.0.2", "fd00::2")])]
    assert four == [("10.0.0.2", 80)] * 2
    assert both == [("fd00::2", 80)] * 2
    assert ports.relayed([]) == []
    ports.release()
