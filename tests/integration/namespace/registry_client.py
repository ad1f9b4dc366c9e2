"""The store and the settings of who pulls from and pushes to the registries of tests."""

from __future__ import annotations

import json
import os
import pathlib

from composer.runtime.images.store import Store


class RegistryClient:
    """A store in a directory, and transfers that note in ``pauses`` what they would have waited between tries."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.store = Store(str(root / "lib" / "images"))
        self.environment = {"HOME": str(root), "PATH": os.environ["PATH"]}
        self.pauses: list[float] = []
        self.idle_s = 20.0

    def docker_config(self, **values: object) -> None:
        path = self.root / ".docker/config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(values))
