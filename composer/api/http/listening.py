"""Where clients come in: a Unix socket, TCP with certificates on both sides, or sockets that systemd has opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import ssl
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from composer import errors
from composer.api.http.front import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_FD = 3
_BACKLOG = 512
_OTHERS_S = 2.0


class Certificates(NamedTuple):
    """Paths of PEM files: the authority that clients' certificates are checked with, the server's, and its key."""

    authority: str
    certificate: str
    key: str


def unix(path: str, *, group: int | None = None, own: str = "") -> Listener:
    """Listen at a path, readable for its owner and ``group``. A socket that nobody listens at is replaced.

    A directory that is made here, and ``own``, which is composer's, can be entered by the group, and by nobody else.
    """
    directory = os.path.dirname(path) or "."
    try:
        is_ours = directory == own or not os.path.isdir(directory)
        os.makedirs(directory, 0o700, exist_ok=True)
        if is_ours and group is not None:
            os.chown(directory, -1, group)
            os.chmod(directory, 0o710)
        with _locked(directory):
            _clear(path)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            temporary = f"{path}.{os.getpid()}"
            # under another name first, so that nobody can connect before the mode is right
            made.bind(temporary)
            os.chown(temporary, -1, -1 if group is None else group)
            os.chmod(temporary, 0o660)
            made.listen(_BACKLOG)
            file = os.lstat(temporary).st_ino
            os.rename(temporary, path)
    except OSError as error:
        raise errors.ProjectError(
            f"cannot listen at {path}: {(error.strerror or str(error)).lower()}",
            hint="use another path with --socket",
        ) from error
    return Listener(made, file=file)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Let no other server come or go at this directory meanwhile.

    Whoever may read the directory can hold the lock: nobody is waited for longer than a start takes.
    """
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    deadline = time.monotonic() + _OTHERS_S
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def _clear(path: str) -> None:
    """Remove what killed servers have left. Raises ProjectError where somebody listens, or it is no socket."""
    directory, name = os.path.split(path)
    for other in os.listdir(directory or "."):
        if other.startswith(f"{name}.") and other[len(name) + 1 :].isdecimal():
            os.unlink(os.path.join(directory, other))
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise errors.ProjectError(f"cannot listen at {path}: it exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return  # the rename replaces it
    raise errors.ProjectError(
        f"cannot listen at {path}: another server listens there",
        hint="stop that server, or use another path with --socket",
    )


def forget(path: str, listener: Listener) -> None:
    """Remove the socket's file, unless another server has put its own there, and stop listening."""
    try:
        with _locked(os.path.dirname(path) or "."):
            if os.lstat(path).st_ino == listener.file:
                os.unlink(path)
    except FileNotFoundError:
        pass  # somebody removed it
    finally:
        listener.socket.close()


def tcp(address: str, certificates: Certificates) -> Listener:
    """Listen at ``HOST:PORT`` for clients with a certificate of the authority."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise errors.ProjectError(
            f"invalid address '{address}'", hint="use HOST:PORT, such as --tcp 192.0.2.1:2376"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificates.certificate, certificates.key)
        context.load_verify_locations(certificates.authority)
    except (OSError, ssl.SSLError) as error:
        raise errors.ProjectError(
            f"cannot use the certificates: {error}",
            hint="check the files of --tls-ca, --tls-cert and --tls-key",
        ) from error
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise errors.ProjectError(
            f"cannot listen at {address}: {(error.strerror or str(error)).lower()}",
            hint="use another address with --tcp",
        ) from error
    return Listener(made, context)


def inherited(environment_fds: str, environment_pid: str) -> list[Listener]:
    """Return the sockets that systemd has opened: ``LISTEN_FDS``, and ``LISTEN_PID`` for whom. Only Unix sockets."""
    if not environment_fds.isdecimal() or (environment_pid and environment_pid != str(os.getpid())):
        raise errors.ProjectError(
            "no socket was passed by systemd",
            hint="start composer serve --fd from a unit with a socket: see composer serve --print-units",
        )
    found = []
    for fd in range(_FIRST_FD, _FIRST_FD + int(environment_fds)):
        os.set_inheritable(fd, False)
        made = socket.socket(fileno=fd)
        if made.family != socket.AF_UNIX:
            raise errors.ProjectError(
                "a socket that systemd passed is not a Unix socket",
                hint="use ListenStream=/path in the socket's unit; for TCP use --tcp with certificates",
            )
        found.append(Listener(made))
    return found
