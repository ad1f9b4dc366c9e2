"""Which set and map elements a network and a published port become."""

from __future__ import annotations

import subprocess

import pytest

from composer.errors import Unavailable
from composer.runtime.network import firewall_rules as rules
from composer.runtime.network import nftables
from composer.runtime.network.firewall import Publication


def test_an_internal_network_is_in_no_outbound_set():
    """Outbound is what masquerades: a network that is in it has a way out."""
    internal = dict(rules.network_elements("cmpa", "10.0.0.0/24", "fd00::/64", True))
    assert internal["internal"] == '"cmpa"'
    assert "outbound4" not in internal and "outbound6" not in internal
    assert internal["home6"] == '"cmpa" . fd00::/64'


def test_a_network_has_its_sets_in_both_families():
    assert rules.network_elements("cmpa", "10.0.0.0/24", "fd00::/64", False) == [
        ("bridges", '"cmpa"'),
        ("same", '"cmpa" . "cmpa"'),
        ("home4", '"cmpa" . 10.0.0.0/24'),
        ("outbound4", "10.0.0.0/24"),
        ("home6", '"cmpa" . fd00::/64'),
        ("outbound6", "fd00::/64"),
    ]


@pytest.mark.parametrize("everywhere", ["", "0.0.0.0", "::"])
def test_every_address_is_one_key_whatever_it_is_called(everywhere):
    assert rules.port_element("tcp", everywhere, 8080, "10.0.0.2", 80) == (
        "ports4",
        "6 . 8080",
        "10.0.0.2 . 80",
    )
    assert rules.port_element("udp", everywhere, 53, "fd00::2", 53)[0] == "ports6"


def test_one_address_is_part_of_the_key():
    assert rules.port_element("tcp", "127.0.0.1", 8080, "10.0.0.2", 80)[:2] == (
        "at4",
        "127.0.0.1 . 6 . 8080",
    )


def test_a_publication_reads_as_people_write_it():
    assert str(Publication("udp", "::1", 53, "fd00::2", 5353)) == "[::1]:53/udp → [fd00::2]:5353"


def test_a_network_without_masquerade_is_in_no_outbound_set():
    elements = dict(rules.network_elements("cmpa", "10.0.0.0/24", "fd00::/64", False, masquerade=False))
    assert set(elements) == {"bridges", "same", "home4", "home6"}


def test_a_machine_without_nftables_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "nft")

    monkeypatch.setattr(nftables, "load", lambda: False)
    monkeypatch.setattr(subprocess, "run", absent)
    with pytest.raises(Unavailable, match=r"^nftables is not installed: ") as refused:
        nftables.run("list tables\n")
    assert "apt-get install nftables" in str(refused.value.hint)
