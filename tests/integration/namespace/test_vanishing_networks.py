"""A network that is removed while somebody waits to make its bridge again does not come back."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

from composer import errors
from composer.runtime.base import state
from composer.runtime.base.state import Paths
from composer.runtime.network import netlink
from composer.runtime.objects import links, specs
from composer.runtime.objects.networks import Networks

pytestmark = pytest.mark.root


def test_a_network_that_goes_while_its_bridge_is_to_be_made_again_stays_away(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = Networks(Paths(str(tmp_path / "lib"), str(tmp_path / "run")))
    id = networks.create(specs.Network("shop_back"))
    (record,) = networks.all()
    with netlink.Netlink() as connection:
        index = connection.link_index(record["bridge"])
        assert index is not None
        connection.delete_links([index])  # as a reboot does
    really = state.host_lock

    @contextlib.contextmanager
    def late() -> Iterator[None]:
        monkeypatch.setattr(state, "host_lock", really)
        networks.remove(id)
        with really():
            yield

    monkeypatch.setattr(state, "host_lock", late)
    with pytest.raises(errors.NotFound):
        networks.ensure_up(id)
    assert links.flags(record["bridge"]) is None
