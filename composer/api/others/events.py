"""`GET /events`: what happens to all objects, as it happens, and what has happened before."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from composer.api import filters as filtering
from composer.api import times
from composer.api.http.call import JSON
from composer.runtime.objects.journal import ProjectEvents

if TYPE_CHECKING:
    from composer.api.filters import Filters
    from composer.api.http.call import Call
    from composer.runtime.objects.journal import Event

_OURS = ("willRestart",)


def events(call: Call) -> None:
    filters = filtering.read(call, None)
    since_ns = times.read(call.query.text("since"), 'value for "since"')
    until_ns = times.read(call.query.text("until"), 'value for "until"')
    found = ProjectEvents(call.world.paths, None, since_ns, until_ns)
    try:
        sink = call.begin(200, JSON)
        poll = select.poll()
        poll.register(found.fileno(), select.POLLIN)
        poll.register(call.wire.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        while True:
            while (event := found.next(0)) is not None:
                if fits(event, filters):
                    sink.write_line(picture(event))
            left_ms = found.left_ms()
            if left_ms == 0:
                break
            if any(fd == call.wire.fileno() for fd, _ in poll.poll(left_ms)):
                return
        sink.end()
    finally:
        found.close()


def picture(event: Event) -> dict[str, Any]:
    """Return an event as Docker's API has it, the fields of old clients included."""
    attributes = {key: text for key, text in event.attributes.items() if key not in _OURS}
    action = event.action
    if action == "health_status":
        action = f"health_status: {attributes.pop('health_status', '')}"
    found: dict[str, Any] = {}
    if event.kind == "container":
        found = {"status": action, "id": event.id, "from": attributes.get("image", "")}
    return {
        **found,
        "Type": event.kind,
        "Action": action,
        "Actor": {"ID": event.id, "Attributes": attributes},
        "scope": "local",
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }


def fits(event: Event, filters: Filters) -> bool:
    name = event.attributes.get("name", "")

    def is_it(kind: str) -> bool:
        if kind not in filters:
            return True
        if event.kind != kind:
            # the container that joined a network is meant as well
            other = event.attributes.get(kind, "")
            return bool(other) and filters.fits(kind, lambda text: other.startswith(text))
        return filters.fits(kind, lambda text: text == name or (bool(text) and event.id.startswith(text)))

    def is_image() -> bool:
        image = event.attributes.get("image", "") if event.kind == "container" else name or event.id
        return filters.fits(
            "image", lambda text: image in (text, f"{text}:latest") or image.startswith(f"{text}:")
        )

    action = event.action
    return (
        filters.fits_exactly("type", event.kind)
        and filters.fits("event", lambda text: action == text or action.startswith(f"{text}:"))
        and filters.fits_labels(event.attributes)
        and filters.fits_exactly("scope", "local")
        and all(is_it(kind) for kind in ("container", "network", "volume"))
        and ("image" not in filters or is_image())
        and not any(kind in filters for kind in ("node", "service", "secret", "config", "plugin"))
    )
