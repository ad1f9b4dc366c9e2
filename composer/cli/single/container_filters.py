"""``--filter`` of ``container ls`` and ``prune``: which containers are meant.

Keys and meanings are Docker's: https://docs.docker.com/reference/cli/docker/container/ls/#filter
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer

    Test = Callable[[ObservedContainer], bool]

_STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_HEALTH = ("starting", "healthy", "unhealthy", "none")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")
HELP = (
    "Select containers: id, name, label, status, ancestor, before, since, volume, network, publish, expose, health, "
    "exited, is-task."
)


def bad(text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint="--filter")


def split(given: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each key. Raises click.BadParameter."""
    found: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise bad(f"'{text}' must be KEY=VALUE")
        found.setdefault(key.lower(), []).append(value)
    return found


class Filters:
    """Values of one key are alternatives, but for labels; keys count together. ``everybody`` is the newest first."""

    def __init__(
        self, backend: Backend, everybody: Sequence[ObservedContainer], given: Sequence[str]
    ) -> None:
        self._backend, self._everybody = backend, everybody
        labels = [text for text in given if text.startswith(("label=", "label!="))]
        wanted = shared.read_label_filters(labels)
        values = split(text for text in given if text not in labels)
        self.shows_stopped = "status" in values
        self._tests: list[Test] = [lambda found: all(label.matches(found.labels) for label in wanted)]
        for key, alternatives in values.items():
            make = _MAKERS.get(key)
            if make is None:
                raise bad(f"invalid filter '{key}': use {', '.join(sorted((*_MAKERS, 'label')))}")
            self._tests.append(_any([make(self, value) for value in alternatives]))

    def matches(self, container: ObservedContainer) -> bool:
        return all(test(container) for test in self._tests)

    def _id(self, value: str) -> Test:
        return lambda found: found.id.startswith(value)

    def _name(self, value: str) -> Test:
        try:
            expression = re.compile(value)
        except re.error:
            raise bad(f"'{value}' is not a regular expression") from None
        return lambda found: (
            expression.search(found.name) is not None or expression.search(f"/{found.name}") is not None
        )

    def _status(self, value: str) -> Test:
        if value not in _STATES:
            raise bad(f"invalid status '{value}': use {', '.join(_STATES)}")
        return lambda found: found.state.value == value

    def _health(self, value: str) -> Test:
        if value not in _HEALTH:
            raise bad(f"invalid health '{value}': use {', '.join(_HEALTH)}")
        return lambda found: found.health.value == value

    def _ancestor(self, value: str) -> Test:
        """An image, by name or id, and those that were made of it: their layers begin with its layers."""
        image = self._backend.find_image(value)
        if image is None:
            return lambda found: False
        made = {
            one.id
            for one in self._backend.images()
            if image.layers and one.layers[: len(image.layers)] == image.layers
        }
        return lambda found: found.image_id in (image.id, image.whole_id, *made)

    def _before(self, value: str) -> Test:
        place = self._place(value)
        older = {container.id for container in self._everybody[place + 1 :]}
        return lambda found: found.id in older

    def _since(self, value: str) -> Test:
        newer = {container.id for container in self._everybody[: self._place(value)]}
        return lambda found: found.id in newer

    def _place(self, name: str) -> int:
        """Return where a container is in the list: times of Docker's lists are whole seconds. Raises NotFound."""
        id = self._backend.container(name).id
        return [container.id for container in self._everybody].index(id)

    def _volume(self, value: str) -> Test:
        place = value.rstrip("/") or value
        return lambda found: any(place in (mount.name, mount.target.rstrip("/")) for mount in found.mounts)

    def _network(self, value: str) -> Test:
        return lambda found: any(
            endpoint.network == value or endpoint.network_id.startswith(value) for endpoint in found.endpoints
        )

    def _publish(self, value: str) -> Test:
        numbers, protocol = _ports("publish", value)
        return lambda found: any(p.protocol == protocol and p.host_port in numbers for p in found.ports)

    def _expose(self, value: str) -> Test:
        numbers, protocol = _ports("expose", value)
        return lambda found: any(p.protocol == protocol and p.container_port in numbers for p in found.ports)

    def _exited(self, value: str) -> Test:
        if not value.isascii() or not value.isdecimal():
            raise bad(f"invalid exit code '{value}'")
        return lambda found: found.state.value in ("exited", "dead") and found.exit_code == int(value)

    def _is_task(self, value: str) -> Test:
        wanted = boolean("is-task", value)
        return lambda found: ("com.docker.swarm.task.id" in found.labels) == wanted


_MAKERS: dict[str, Callable[[Filters, str], Test]] = {
    "id": Filters._id,
    "name": Filters._name,
    "status": Filters._status,
    "ancestor": Filters._ancestor,
    "before": Filters._before,
    "since": Filters._since,
    "volume": Filters._volume,
    "network": Filters._network,
    "publish": Filters._publish,
    "expose": Filters._expose,
    "health": Filters._health,
    "exited": Filters._exited,
    "is-task": Filters._is_task,
}


def _any(tests: list[Test]) -> Test:
    return lambda found: any(test(found) for test in tests)


def boolean(key: str, value: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise bad(f"{key} must be true or false, not '{value}'")
    return value.lower() in _TRUE


def _ports(key: str, value: str) -> tuple[range, str]:
    """Read ``80``, ``80/udp`` or ``80-90/tcp``."""
    numbers, _, protocol = value.partition("/")
    first, _, last = numbers.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise bad(f"invalid port '{value}' of {key}: use PORT[-PORT][/PROTOCOL]")
    return range(int(first), int(last or first) + 1), protocol or "tcp"


def until(given: Sequence[str]) -> tuple[list[str], int | None]:
    """Return the filters of a ``prune`` without ``until=TIME``, and that time in Unix nanoseconds."""
    from composer.cli import times

    rest, limit_ns = [], None
    for text in given:
        if text.startswith("until="):
            limit_ns = times.moment(text.partition("=")[2], "--filter", time.time_ns())
        else:
            rest.append(text)
    return rest, limit_ns
