"""Tables and the small texts in them, as Docker writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.cli import safe
from composer.engine.observed import ContainerState, Health
from composer.units import human_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from composer.engine.observed import ObservedContainer, ObservedPort

_GAP = 3
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
"""As in Go's strconv.Quote."""
duration = human_duration
_LEAST = 10


def render(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in columns."""
    return align([headers, *rows])


def align(lines: Sequence[Sequence[str]], *, gap: int = _GAP, least: int = _LEAST) -> str:
    """Return cells in columns as Go's tabwriter lays them out: the last cell of a line is not padded."""
    lines = [[safe.line(cell) for cell in line] for line in lines]
    count = max((len(line) for line in lines), default=0)
    widths = [
        max([least, *(len(line[column]) + gap for line in lines if column < len(line) - 1)])
        for column in range(count)
    ]
    return "\n".join(
        "".join(
            cell.ljust(widths[column]) if column < len(line) - 1 else cell for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def status(container: ObservedContainer, now_ns: int) -> str:
    """Return Docker's status text: ``Up 5 minutes (healthy)``, ``Exited (0) 2 hours ago``."""
    if container.state in (ContainerState.RUNNING, ContainerState.PAUSED):
        text = f"Up {human_duration((now_ns - container.started_ns) / 1e9)}"
        if container.state is ContainerState.PAUSED:
            return f"{text} (Paused)"
        if container.health is Health.STARTING:
            return f"{text} (health: starting)"
        return text if container.health is Health.NONE else f"{text} ({container.health.value})"
    code = "unknown" if container.exit_code is None else container.exit_code
    ago = human_duration((now_ns - container.finished_ns) / 1e9)
    if container.state is ContainerState.RESTARTING:
        return f"Restarting ({code}) {ago} ago"
    if container.state is ContainerState.EXITED:
        return f"Exited ({code}) {ago} ago"
    return {ContainerState.CREATED: "Created", ContainerState.DEAD: "Dead"}.get(
        container.state, "Removal In Progress"
    )


_ANY = "0.0.0.0"


def ports(found: Iterable[ObservedPort]) -> str:
    """Return ports as Docker does: ``0.0.0.0:8000-8001->8000-8001/tcp, 5432/tcp, 127.0.0.1:80->8080/tcp``.

    Neighbours are joined where the numbers are the same outside and inside; what is led elsewhere stands at the end,
    each by itself.
    """
    runs: dict[tuple[str, str], list[list[int]]] = {}
    led: list[str] = []
    known_ports = {port._replace(host_ip=port.host_ip or _ANY if port.host_port else "") for port in found}
    for port in sorted(known_ports, key=lambda p: (p.container_port, p.host_ip, p.host_port, p.protocol)):
        if port.host_port and port.host_port != port.container_port:
            led.append(f"{_host(port.host_ip)}:{port.host_port}->{port.container_port}/{port.protocol}")
            continue
        known = runs.setdefault((_host(port.host_ip) if port.host_port else "", port.protocol), [])
        if known and known[-1][1] + 1 == port.container_port:
            known[-1][1] = port.container_port
        else:
            known.append([port.container_port, port.container_port])
    return ", ".join(
        [*(_run(*key, *run) for key, parts in runs.items() for run in parts), *dict.fromkeys(led)]
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _run(host: str, protocol: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{host}:{numbers}->{numbers}/{protocol}" if host else f"{numbers}/{protocol}"


def command_line(words: Sequence[str], width: int | None = 20) -> str:
    """Return the command in quotes, cut to ``width`` characters: words with spaces quoted as the engine quotes them."""
    first, *rest = words or ("",)
    text = " ".join([first, *(f"'{word}'" if " " in word else word for word in rest)])
    if width is not None and len(text) > width:
        text = text[: width - 1] + "…"
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else f"\\x{ord(c):02x}") for c in text) + '"'


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of an image's name; ``<none>`` where there is none."""
    if not reference:
        return "<none>", "<none>"
    from composer import references

    parts = references.split(reference)
    return parts.name, parts.tag or ("latest" if parts.digest is None else "<none>")


def size(count: int, digits: int = 3) -> str:
    """Return bytes in decimal units with three digits, as Docker does: ``7.05MB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.{digits}g}{unit}"


def binary_size(count: int) -> str:
    """Return bytes in binary units with four digits, as Docker shows memory: ``23.54GiB``."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024 or unit == "PiB":
            break
        value /= 1024
    return f"{value:.4g}{unit}"
