"""A transport for the SDK's session over connections that `endpoint.dial` opens: for ssh.

The SDK's own wants paramiko even where it runs the ssh command, and what it hands over of an upgraded connection has
no descriptor that tells whether there is something to read, and no way to close one direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker.transport.basehttpadapter import BaseHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from composer.backends.docker.endpoint import dial

if TYPE_CHECKING:
    from composer.backends.docker.endpoint import Endpoint


class _Connection(HTTPConnection):
    place: Endpoint

    def connect(self) -> None:
        self.sock = dial(self.place)
        self.sock.settimeout(self.timeout)


class _Pool(HTTPConnectionPool):
    def __init__(self, place: Endpoint, size: int) -> None:
        super().__init__("docker", maxsize=size)
        self._place = place

    def _new_conn(self) -> _Connection:
        made = _Connection("docker")
        made.place = self._place
        return made


class Dialled(BaseHTTPAdapter):
    """One engine, whatever the URL says."""

    def __init__(self, place: Endpoint, size: int) -> None:
        super().__init__()
        self._pool = _Pool(place, size)

    def get_connection(self, url: Any, proxies: Any = None) -> _Pool:
        return self._pool

    def close(self) -> None:
        super().close()
        self._pool.close()
