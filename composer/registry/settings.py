"""What the user has said about registries, from the environment that the command passes down and two files.

~/.config/composer/config.toml      [registry."docker.io"]
                                    mirrors = ["https://mirror.example.com"]
                                    [registry."registry.lan:5000"]
                                    insecure = true
                                    ca = "/etc/ssl/lan.pem"
~/.docker/config.json               credentials (see `credentials`) and HttpHeaders
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer import userconfig
from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Host(NamedTuple):
    """One registry, as configured. ``ca`` is a file of certificates to trust for it."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False
    ca: str | None = None


class Settings(NamedTuple):
    """``proxies`` maps ``http`` and ``https`` to a proxy's URL; ``no_proxy`` is the list of exceptions as written."""

    hosts: Mapping[str, Host] = {}
    proxies: Mapping[str, str] = {}
    no_proxy: str = ""
    docker: Mapping[str, Any] = {}
    environment: Mapping[str, str] = {}

    def host(self, name: str) -> Host:
        return self.hosts.get(name, _DEFAULT)

    def proxy(self, scheme: str, host: str, port: int) -> str:
        """Return the proxy on the way to a place, as written; empty where there is none, as on this machine."""
        found = self.proxies.get(scheme, "")
        return "" if not found or is_loopback(f"{host}:{port}") or self._is_excepted(host, port) else found

    def _is_excepted(self, host: str, port: int) -> bool:
        """Tell whether NO_PROXY names a place: ``*``, names with all below them, addresses, networks; a port each."""
        host = host.strip("[]").lower()
        for entry in self.no_proxy.lower().replace(",", " ").split():
            name, colon, number = entry.rpartition(":")
            if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
                if int(number) != port:
                    continue
                entry = name
            entry = entry.strip("[]")
            if entry == "*" or host == entry.removeprefix(".") or host.endswith("." + entry.lstrip("*.")):
                return True
            if "/" in entry and _is_inside(host, entry):
                return True
        return False

    def is_insecure(self, name: str) -> bool:
        """Tell whether plain HTTP, or a certificate that nobody vouches for, is good enough for a host."""
        return is_loopback(name) or self.host(name).insecure


_DEFAULT = Host()


def is_loopback(host: str) -> bool:
    """Tell whether a host, with or without a port, is this machine itself, as Docker decides it."""
    bare = host if host.startswith("[") else host.rpartition(":")[0] or host
    bare = bare.partition("]")[0] + "]" if bare.startswith("[") else bare
    if bare.startswith("127."):
        parts = bare.split(".")
        return len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)
    return bare in ("localhost", "[::1]")


def _is_inside(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings of this user. Raises ProjectError for a file that cannot be understood."""
    proxies = {}
    for scheme in ("http", "https"):
        # lower case first, as curl and Go have it; HTTP_PROXY alone is ignored in CGI, which this is not
        value = environment.get(f"{scheme}_proxy") or environment.get(f"{scheme.upper()}_PROXY")
        if value:
            proxies[scheme] = value
    return Settings(
        hosts=_hosts(environment),
        proxies=proxies,
        no_proxy=environment.get("no_proxy") or environment.get("NO_PROXY") or "",
        docker=userconfig.read_docker(environment),
        environment=environment,
    )


def _hosts(environment: Mapping[str, str]) -> dict[str, Host]:
    path = userconfig.path_of(environment)
    table = userconfig.table_of(environment).get("registry") or {}
    if not isinstance(table, dict):
        raise ProjectError(f"cannot read '{path}': registry must be a table")
    return {_host_name(name): _host(path, name, entry) for name, entry in table.items()}


def _host_name(name: str) -> str:
    return "docker.io" if name in ("index.docker.io", "registry-1.docker.io") else name


def _host(path: str, name: str, entry: Any) -> Host:
    if not isinstance(entry, dict):
        raise ProjectError(f"cannot read '{path}': registry '{name}' must be a table")
    for key in entry:
        if key not in Host._fields:
            raise ProjectError(
                f"cannot read '{path}': unknown key '{key}' of registry '{name}'",
                hint=f"allowed keys: {', '.join(Host._fields)}",
            )
    mirrors, insecure, ca = entry.get("mirrors", []), entry.get("insecure", False), entry.get("ca")
    if not isinstance(mirrors, list) or not all(_is_base(mirror) for mirror in mirrors):
        raise ProjectError(
            f"cannot read '{path}': mirrors of registry '{name}' must be a list of URLs",
            hint='set mirrors = ["https://HOST[:PORT][/PREFIX]"]',
        )
    if not isinstance(insecure, bool):
        raise ProjectError(f"cannot read '{path}': insecure of registry '{name}' must be a boolean")
    if ca is not None and not isinstance(ca, str):
        raise ProjectError(f"cannot read '{path}': ca of registry '{name}' must be a path")
    return Host(tuple(mirror.rstrip("/") for mirror in mirrors), insecure, ca)


def _is_base(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://")) and "?" not in value
