"""Docker's log drivers and their options: how much of a container's output is kept here, and where it is sent besides.

Names of drivers and options, and what they mean, are Docker's. With syslog and journald the output is kept as well,
within the limits that Docker gives such a copy, so that ``composer logs`` works with every driver but none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from composer.patterns import pattern
from composer.runtime.base import records
from composer.units import parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.base.record_types import Extras

    Config = dict[str, Any]
    Configure = Callable[[Mapping[str, Any]], Config]

_KEPT = {"local": (20 << 20, 5), "syslog": (20 << 20, 5), "journald": (20 << 20, 5)}
"""Bytes per file and number of files that a driver keeps by itself. Docker's, for its drivers of these names."""

DRIVERS = ("json-file", "local", "none", "syslog", "journald")
OPTIONS = {
    "json-file": {"max-size", "max-file"},
    "local": {"max-size", "max-file"},
    "syslog": {"syslog-address", "syslog-facility", "syslog-format", "tag"},
    "journald": {"tag"},
}
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()
_ADDRESS = pattern(r"(?:unix|unixgram):///\S+|(?:udp|tcp)://(?:\[[0-9a-f:]+\]|[^:/\s]+)(?::\d+)?")
DEVLOG = "/dev/log"
JOURNAL = "/run/systemd/journal/socket"
_TAG = pattern(r"\{\{\s*\.(\w+)\s*\}\}")


def apply(config: Config, value: Mapping[str, Any]) -> None:
    """Put a log driver and its options into a configuration. Raises ValueError for an option that means nothing."""
    driver = value.get("driver") or "json-file"
    if driver == "none":
        records.extras(config)["log"] = {"keep": False}
        return
    options = {key: str(text) for key, text in (value.get("options") or {}).items() if text is not None}
    if driver in ("syslog", "journald"):
        records.extras(config)["forward"] = _forward(driver, options)
    size, count = _KEPT.get(driver, (0, 1))
    size = parse_size_bytes(options.get("max-size") or str(size))
    count = int(options.get("max-file") or count)
    if count < 1:
        raise ValueError(f"max-file must be at least 1, not {count}")
    if options.get("max-file") and size <= 0:
        raise ValueError("max-file requires max-size")
    if size > 0:
        # Docker keeps between max-file minus one and max-file whole files; of a single one it drops everything.
        records.extras(config)["log"] = {"most": size * count, "least": size * (count - 1) or size // 2}


def for_clients_only(configure: Configure) -> Configure:
    """Return a making of a configuration whose log is only for those who are attached.

    They read the log, so the last of it is kept, and nobody else sees it.
    """

    def made(image: Mapping[str, Any]) -> Config:
        config = configure(image)
        records.extras(config)["log"] = {"most": _FOR_CLIENTS, "least": _FOR_CLIENTS // 2, "hidden": True}
        return config

    return made


_FOR_CLIENTS = 1 << 20


def _forward(driver: str, options: Mapping[str, str]) -> Config:
    tag = options.get("tag") or "{{.ID}}"
    if driver == "journald":
        return {"driver": driver, "address": f"unixgram://{JOURNAL}", "tag": tag}
    address = options.get("syslog-address") or f"unix://{DEVLOG}"
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"invalid syslog-address '{address}': use unix://PATH, udp://HOST:PORT or tcp://HOST:PORT"
        )
    if address.startswith(("udp", "tcp")):
        address = _resolved(address if re.search(r":\d+$", address) else f"{address}:514")
    name = options.get("syslog-facility") or "daemon"
    facility = int(name) if name.isdecimal() else _FACILITIES.index(name) if name in _FACILITIES else -1
    if not 0 <= facility < len(_FACILITIES):
        raise ValueError(f"invalid syslog-facility '{name}': must be one of {', '.join(_FACILITIES)}")
    form = options.get("syslog-format") or ""
    if form not in _FORMATS:
        raise ValueError(
            f"invalid syslog-format '{form}': must be one of {', '.join(filter(None, _FORMATS))}"
        )
    return {"driver": driver, "address": address, "facility": facility, "format": form, "tag": tag}


def _resolved(address: str) -> str:
    """Return an address of the network with a number for its host: who sends must not wait for a name server."""
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    import socket

    try:
        family, *_, found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise ValueError(f"syslog-address '{address}': {error.strerror}") from error
    number = f"[{found[0]}]" if family == socket.AF_INET6 else found[0]
    return f"{kind}://{number}:{port}"


def finish(extras: Extras, *, image: str, image_id: str) -> None:
    """Fill in what is known of the container only when it is made: its tag, and the journal's fields."""
    forward = extras.get("forward")
    if forward is None:
        return
    short, digest = extras["id"][:12], image_id.removeprefix("sha256:")
    known = {
        "ID": short,
        "FullID": extras["id"],
        "Name": extras["name"],
        "ImageID": digest[:12],
        "ImageFullID": digest,
        "ImageName": image,
        "DaemonName": "composer",
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise ValueError(f"tag: unknown field '{match[1]}'; available: {', '.join(known)}")
        return str(known[match[1]])

    forward["tag"] = _TAG.sub(value, forward["tag"])
    forward["fields"] = {
        "CONTAINER_ID": short,
        "CONTAINER_ID_FULL": extras["id"],
        "CONTAINER_NAME": extras["name"],
        "CONTAINER_TAG": forward["tag"],
        "IMAGE_NAME": image,
    }
