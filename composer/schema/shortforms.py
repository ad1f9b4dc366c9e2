"""The short syntaxes that are small languages of their own: ports, volumes, devices.

Each function takes the text and returns the long form as plain values. Raises ValueError with the reason, worded
for people. What they accept, and how they split, is what docker/go-connections and compose-go do.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from composer.patterns import pattern

_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_IPV4 = pattern(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
PORT_FORMS = "use [[ip:]published:]target[/protocol], such as 8080:80 or 127.0.0.1:53:53/udp"


def is_ip(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    if ":" not in text:
        return _IPV4.fullmatch(text) is not None
    from socket import AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        return False
    return True


def parse_ports(text: str) -> list[dict[str, Any]]:
    """Return the ports of one short entry: several for a range."""
    ip, published, target = _split_port(text)
    protocol, target = _split_protocol(target)
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
    if ip and not is_ip(ip):
        raise ValueError(f"invalid IP address '{ip}'")
    if not target:
        raise ValueError(f"the container port is missing in '{text}'")
    first, last = _port_range(target, "container port")
    host_first = host_last = 0
    if published:
        host_first, host_last = _port_range(published, "published port")
        if last - first != host_last - host_first and first != last:
            raise ValueError(f"port ranges {published} and {target} have different lengths")
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"unsupported protocol '{protocol}': must be tcp, udp or sctp")
    ports = []
    for offset in range(last - first + 1):
        host = str(host_first + offset) if published else ""
        if first == last and host_first != host_last:
            host = f"{host}-{host_last}"
        port: dict[str, Any] = {"mode": "ingress", "target": first + offset, "protocol": protocol}
        if not port["target"]:
            del port["target"]  # Go's zero: "80:0" has no target, which is an error later
        if ip:
            port["host_ip"] = ip
        if host:
            port["published"] = host
        ports.append(port)
    # Compose sorts the entries of a range by text: 10 comes before 9
    return sorted(ports, key=lambda port: f"{port.get('target', 0)}/{protocol}")


def _split_port(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) == 1:
        return "", "", parts[0]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _split_protocol(text: str) -> tuple[str, str]:
    parts = text.split("/")
    if not parts[0]:
        return "", ""
    protocol = parts[1] if len(parts) > 1 and parts[1] else "tcp"
    return protocol.lower(), parts[0]


def _port_range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first]
    if any(not re.fullmatch(r"[0-9]{1,9}", number) or int(number) > 65535 for number in numbers):
        raise ValueError(f"invalid {what} '{text}': must be between 0 and 65535")
    start, end = int(first), int(last if dash else first)
    if end < start:
        raise ValueError(f"invalid {what} range '{text}': the end is lower than the start")
    return start, end


def _is_drive(buffer: str, follow: str) -> bool:
    return follow == ":" and len(buffer) == 1 and buffer.isalpha()


def _is_open(buffer: str) -> bool:
    return "${" in buffer and buffer.count("${") > buffer.count("}")


def is_file_path(source: str) -> bool:
    """Tell whether the source of a short volume is a path of the host rather than a volume's name."""
    if not source:
        return False
    return source[0] in "./~" or source.startswith("\\\\") or _is_drive(source[0], source[1:2])


def split_volume(text: str) -> list[str]:
    """Return the parts between the colons, with Windows drives and ``${…}`` kept whole."""
    parts, buffer = [], ""
    for char in text:
        if char == ":" and not _is_drive(buffer, char) and not _is_open(buffer):
            parts.append(buffer)
            buffer = ""
        else:
            buffer += char
    return [*parts, buffer]


def parse_volume(text: str) -> dict[str, Any]:
    """Return the long form of a short volume. Options that are not known are ignored, as Compose does."""
    if not text:
        raise ValueError("a volume must not be empty")
    if len(text) <= 2:
        return {"type": "volume", "target": clean_target(text)}
    parts = split_volume(text)
    if "" in parts:
        raise ValueError(f"volume '{text}' has an empty section between colons")
    if len(parts) > 3:
        raise ValueError(f"volume '{text}' has too many colons")
    volume: dict[str, Any] = {"type": "volume"}
    if len(parts) == 1:
        volume["target"] = clean_target(parts[0])
    else:
        volume["source"], volume["target"] = parts[0], clean_target(parts[1])
    for option in parts[2].split(",") if len(parts) == 3 else ():
        _volume_option(volume, option)
    if is_file_path(volume.get("source", "")):
        volume["type"] = "bind"
        volume.setdefault("bind", {})["create_host_path"] = True
    else:
        volume.setdefault("volume", {})
    return volume


def unknown_volume_options(text: str) -> list[str]:
    """Return the options of a short volume that have no effect."""
    parts = split_volume(text)
    # the last three ask for less consistency than Docker Desktop gives by default: elsewhere there is nothing to relax
    known = {"ro", "rw", "nocopy", "z", "Z", *_PROPAGATIONS, "cached", "delegated", "consistent"}
    return [option for option in parts[2].split(",") if option not in known] if len(parts) == 3 else []


def swallowed_drive(text: str) -> str | None:
    """Return the letter of ``v:/d`` or ``v:/d:ro``, which Compose takes for a path of Windows that has no target."""
    parts = split_volume(text)
    is_drive = len(parts[0]) > 2 and _is_drive(parts[0][0], parts[0][1])
    return parts[0][0] if is_drive and (len(parts) == 1 or parts[1][:1] not in ("/", "\\")) else None


def _volume_option(volume: dict[str, Any], option: str) -> None:
    if option == "ro":
        volume["read_only"] = True
    elif option == "rw":
        volume.pop("read_only", None)
    elif option == "nocopy":
        volume["volume"] = {"nocopy": True}
    elif option in ("z", "Z"):
        volume.setdefault("bind", {})["selinux"] = option
    elif option in _PROPAGATIONS:
        volume.setdefault("bind", {})["propagation"] = option


def clean_target(target: str) -> str:
    """Return a container path without ``..``, ``.`` and doubled slashes."""
    if not target:
        return ""
    cleaned = posixpath.normpath(target)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def parse_device(text: str) -> dict[str, Any]:
    """Return the long form of ``source[:target[:permissions]]``."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError(f"device '{text}' has too many colons: use the long syntax")
    target = parts[1] if len(parts) > 1 and parts[1] else parts[0]
    return {"source": parts[0], "target": target, "permissions": parts[2] if len(parts) > 2 else "rwm"}
