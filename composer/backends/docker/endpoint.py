"""Where the engine is: DOCKER_HOST, DOCKER_CONTEXT, the current context of Docker's configuration, or the default.

The precedence and the files are those of Docker's own command (docker/cli cli/command/cli.go, cli/context/store).
`dial` opens a connection; whatever the way, the result is a socket that speaks HTTP.
"""

from __future__ import annotations

import json
import socket
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from composer import userconfig
from composer.backends.docker import failures
from composer.errors import ProjectError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix:///var/run/docker.sock"
_CONNECT_S = 10.0


class Endpoint(NamedTuple):
    """An engine's address. ``tls`` is a directory with ca.pem, cert.pem and key.pem; None is plain text."""

    url: str
    tls: str | None = None
    verify: bool = True
    context: str = ""

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def host_port(self) -> tuple[str, int]:
        """Where an address of TCP leads: the host without brackets, and Docker's port where none is said."""
        rest = self.url.partition("://")[2].rstrip("/")
        host, _, port = rest.rpartition(":")
        if not host or not port.isdigit():
            host, port = rest, "2376" if self.tls else "2375"
        return host.strip("[]"), int(port)


def read_config(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return Docker's config.json; empty when there is none. Raises Unavailable when it is no JSON."""
    try:
        return userconfig.read_docker(environment)
    except ProjectError as error:
        raise Unavailable(str(error), hint=error.hint) from None


def find(environment: Mapping[str, str]) -> Endpoint:
    """Return the engine that Docker's own command would talk to."""
    host = environment.get("DOCKER_HOST")
    if host:
        # as Docker's command has it: an address without a scheme is one of TCP
        url = host if "://" in host else f"tcp://{host}"
        return Endpoint(url, _tls_of(environment), bool(environment.get("DOCKER_TLS_VERIFY")))
    name = environment.get("DOCKER_CONTEXT") or read_config(environment).get("currentContext") or "default"
    if name == "default":
        return Endpoint(DEFAULT, _tls_of(environment), bool(environment.get("DOCKER_TLS_VERIFY")))
    return _context(str(name), environment)


def _tls_of(environment: Mapping[str, str]) -> str | None:
    if environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS"):
        return environment.get("DOCKER_CERT_PATH") or userconfig.docker_directory(environment)
    return None


def _context(name: str, environment: Mapping[str, str]) -> Endpoint:
    import os

    digest = sha256(name.encode()).hexdigest()
    base = f"{userconfig.docker_directory(environment)}/contexts"
    try:
        with open(f"{base}/meta/{digest}/meta.json", "rb") as file:
            docker = json.load(file)["Endpoints"]["docker"]
            host = str(docker["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Unavailable(
            f"cannot read Docker context '{name}'",
            hint="list contexts with docker context ls, and select one with docker context use or DOCKER_CONTEXT",
        ) from None
    certificates = f"{base}/tls/{digest}/docker"
    return Endpoint(
        host, certificates if os.path.isdir(certificates) else None, not docker.get("SkipTLSVerify"), name
    )


# ------------------------------------------------------------------ connections


def dial(endpoint: Endpoint) -> socket.socket:
    """Return a connection to the engine. Raises Unavailable or PermissionDenied."""
    scheme, separator, rest = endpoint.url.partition("://")
    way = _WAYS.get(scheme) if separator else None
    if way is None:
        raise Unavailable(
            f"cannot connect to a Docker Engine at '{endpoint.url}'",
            hint=f"use an address that starts with {', '.join(f'{s}://' for s in sorted(_WAYS))}",
        )
    try:
        return way(endpoint, rest)
    except OSError as error:
        raise failures.unreachable(endpoint.url, error) from None


def _unix(endpoint: Endpoint, path: str) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(_CONNECT_S)
    try:
        found.connect(path)
    except OSError:
        found.close()
        raise
    return found


def _npipe(endpoint: Endpoint, path: str) -> socket.socket:
    """Open a named pipe of Windows, which the Docker SDK makes look like a socket."""
    try:
        from docker.transport.npipesocket import NpipeSocket
    except ImportError:
        raise Unavailable(
            f"cannot connect to '{endpoint.url}': named pipes require Windows and pywin32",
            hint="run pip install pywin32, or set DOCKER_HOST to a tcp:// or ssh:// address",
        ) from None
    found = NpipeSocket()
    found.settimeout(_CONNECT_S)
    found.connect(path)
    return cast("socket.socket", found)


def _tcp(endpoint: Endpoint, rest: str) -> socket.socket:
    host, port = endpoint.host_port
    plain = socket.create_connection((host, port), _CONNECT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if endpoint.tls is None:
        return plain
    import ssl

    try:
        context = ssl.create_default_context(cafile=f"{endpoint.tls}/ca.pem")
        context.load_cert_chain(f"{endpoint.tls}/cert.pem", f"{endpoint.tls}/key.pem")
        if not endpoint.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=host)
    except OSError as error:  # ssl.SSLError too
        plain.close()
        raise failures.unsafe(endpoint.url, endpoint.tls, str(error)) from None


def _ssh(endpoint: Endpoint, rest: str) -> socket.socket:
    """Docker's own way: the ssh command runs ``docker system dial-stdio`` over there."""
    import subprocess
    import threading

    address = rest.partition("/")[0]
    user_host, _, port = (
        address.rpartition(":") if address.rpartition(":")[2].isdigit() else (address, "", "")
    )
    ours, theirs = socket.socketpair()
    with theirs:
        command = ["ssh", "-o", f"ConnectTimeout={_CONNECT_S:.0f}", *(["-p", port] if port else [])]
        try:
            process = subprocess.Popen(
                [*command, "--", user_host, "docker", "system", "dial-stdio"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )
        except FileNotFoundError:
            ours.close()
            raise Unavailable(
                f"cannot reach '{endpoint.url}': ssh command not found", hint="install an ssh client"
            ) from None
    # it ends with the connection, whenever that is
    threading.Thread(target=process.wait, name="ssh", daemon=True).start()
    return ours


_WAYS = {"unix": _unix, "npipe": _npipe, "tcp": _tcp, "http": _tcp, "https": _tcp, "ssh": _ssh}
