"""``--filter`` of ``network ls`` and ``volume ls``; keys and meanings are Docker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli import options as shared
from composer.cli.single.container_filters import bad, boolean, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedNetwork, ObservedVolume
    from composer.engine.wanted import LabelFilter

NETWORK_HELP = "Select networks: driver, id, label, name, scope, type (custom or builtin), dangling."
VOLUME_HELP = "Select volumes: dangling, driver, label, name."
BUILTIN = ("bridge", "host", "none")
"""Networks of an engine itself: none that a user made can have these names there."""


def _read(given: Sequence[str], known: Sequence[str]) -> tuple[list[LabelFilter], dict[str, list[str]]]:
    labels = [text for text in given if text.startswith(("label=", "label!="))]
    values = split(text for text in given if text not in labels)
    for key in values:
        if key not in known:
            raise bad(f"invalid filter '{key}': use {', '.join(sorted((*known, 'label')))}")
    return shared.read_label_filters(labels), values


def networks(
    backend: Backend, found: Sequence[ObservedNetwork], given: Sequence[str]
) -> list[ObservedNetwork]:
    """Return those that are meant. Raises click.BadParameter."""
    labels, values = _read(given, ("driver", "id", "name", "scope", "type", "dangling"))
    for kind in values.get("type", ()):
        if kind not in ("custom", "builtin"):
            raise bad(f"type must be custom or builtin, not '{kind}'")
    dangling = [boolean("dangling", value) for value in values.get("dangling", ())]
    used = {e.network_id for c in backend.containers() for e in c.endpoints} if dangling else set()

    def is_meant(network: ObservedNetwork) -> bool:
        facts: dict[str, Callable[[str], bool]] = {
            "driver": lambda value: network.driver == value,
            "id": network.id.startswith,
            "name": lambda value: value in network.name,
            "scope": lambda value: value == "local",
            "type": lambda value: (network.name in BUILTIN) == (value == "builtin"),
        }
        return (
            all(label.matches(network.labels) for label in labels)
            and all(any(facts[key](value) for value in values[key]) for key in facts if key in values)
            and all((network.name not in BUILTIN and network.id not in used) == wanted for wanted in dangling)
        )

    return [network for network in found if is_meant(network)]


def volumes(backend: Backend, found: Sequence[ObservedVolume], given: Sequence[str]) -> list[ObservedVolume]:
    """Return those that are meant. Raises click.BadParameter."""
    labels, values = _read(given, ("dangling", "driver", "name"))
    dangling = [boolean("dangling", value) for value in values.get("dangling", ())]
    used = {m.name for c in backend.containers() for m in c.mounts if m.name} if dangling else set()

    def is_meant(volume: ObservedVolume) -> bool:
        return (
            all(label.matches(volume.labels) for label in labels)
            and all((volume.name not in used) == wanted for wanted in dangling)
            and ("driver" not in values or volume.driver in values["driver"])
            and ("name" not in values or any(value in volume.name for value in values["name"]))
        )

    return [volume for volume in found if is_meant(volume)]
