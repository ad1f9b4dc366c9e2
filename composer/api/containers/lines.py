"""The lines of `GET /containers/json`: made once, and again when one of a container's records is another one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.api.containers import host, pictures
from composer.runtime.base import records
from composer.runtime.base.remembering import Remembered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from composer.api.world import World
    from composer.runtime.base.record_types import Meta, State
    from composer.runtime.engine.core import Look


class _Configuration(NamedTuple):
    """What a line needs of a configuration, which changes seldom."""

    mode: str
    modes: dict[str, tuple[str, str]]
    requests: dict[str, Any]
    annotations: dict[str, str]


class _Line(NamedTuple):
    """A line as JSON, without the status text in its middle, which has the time in it; and what it was made of."""

    meta: Meta
    state: State
    configuration: _Configuration
    before: bytes
    after: bytes


class Lines:
    """All lines that are known. Records are remembered, so one that has not changed is the same object."""

    def __init__(self) -> None:
        self._configurations = Remembered("config.json", _configuration)
        self._known: dict[str, _Line] = {}

    def written(self, world: World, looks: Iterable[Look]) -> bytes:
        """Return the listing as JSON."""
        found = []
        for look in looks:
            line = self._line(world, look)
            found.append(b"".join((line.before, _json(pictures.status_text(look)), line.after)))
        return b"[" + b",".join(found) + b"]\n"

    def forget_others(self, ids: Collection[str]) -> None:
        """Forget the containers that are not there any more; ``ids`` are those that are."""
        if len(self._known) > len(ids):
            for gone in [id for id in tuple(self._known) if id not in ids]:
                self._known.pop(gone, None)

    def _line(self, world: World, look: Look) -> _Line:
        configuration = self._configuration(world, look)
        line = self._known.get(look.meta["id"])
        if (
            line is None
            or line.meta is not look.meta
            or line.state is not look.state
            or line.configuration is not configuration
        ):
            items = list(document_of(look, configuration).items())
            at = [name for name, _ in items].index("Status")
            before, after = _json(dict(items[:at])), _json(dict(items[at + 1 :]))
            line = _Line(look.meta, look.state, configuration, before[:-1] + b',"Status":', b"," + after[1:])
            self._known[look.meta["id"]] = line
        return line

    def _configuration(self, world: World, look: Look) -> _Configuration:
        return self._configurations.record(world.paths.container(look.meta["id"])) or _NONE

    def document(self, world: World, look: Look) -> dict[str, Any]:
        """Return a line with the sizes of the container."""
        meta, bundle = look.meta, world.paths.container(look.meta["id"])
        image = world.core.store.find(meta["image_id"]) if meta["image_id"] else None
        own, whole = pictures.sizes(bundle, look, image.size_bytes if image is not None else 0)
        sizes = {"SizeRw": own, "SizeRootFs": whole}
        found = document_of(look, self._configuration(world, look))
        return found | {name: size for name, size in sizes.items() if size}


_NONE = _Configuration("", {}, {}, {})


def _json(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _configuration(bundle: str) -> _Configuration | None:
    from composer.api.containers import inspecting

    config = records.config(bundle)
    meta = records.meta(bundle)
    if config is None or meta is None:
        return None
    said = records.request(bundle)
    endpoints = records.extras(config)["network"].get("endpoints") or ()
    requests = {one["network"]: one for one in endpoints}
    notes = (said.get("host") or {}).get("Annotations") or {}
    return _Configuration(host.network_mode(config, meta), inspecting.modes_of(said), requests, notes)


def document_of(look: Look, configuration: _Configuration) -> dict[str, Any]:
    meta = look.meta
    annotations = {"Annotations": configuration.annotations} if configuration.annotations else {}
    networks = pictures.networks_of(look, configuration.requests, mode=configuration.mode)
    return {
        "Id": meta["id"],
        "Names": [f"/{meta['name']}"],
        "Image": meta["image"],
        "ImageID": meta["image_id"],
        "Command": command_line(meta["command"]),
        "Created": meta["created_ns"] // 1_000_000_000,
        "Ports": pictures.port_lines(look),
        "Labels": dict(meta["labels"]),
        "State": pictures.status_of(look),
        "Status": pictures.status_text(look),
        "HostConfig": {"NetworkMode": configuration.mode, **annotations},
        "NetworkSettings": {"Networks": networks},
        "Mounts": pictures.mount_lines(look, configuration.modes),
    }


def command_line(arguments: list[str]) -> str:
    """Return a command as Docker shows it: an argument with a space in it is in single quotes."""
    quoted = (f"'{word}'" if " " in word else word for word in arguments[1:])
    return " ".join([*arguments[:1], *quoted])
