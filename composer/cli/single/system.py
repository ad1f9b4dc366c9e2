"""``composer system info`` and ``events``: what the backend is, and what happens on it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from composer.cli import options as shared
from composer.cli.single.container_filters import bad, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.cli.context import Context
    from composer.engine.observed import Event

    Test = Callable[[Event], bool]

_INTERRUPTED = 130
_FACTS = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
)


def info(context: Context, style: str | None) -> None:
    """Write facts, as text, JSON or through a template."""
    from composer.cli import table
    from composer.version import __version__

    backend = context.backend()
    found = {"Backend": backend.name, "ClientVersion": __version__, **backend.system_info()}
    if style == "json":
        context.write(json.dumps(found, ensure_ascii=False))
        return
    if style:
        from composer.cli.record import Record
        from composer.cli.template import Template

        context.write(Template(style.replace("\\t", "\t").replace("\\n", "\n")).render(Record(found)))
        return
    lines = [f"Backend: {backend.name}", f"Client Version: {__version__}"]
    for title, key in _FACTS:
        if key in found:
            value = table.binary_size(int(found[key])) if key == "MemTotal" else found[key]
            lines.append(f"{title}: {value}")
    for warning in found.get("Warnings") or ():
        context.stderr.write(f"{warning}\n")
    context.write("\n".join(lines))


# ------------------------------------------------------------------ events


def events(
    context: Context, *, filters: tuple[str, ...], style: str | None, since: str | None, until: str | None
) -> int | None:
    """Write what happens, until it is interrupted or ``until`` has come."""
    from composer.cli.times import moment

    tests = _tests(filters)
    write = _writer(context, style)
    now_ns = time.time_ns()
    stream = context.backend().events(
        None,
        since_ns=moment(since, "--since", now_ns),
        until_ns=moment(until, "--until", now_ns),
    )
    try:
        while (event := stream.next(None)) is not None:
            if all(test(event) for test in tests):
                write(event)
                context.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        stream.close()
    return None


def _writer(context: Context, style: str | None) -> Callable[[Event], None]:
    if style == "json":
        return lambda event: context.write(
            json.dumps(_fields(event), ensure_ascii=False, separators=(",", ":"))
        )
    if style:
        from composer.cli.record import Record
        from composer.cli.template import Template

        template = Template(style.replace("\\t", "\t").replace("\\n", "\n"))
        return lambda event: context.write(template.render(Record(_fields(event))))
    return lambda event: context.write(_line(event))


def _fields(event: Event) -> dict[str, Any]:
    """Return an event with the names of Docker's API."""
    from composer.cli.record import Record

    old: Mapping[str, str] = (
        {"status": event.action, "id": event.id, "from": event.attributes.get("image", "")}
        if event.kind == "container"
        else {}
    )
    return {
        **old,
        "Type": event.kind,
        "Action": event.action,
        "Actor": Record(ID=event.id, Attributes=dict(event.attributes)),
        "scope": "local",
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
        "ID": event.id,
    }


def _line(event: Event) -> str:
    """Return an event as one line: time, kind, action, id, attributes."""
    seconds, rest_ns = divmod(event.time_ns, 1_000_000_000)
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest_ns:09}{zone[:3]}:{zone[3:]}"
    details = ", ".join(f"{key}={event.attributes[key]}" for key in sorted(event.attributes))
    return f"{when} {event.kind} {event.action} {event.id} ({details})"


_KINDS = ("container", "image", "network", "volume")


def _tests(filters: Sequence[str]) -> list[Test]:
    labels = [text for text in filters if text.startswith(("label=", "label!="))]
    wanted = shared.read_label_filters(labels)
    tests: list[Test] = [lambda event: all(label.matches(event.attributes) for label in wanted)]
    for key, values in split(text for text in filters if text not in labels).items():
        if key in _KINDS:
            tests.append(lambda event, kind=key, names=values: _is_of(event, kind, names))  # type: ignore[misc]
        elif key == "event":
            tests.append(lambda event, names=values: event.action.partition(":")[0] in names)  # type: ignore[misc]
        elif key == "type":
            tests.append(lambda event, names=values: event.kind in names)  # type: ignore[misc]
        elif key == "scope":
            tests.append(lambda event, names=values: "local" in names)  # type: ignore[misc]
        else:
            known = ", ".join(sorted((*_KINDS, "event", "label", "scope", "type")))
            raise bad(f"invalid filter '{key}': use {known}")
    return tests


def _is_of(event: Event, kind: str, names: Sequence[str]) -> bool:
    """Tell whether an event is about one of these objects, by name or id."""
    if kind == "image" and event.kind == "container":
        return event.attributes.get("image", "") in names
    return event.kind == kind and any(
        event.id.startswith(name) or event.attributes.get("name") == name for name in names
    )
