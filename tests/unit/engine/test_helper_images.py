"""The image of the containers through which volumes are read: others may remove it at any time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from composer.engine.backend import Backend
from composer.engine.moving import volumes
from composer.errors import NotFound


class Engine:
    """Has lost the image so often when a container is to be made."""

    def __init__(self, losses: int) -> None:
        self.losses, self.imports = losses, 0

    def create_container(self, spec: Any) -> str:
        if self.losses:
            self.losses -= 1
            raise NotFound("no such image: composer-empty:latest")
        return "id"

    def import_image(self, *_: Any) -> None:
        self.imports += 1
        if self.losses:
            raise NotFound("no such image: composer-empty:latest")


@pytest.mark.parametrize("losses", [0, 1, 7])
def test_the_image_is_made_again_as_often_as_it_goes(losses: int) -> None:
    engine = Engine(losses)
    spec = cast("Any", SimpleNamespace())
    assert volumes._created(cast("Backend", engine), spec) == "id"
    assert engine.imports == losses


def test_one_that_always_goes_is_said() -> None:
    with pytest.raises(NotFound, match="composer-empty"):
        volumes._created(cast("Backend", Engine(10**6)), cast("Any", SimpleNamespace()))
