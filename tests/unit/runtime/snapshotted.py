"""A state directory with volumes and containers in it that never run, for tests of snapshots."""

from __future__ import annotations

import json
import os
import pathlib

from composer.runtime.base import state
from composer.runtime.base.record_types import PartRecord
from composer.runtime.engine.core import Core
from composer.runtime.engine.engine import Engine
from composer.runtime.objects import specs
from composer.runtime.snapshots.store import LAYER, VOLUME, Wish

ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64
VOLUMES = ("data", "more")


class Place:
    """Container ONE has both volumes, TWO and OTHER have none; volumes and layers each have a file ``word``.

    The layers of OTHER are in no snapshot.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.paths = state.Paths(str(root / "lib"), str(root / "run"))
        self.engine = self.another()
        self.core, self.snapshots = self.engine.core, self.engine.snapshots
        for name in VOLUMES:
            self.core.volumes.create(specs.Volume(name))
        for id, volumes in ((ONE, VOLUMES), (TWO, ()), (OTHER, ())):
            mounts = [{"type": "volume", "name": name, "target": f"/{name}"} for name in volumes]
            upper = pathlib.Path(self.paths.container(id), "upper")
            upper.mkdir(parents=True)
            record = {"name": id[:4], "project": "p", "labels": {}, "networks": [], "mounts": mounts}
            (upper.parent / "meta.json").write_text(json.dumps(record))
            self.set_state(id, status="exited", started_ns=1)
        self.write("old")

    def another(self) -> Engine:
        """Return the engine of another command."""
        return Engine(Core(self.paths))

    def set_state(self, id: str, **fields: object) -> None:
        pathlib.Path(self.paths.container(id), "state.json").write_text(json.dumps(fields))

    def _places(self) -> list[pathlib.Path]:
        layers = [pathlib.Path(self.paths.container(id), "upper") for id in (ONE, TWO)]
        return [*(pathlib.Path(self._data(name)) for name in VOLUMES), *layers]

    def _data(self, name: str) -> str:
        """Return the directory where a volume has its file: what it lies over, as nothing is mounted here."""
        record = self.core.volumes.find(name)
        assert record is not None
        if "over" not in record:
            return f"{self.paths.volumes()}/{name}/_data"
        return f"{self.paths.snapshots()}/{record['over']['snapshot']}/{record['over']['part']}"

    def write(self, word: str) -> None:
        """Write a word into all volumes that lie over nothing, and into all layers."""
        for place in self._places():
            if not str(place).startswith(self.paths.snapshots()):
                (place / "word").write_text(word)

    def words(self) -> set[str]:
        return {(place / "word").read_text() for place in self._places()}

    def wish(self, name: str = "s", quiet: str = "stopped") -> Wish:
        parts: list[PartRecord] = [{"kind": VOLUME, "source": name, "about": {}} for name in VOLUMES]
        parts += [{"kind": LAYER, "source": id, "about": {}} for id in (ONE, TWO)]
        return Wish(name, "p", quiet, parts)

    def save(self, name: str = "s") -> str:
        return self.snapshots.save(self.wish(name), ())["id"]

    def place(self, id: str) -> str:
        return self.snapshots.place(id, "p", list(enumerate((*VOLUMES, ONE, TWO))))

    def under_way(self) -> list[str]:
        """Return the notes of what is going on, or was left by a kill."""
        return [
            name
            for kind in ("placing", "frozen")
            for name in state.list_directory(f"{self.paths.snapshots()}/{kind}")
        ]

    def left(self) -> list[str]:
        """Return the snapshots whose files are there."""
        return [name for name in os.listdir(self.paths.snapshots()) if len(name) == 32]
