"""resolv.conf: the host's read, a container's written. Pure text; who reads and writes the files is
elsewhere.

Spec: resolv.conf(5); what is taken over from the host is Docker's rule.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUR_SERVER = "127.0.0.11"
ETC, SYSTEMD = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
_STUB = ("127.0.0.53",)


class ResolvConf:
    """What a resolv.conf says: ``nameservers``, ``search`` and ``options``, as written."""

    __slots__ = ("nameservers", "options", "search")

    def __init__(
        self, nameservers: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        self.nameservers = tuple(nameservers)
        self.search = tuple(search)
        self.options = tuple(options)


def parse_resolv_conf(text: str) -> ResolvConf:
    """Return what a resolv.conf says. Of several search or domain lines the last holds.

    Unknown lines are skipped.
    """
    nameservers: list[str] = []
    options: list[str] = []
    search: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver":
            nameservers.append(values[0])
        elif keyword == "options":
            options += values
        elif keyword == "search":
            search = values
        elif keyword == "domain":
            search = values[:1]
    return ResolvConf(nameservers, search, options)


def host_resolv_conf(files: Mapping[str, str]) -> ResolvConf:
    """Choose the host's configuration from ``{path: text}`` of those of `ETC` and `SYSTEMD` that are there.

    Where the first names only systemd's stub, systemd's own file is meant: it has the real servers.
    """
    host = parse_resolv_conf(files.get(ETC, ""))
    if host.nameservers == _STUB and SYSTEMD in files:
        return parse_resolv_conf(files[SYSTEMD])
    return host


def container_resolv_conf(
    host: ResolvConf, *, dns: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Return the text of a container's resolv.conf, and the upstream servers that we ask on its behalf.

    Given values replace the host's; a search of ``.`` is none. Servers on the host's loopback work, since we
    ask from the host's side. No server at all stays none: questions about the outside fail rather than go to
    a stranger.
    """
    domains = [one for one in (search or host.search) if one != "."]
    chosen = list(options or host.options)
    if not any(one.startswith("ndots:") for one in chosen):
        # Compose's names have no dots; with ndots:1 they would go through the search list first.
        chosen.append("ndots:0")
    lines = [f"nameserver {OUR_SERVER}"]
    if domains:
        lines.append(f"search {' '.join(domains)}")
    lines.append(f"options {' '.join(chosen)}")
    return "\n".join(lines) + "\n", list(dns or host.nameservers)
