"""The Docker SDK, opened for one engine. Every effect of this backend goes through it, and nothing of it gets out.

Its import takes half as long as a whole ``ps``, so it is paid with the first effect, and not before: what only reads,
and what finds nothing to do, goes without. (A thread that imports it meanwhile makes a command slower, not faster: the
engine's answers take a millisecond each, and the interpreter's lock comes back after five.)

One client serves all threads: what its session shares is locked (cookies) or never written after it was made, and its
pools of connections are urllib3's, which are made for threads. The pool is larger than any number of workers, so no
connection is thrown away that the next request wants. The addresses are opened by the SDK's own transports, but for
ssh, for which it wants paramiko, which each effect of everybody would import then.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer.backends.docker.client import ANSWER_S
from composer.backends.docker.foreign import SourceFailed, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from docker import APIClient
    from requests import Response

    from composer.backends.docker.client import Client
    from composer.backends.docker.endpoint import Endpoint

_POOL = 64


class Sdk:
    """The way to the SDK's client, from any thread."""

    def __init__(self, client: Client, answer_s: float = ANSWER_S) -> None:
        self._client, self._answer_s = client, answer_s
        self._opening = threading.Lock()
        self._opened: dict[float | None, APIClient] = {}

    def _open(self, timeout_s: float | None) -> APIClient:
        with self._opening:
            if timeout_s not in self._opened:
                self._opened[timeout_s] = connect(self._client.endpoint, self._client.api, timeout_s)
            return self._opened[timeout_s]

    @contextmanager
    def call(self, *, patient: bool = False) -> Iterator[APIClient]:
        """Yield the SDK's client; whatever it raises within is one of our errors outside.

        It gives up on an answer that does not come, and ``patient`` on none: for what takes as long as it takes.
        Whatever else of the SDK is used, is imported within: two threads that import it at once would meet half of it.
        """
        with translated(self._client.endpoint, self._answer_s):
            yield self._open(None if patient else self._answer_s)

    def post(self, path: str, *names: str, body: Mapping[str, Any]) -> Any:
        """Send a body that the SDK's methods have no words for, and return the answer's JSON, if it has any."""
        with self.call() as api:
            answer = send(api, "post", path, *names, json=dict(body))
            return answer.json() if answer.content.strip() else None

    def close(self) -> None:
        with self._opening:
            found, self._opened = self._opened, {}
        for client in found.values():
            client.close()


def connect(place: Endpoint, api: tuple[int, int], timeout_s: float | None) -> APIClient:
    """Open the SDK's client for an engine. ``timeout_s``: how long it waits for an answer, None for ever."""
    import docker
    from requests.adapters import HTTPAdapter

    more: dict[str, Any] = {"timeout": timeout_s, "tls": _tls(place) if place.tls else False}
    made = docker.APIClient(_address(place), f"{api[0]}.{api[1]}", max_pool_size=_POOL, **more)
    # proxies, certificates and logins of the process's environment are not the engine's
    made.trust_env = False
    if place.scheme == "ssh":
        from composer.backends.docker.dialled import Dialled

        made.mount("http://", Dialled(place, _POOL))
    elif place.scheme in ("tcp", "http", "https"):
        made.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOL))
        made.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOL))
    return made


def _address(place: Endpoint) -> str:
    if place.scheme == "ssh":
        return "http://docker:2375"  # a name for its URLs: `Dialled` opens the connections
    if place.scheme in ("tcp", "http", "https"):
        host, port = place.host_port
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    return place.url


def _tls(place: Endpoint) -> Any:
    from docker.tls import TLSConfig

    if not place.verify:
        import urllib3

        # that it is not verified is the user's wish, and no news with each request
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return TLSConfig(
        client_cert=(f"{place.tls}/cert.pem", f"{place.tls}/key.pem"),
        ca_cert=f"{place.tls}/ca.pem",
        verify=place.verify,
    )


def send(api: APIClient, method: str, path: str, *names: str, **more: Any) -> Response:
    """Send a request through the session of the SDK's client, for what its methods lack a parameter.

    ``names`` fill in the path. ``more`` is that of requests: ``params``, ``data``, ``json``, ``headers``, ``stream``.
    """
    client: Any = api
    answer: Response = getattr(client, f"_{method}")(client._url(path, *names), **more)
    client._raise_for_status(answer)
    return answer


def outgoing(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body's pieces. An error of theirs comes out of `Sdk.call` as it is, not as one of the connection's."""
    try:
        yield from pieces
    except Exception as error:
        raise SourceFailed from error
