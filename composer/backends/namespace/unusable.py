"""Values of a service that Compose lets pass and the built-in runtime cannot carry out, with their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import values
from composer.engine.wanted import Limitation
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def limitations(attributes: Mapping[str, Any]) -> Iterator[Limitation]:
    problem = values.name_problem(attributes.get("container_name") or "")
    if problem is not None:
        yield Limitation(("container_name",), problem, hint="use a shorter name")
    yield from _macs(attributes)
    written = attributes.get("tmpfs") or ()
    for index, text in enumerate([written] if isinstance(written, str) else written):
        problem = values.tmpfs_problem(str(text).partition(":")[2])
        if problem is not None:
            yield Limitation(
                ("tmpfs", index), problem, hint="use options such as /run:size=64m,mode=1777,noexec"
            )
    for index, port in enumerate(attributes.get("ports") or ()):
        problem = values.target_problem(port.get("target"))
        if problem is not None:
            yield Limitation(
                ("ports", index), problem, hint="set target to the container port, such as target: 80"
            )
        problem = values.protocol_problem(port.get("protocol") or "tcp")
        if problem is not None:
            yield Limitation(("ports", index, "protocol"), problem, hint="remove it for tcp")
    yield from _intervals(attributes.get("healthcheck") or {})


def _macs(attributes: Mapping[str, Any]) -> Iterator[Limitation]:
    given: dict[tuple[str | int, ...], Any] = {("mac_address",): attributes.get("mac_address")}
    networks = attributes.get("networks")
    for name, endpoint in (networks if isinstance(networks, dict) else {}).items():
        given["networks", name, "mac_address"] = (endpoint or {}).get("mac_address")
    for path, text in given.items():
        problem = values.mac_problem(text) if text else None
        if problem is not None:
            yield Limitation(path, problem, hint="remove it to use a generated address")


def _intervals(check: Mapping[str, Any]) -> Iterator[Limitation]:
    for key in ("interval", "start_interval"):
        problem = values.interval_problem(parse_duration_ns(str(check[key])) if check.get(key) else 0)
        if problem is not None:
            reason = f"{problem}; it is run every {values.LEAST_INTERVAL_NS / 1e6:g} ms"
            yield Limitation(("healthcheck", key), reason, fatal=False)
