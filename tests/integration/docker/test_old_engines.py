"""What is done otherwise for an engine of an older API, which every newer one still speaks."""

from __future__ import annotations

import os
import pathlib
import secrets
from collections.abc import Iterator

import pytest

from composer.backends import docker
from composer.backends.docker.client import OLDEST
from composer.errors import NotFound
from tests.integration.contract.conftest import IMAGE, Place, provide_image

pytestmark = pytest.mark.docker


@pytest.fixture(params=[OLDEST, (1, 43)], ids=["oldest", "before 1.44"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    backend = docker.connect({**os.environ, "DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"]})
    backend.client.api = min(request.param, backend.client.api)
    provide_image(tmp_path)
    made = Place(backend, f"o{secrets.token_hex(4)}", IMAGE)
    yield made
    made.clean()


def test_networks_are_joined_one_by_one(place: Place) -> None:
    names = [place.network("a"), place.network("b"), place.network("c")]
    endpoints = tuple(place.endpoint(name, "web", "alias") for name in names)
    id = place.start(endpoints=endpoints, mac_address="02:42:ac:00:00:09")
    found = {e.network: e for e in place.backend.container(id).endpoints}
    assert sorted(found) == names
    assert found[names[0]].mac == "02:42:ac:00:00:09"
    for endpoint in found.values():
        assert {"web", "alias"} <= set(endpoint.aliases)


def test_a_network_that_is_not_there_is_told_at_the_start(place: Place) -> None:
    """The engine takes the name for one of a cluster's while the container does not run."""
    endpoints = (place.endpoint(place.network("a"), "web"), place.endpoint(f"{place.project}_none", "web"))
    with pytest.raises(NotFound, match=f"{place.project}_none"):
        place.start(endpoints=endpoints)


def test_a_life(place: Place) -> None:
    id = place.start(shell="echo said; exit 3")
    assert place.backend.wait_container(id) == 3
    assert [line.data for line in place.backend.logs([id])] == [b"said\n"]
    assert place.output(place.start("other"), "echo", "here") == "here\n"
