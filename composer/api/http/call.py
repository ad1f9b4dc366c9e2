"""One request and its answer, as the endpoints see them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import h11

from composer.api.http import reading
from composer.api.http.problems import Problem
from composer.api.http.wire import Gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.api.http.wire import Wire
    from composer.api.world import World

NULL: Any = object()
"""An answer that is JSON's null, where None is an answer without a body."""
JSON = "application/json"
STREAM = "application/vnd.docker.raw-stream"
FRAMES = "application/vnd.docker.multiplexed-stream"
TAR = "application/x-tar"
_SWITCHING: Any = h11.MIGHT_SWITCH_PROTOCOL  # type: ignore[attr-defined]
_REASONS = {int(status): status.phrase.encode() for status in HTTPStatus}
_BODY_PATIENCE_S = 120.0
"""How long a client may pause in the middle of a body."""
_REST_BYTES = 256 << 10
_REST_PATIENCE_S = 1.0


class Query:
    """The parameters of a request's address. Docker's rules: of several values of one name the first counts."""

    def __init__(self, text: str) -> None:
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=1000)
        except ValueError as error:
            raise Problem(400, f"invalid query: {error}") from None

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]

    def texts(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def has(self, name: str) -> bool:
        return name in self._values

    def flag(self, name: str, default: bool = False) -> bool:
        """Everything is true but what Docker takes for false."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in ("", "0", "no", "false", "none")

    def number(self, name: str) -> int | None:
        """Return None where the parameter is missing. Raises Problem."""
        text = self.text(name).strip()
        if not text:
            return None
        try:
            return reading.number(text)
        except ValueError as error:
            raise Problem(400, f'strconv.Atoi: parsing "{text}": {error}') from None

    def document(self, name: str) -> Any:
        """Return a parameter that is JSON; None where it is missing or empty. Raises Problem."""
        text = self.text(name)
        if not text:
            return None
        try:
            return reading.document(text)
        except (ValueError, RecursionError):
            raise Problem(400, f"invalid {name}: it must be JSON") from None


class Call:
    """A request, with everything that answers it.

    An endpoint returns ``(status, document)``, or answers by itself through `answer`, `begin` or `take_over`.
    """

    def __init__(
        self,
        world: World,
        wire: Wire,
        http: h11.Connection,
        request: h11.Request,
        *,
        path: str,
        query: str,
        version: tuple[int, int],
        body: bytes = b"",
    ) -> None:
        self.world, self.wire, self.version = world, wire, version
        self.method, self.path = request.method.decode(), path
        self.query = Query(query)
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers
        }
        self.parameters: Mapping[str, str] = {}
        """What the parts of the path that have a name are."""
        self.body = body
        self.common: list[tuple[str, str]] = []
        """Headers of every answer."""
        self.is_answered = self.is_taken = False
        self.status = 0
        self._http, self._request = http, request

    # -------------------------------------------------------------- what was asked

    def document(self) -> dict[str, Any]:
        """Return the body, a JSON object; an empty one where there is no body. Raises Problem."""
        if not self.body.strip():
            return {}
        kind = self.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if kind not in (JSON, "text/plain", ""):
            raise Problem(400, f"unsupported Content-Type header ({kind}): must be 'application/json'")
        try:
            found = reading.document(self.body)
        except (ValueError, RecursionError) as error:
            raise Problem(400, f"invalid JSON: {error}") from None
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise Problem(400, f"invalid JSON: an object is expected, not {type(found).__name__}")
        return found

    def upload(self) -> Iterator[bytes]:
        """Yield a body as it comes, of a route that takes one of any length. Raises Problem where it breaks off."""
        if self.body:
            yield self.body
        if self._http.they_are_waiting_for_100_continue:
            self.wire.send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        while True:
            event = self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, (h11.EndOfMessage, h11.PAUSED)):
                return
            else:
                raise Problem(400, "unexpected end of the request's body")

    def pass_over_rest(self) -> bool:
        """Read the end of a body that nobody wanted, such as what is behind the end of an archive.

        Return False where more than a little of it is missing: then the connection is of no more use.
        """
        if self._http.their_state is not h11.SEND_BODY:
            return self._http.their_state in (h11.DONE, _SWITCHING)
        if self._http.they_are_waiting_for_100_continue:
            return False
        left = _REST_BYTES
        try:
            while left > 0:
                event = self._next_event(_REST_PATIENCE_S)
                if not isinstance(event, h11.Data):
                    return isinstance(event, h11.EndOfMessage)
                left -= len(event.data)
        except (Problem, Gone):
            return False
        return False

    def _next_event(self, patience_s: float = _BODY_PATIENCE_S) -> Any:
        try:
            while True:
                if self._http.their_state in (h11.DONE, _SWITCHING):
                    return h11.EndOfMessage()
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._http.receive_data(self.wire.receive(patience_s))
        except h11.RemoteProtocolError as error:
            raise Problem(400, f"invalid body of the request: {error}") from None
        except TimeoutError:
            raise Problem(408, f"nothing of the request's body came for {_BODY_PATIENCE_S:g} s") from None

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.headers.get("connection", "").lower() and "upgrade" in self.headers

    # -------------------------------------------------------------- answered

    def answer(self, status: int, document: Any = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer with a JSON document, or with nothing."""
        if document is None and status in (204, 304):
            self.send_whole(status, b"", "", headers)
        elif document is None:
            self.send_whole(status, b"", JSON if status >= 400 else "", headers)
        else:
            document = None if document is NULL else document
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
            data = text.encode("utf-8", "surrogatepass") + b"\n"
            self.send_whole(status, data, JSON, headers)

    def send_whole(
        self, status: int, data: bytes, kind: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.is_answered, self.status = True, status
        listed = [*self.common, *headers]
        if not self.pass_over_rest():
            listed.append(("Connection", "close"))  # or the client sends its next request here
        if kind:
            listed.append(("Content-Type", kind))
        if status not in (204, 304):
            listed.append(("Content-Length", str(len(data))))
        self._send_head(status, listed)
        if self.method != "HEAD" and data and status not in (204, 304):
            self.wire.send(self._http.send(h11.Data(data=data)) or b"")
        self.wire.send(self._http.send(h11.EndOfMessage()) or b"")

    def _send_head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        response = h11.Response(status_code=status, headers=list(headers), reason=_REASONS.get(status, b""))
        self.wire.send(self._http.send(response) or b"")

    def begin(self, status: int, kind: str, headers: Iterable[tuple[str, str]] = ()) -> Sink:
        """Send the head at once; the body follows, piece by piece, through what is returned."""
        self.is_answered, self.status = True, status
        listed = [*self.common, *headers, ("Content-Type", kind), ("Transfer-Encoding", "chunked")]
        self._send_head(status, listed)
        return Sink(self.wire, self._http, silent=self.method == "HEAD")

    def take_over(self, kind: str) -> Wire:
        """Answer, and hand the connection over: from now on it is no HTTP any more."""
        self.is_answered = self.is_taken = True
        if self.wants_upgrade:
            protocol = self.headers["upgrade"]
            self.status = 101
            lines = [
                "HTTP/1.1 101 UPGRADED",
                f"Content-Type: {kind}",
                "Connection: Upgrade",
                f"Upgrade: {protocol}",
            ]
        else:
            self.status = 200
            # the content type of frames is for clients that upgrade
            lines = ["HTTP/1.1 200 OK", f"Content-Type: {STREAM}"]
        lines += [f"{name}: {value}" for name, value in self.common]
        self.wire.send("\r\n".join((*lines, "", "")).encode())
        # docker-py reads the head through a buffer that it then passes by: what comes with the head is lost to it
        self.wire.await_reading()
        return self.wire

    def rest(self) -> bytes:
        """Return what came behind the request already; for whoever takes the connection over."""
        return bytes(self._http.trailing_data[0])


class Sink:
    """The body of an answer that comes piece by piece."""

    def __init__(self, wire: Wire, http: h11.Connection, *, silent: bool = False) -> None:
        self._wire, self._http, self._silent = wire, http, silent

    def write(self, data: bytes) -> None:
        """Send a piece. Raises Gone."""
        if data and not self._silent:
            self._wire.send(self._http.send(h11.Data(data=data)) or b"")

    def write_line(self, document: Any) -> None:
        """Send a JSON document and the end of its line."""
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        self.write(text.encode("utf-8", "surrogatepass") + b"\r\n")

    def is_gone(self) -> bool:
        return self._wire.is_gone()

    def end(self) -> None:
        self._wire.send(self._http.send(h11.EndOfMessage()) or b"")


__all__ = ["FRAMES", "JSON", "NULL", "STREAM", "TAR", "Call", "Gone", "Problem", "Query", "Sink"]
