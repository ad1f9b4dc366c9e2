"""Two commands at once on one project of one engine: what the other has made meanwhile is taken over."""

from __future__ import annotations

import os

import pytest

from composer.backends import choice
from composer.engine import labels
from composer.engine.wanted import NetworkSpec, VolumeSpec
from composer.errors import Conflict
from tests.integration.docker.conftest import Stack

pytestmark = [pytest.mark.docker, pytest.mark.oracle]


def test_a_network_and_a_volume_of_docker_compose_that_have_just_been_made(stack: Stack) -> None:
    stack.write(
        "services: {web: {image: IMAGE, command: sleep 600, volumes: [data:/data]}}\nvolumes: {data: {}}\n"
    )
    stack.theirs("create")
    backend = choice.connect(
        "docker", {"DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"], "HOME": "/nowhere"}
    )
    try:
        own = {labels.PROJECT: stack.name, labels.VERSION: "of another tool"}
        network, volume = f"{stack.name}_default", f"{stack.name}_data"
        made = backend.create_network(NetworkSpec(network, {**own, labels.NETWORK: "default"}, {}))
        assert made in stack.ids()
        assert backend.create_volume(VolumeSpec(volume, {**own, labels.VOLUME: "data"}, {})) == volume
        with pytest.raises(Conflict, match="already exists"):
            backend.create_network(NetworkSpec(network, {**own, labels.NETWORK: "other"}, {}))
        with pytest.raises(Conflict, match="already exists"):
            backend.create_network(NetworkSpec(network, {}, {}))
    finally:
        backend.close()
