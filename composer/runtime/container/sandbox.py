"""The three files of /etc that a runtime writes: hosts, hostname, resolv.conf. Docker's contents.

They lie in the container's directory and are bound into it; they are written anew at each start, for addresses
may have changed.
"""

from __future__ import annotations

import os

from composer.runtime.base import records
from composer.runtime.network import resolv_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.runtime.network.endpoints import Attachment

_LOOPBACK = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


def write_files(bundle: str, config: Mapping[str, Any], attachments: Sequence[Attachment]) -> None:
    """Write hosts, hostname and resolv.conf of one container into its directory."""
    network = records.extras(config)["network"]
    hostname = config.get("hostname", "")
    _write(f"{bundle}/hostname", f"{hostname}\n")
    hosts = _hosts(hostname, config.get("domainname", ""), network, attachments)
    _write(f"{bundle}/hosts", hosts)
    _write(f"{bundle}/resolv.conf", _resolv_conf(network, bool(attachments) and network.get("names", True)))


def _write(path: str, text: str) -> None:
    """Write in place: nobody reads these before the container, and its start comes after."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)


def _hosts(hostname: str, domain: str, network: Mapping[str, Any], attachments: Sequence[Attachment]) -> str:
    lines = _host_lines() if network.get("mode") == "host" else list(_LOOPBACK)
    gateway = next((g for a in attachments for g in a.gateways), "")
    for name, address in network.get("extra_hosts", ()):
        if address == "host-gateway":
            if gateway:
                lines.append(f"{gateway}\t{name}")
        else:
            lines.append(f"{address}\t{name}")
    full = f"{hostname}.{domain} {hostname}" if domain else hostname
    if not domain and "." in hostname:
        full = f"{hostname} {hostname.partition('.')[0]}"
    lines += [f"{address}\t{full}" for attachment in attachments for address, _ in attachment.addresses]
    return "\n".join(lines) + "\n"


def _host_lines() -> list[str]:
    """Return the host's own hosts file: who shares its network sees what it sees."""
    try:
        with open("/etc/hosts", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return list(_LOOPBACK)


def _resolv_conf(network: Mapping[str, Any], bridged: bool) -> str:
    own = network.get("dns", {})
    host = host_resolv_conf()
    servers, search, options = (own.get(key) or () for key in ("servers", "search", "options"))
    if bridged:
        return resolv_conf.container_resolv_conf(host, dns=servers, search=search, options=options)[0]
    # From a network of its own the container would ask itself, where the host asks itself.
    reachable = [
        one for one in host.nameservers if network.get("mode") == "host" or not one.startswith("127.")
    ]
    lines = [f"nameserver {server}" for server in servers or reachable]
    lines += [f"search {' '.join(search or host.search)}"] if search or host.search else []
    lines += [f"options {' '.join(options or host.options)}"] if options or host.options else []
    return "\n".join(lines) + "\n"


def host_resolv_conf() -> resolv_conf.ResolvConf:
    """Read the host's own configuration, or that behind a local stub resolver."""
    texts = {}
    for path in (resolv_conf.ETC, resolv_conf.SYSTEMD):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                texts[path] = file.read()
        except FileNotFoundError:
            continue
    return resolv_conf.host_resolv_conf(texts)
