"""A registry in memory that takes nothing but what the specification says, and what goes wrong with uploads.

The registry resumes uploads and mounts blobs, which docker-registry does not do in all of its versions. What goes
wrong is actions for `tests.registries.Proxy`, which stands before either.
"""

from __future__ import annotations

import http.client
import http.server
import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.registries import Handler, sha256

_UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>[0-9]*)")
_BLOBS = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_MANIFESTS = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")


class Memory:
    """A registry. ``chunk_bytes`` is the least that a piece has, ``most_bytes`` the most that a request has."""

    def __init__(self, *, chunk_bytes: int = 0, most_bytes: int = 0) -> None:
        self.chunk_bytes, self.most_bytes = chunk_bytes, most_bytes
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.refused_types: set[str] = set()
        self.mounted: list[tuple[str, str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self._opened = 0
        memory = self

        class Bound(_Handler):
            owner = memory

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def open(self) -> str:
        with self.lock:
            self._opened += 1
            self.uploads[str(self._opened)] = bytearray()
            return str(self._opened)


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Memory
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.owner.asked.append((self.command, parts.path))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with suppress(ConnectionError):
            for pattern, answer in (
                (_UPLOADS, self._upload),
                (_BLOBS, self._blob),
                (_MANIFESTS, self._manifest),
            ):
                if match := pattern.fullmatch(parts.path):
                    answer({**query, **match.groupdict()})
                    return
            self._answer(200 if parts.path == "/v2/" else 404)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.close_connection = True  # the body may not have been read
        self._answer(status, None, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode())

    # -------------------------------------------------------------- uploads

    def _upload(self, asked: dict[str, str]) -> None:
        owner, name = self.owner, asked["name"]
        if self.command == "POST":
            source = owner.blobs.get(asked.get("from", ""), {})
            if asked.get("mount") in source:
                owner.blobs.setdefault(name, {})[asked["mount"]] = source[asked["mount"]]
                owner.mounted.append((asked["mount"], asked["from"], name))
                self._answer(201, {"Location": f"/v2/{name}/blobs/{asked['mount']}"})
                return
            extra = {"OCI-Chunk-Min-Length": str(owner.chunk_bytes)} if owner.chunk_bytes else {}
            self._answer(202, {"Location": f"/v2/{name}/blobs/uploads/{owner.open()}", **extra})
            return
        with owner.lock:
            data = owner.uploads.get(asked["id"])
        if data is None:
            self._refuse(404, "BLOB_UPLOAD_UNKNOWN")
        elif self.command == "DELETE":
            del owner.uploads[asked["id"]]
            self._answer(204)
        elif self.command == "GET":
            self._answer(204, self._state(asked, data))
        elif self._take(data):
            if self.command == "PATCH":
                self._answer(202, self._state(asked, data))
            else:
                self._complete(asked, bytes(data))

    def _state(self, asked: dict[str, str], data: bytearray) -> dict[str, str]:
        where = f"/v2/{asked['name']}/blobs/uploads/{asked['id']}"
        return {"Location": where, "Range": f"0-{max(len(data) - 1, 0)}"}

    def _take(self, data: bytearray) -> bool:
        """Add what is sent to an upload, also where it breaks off; tell whether it was right and whole."""
        length = int(self.headers["Content-Length"])
        found = self.headers.get("Content-Range")
        if self.owner.most_bytes and length > self.owner.most_bytes:
            self._refuse(413, "SIZE_INVALID")
            return False
        if found is not None:
            first, _, last = found.partition("-")
            if int(first) != len(data) or int(last) - int(first) + 1 != length:
                self._refuse(416, "BLOB_UPLOAD_INVALID")
                return False
        while length:
            piece = self.rfile.read1(min(length, 1 << 16))
            if not piece:
                self.close_connection = True
                return False
            data += piece
            length -= len(piece)
        return True

    def _complete(self, asked: dict[str, str], data: bytes) -> None:
        with self.owner.lock:
            self.owner.uploads.pop(asked["id"], None)
        if sha256(data) != asked["digest"]:
            self._refuse(400, "DIGEST_INVALID")
            return
        self.owner.blobs.setdefault(asked["name"], {})[asked["digest"]] = data
        self._answer(201, {"Docker-Content-Digest": asked["digest"]})

    # -------------------------------------------------------------- what is stored

    def _blob(self, asked: dict[str, str]) -> None:
        data = self.owner.blobs.get(asked["name"], {}).get(asked["digest"])
        if data is None:
            self._refuse(404, "BLOB_UNKNOWN")
        else:
            self._answer(200, None, data)

    def _manifest(self, asked: dict[str, str]) -> None:
        owner, key = self.owner, (asked["name"], asked["reference"])
        if self.command != "PUT":
            found = owner.manifests.get(key)
            if found is None:
                self._refuse(404, "MANIFEST_UNKNOWN")
            else:
                digest = sha256(found[1])
                self._answer(200, {"Content-Type": found[0], "Docker-Content-Digest": digest}, found[1])
            return
        data = self.rfile.read(int(self.headers["Content-Length"]))
        whole = json.loads(data)
        listed = [one["digest"] for one in whole.get("manifests", ())]
        named = [] if listed else [whole["config"]["digest"], *(layer["digest"] for layer in whole["layers"])]
        media_type = self.headers["Content-Type"]
        if media_type != whole["mediaType"] or media_type in owner.refused_types:
            self._refuse(400, "MANIFEST_INVALID")
        elif any(digest not in owner.blobs.get(key[0], {}) for digest in named) or any(
            (key[0], digest) not in owner.manifests for digest in listed
        ):
            self._refuse(404, "MANIFEST_BLOB_UNKNOWN")
        else:
            digest = sha256(data)
            for reference in (key[1], digest):
                owner.manifests[key[0], reference] = (media_type, data)
            self._answer(201, {"Docker-Content-Digest": digest})


# ------------------------------------------------------------------ what goes wrong


def broken_off(at: float) -> Callable[[Handler], None]:
    """The connection ends after a part of the body, which the registry has got; for an early rule."""

    def act(handler: Handler) -> None:
        length = int(handler.headers["Content-Length"])
        part = handler.rfile.read(int(length * at))
        upstream = http.client.HTTPConnection(handler.owner.upstream, timeout=60)
        upstream.putrequest(handler.command, handler.path)
        for key in ("Content-Type", "Content-Range", "Content-Length"):
            if key in handler.headers:
                upstream.putheader(key, handler.headers[key])
        upstream.endheaders(part)
        assert upstream.sock is not None
        upstream.sock.shutdown(socket.SHUT_WR)
        with suppress(OSError, http.client.HTTPException):
            upstream.getresponse().read()  # so that all of it has arrived before the client asks
        upstream.close()
        handler.hang_up()

    return act


def unread(status: int, **headers: str) -> Callable[[Handler], None]:
    """An answer that does not wait for the body; for an early rule."""

    def act(handler: Handler) -> None:
        handler.close_connection = True
        handler.answer(status, b"oops", {key.replace("_", "-"): value for key, value in headers.items()})

    return act


def unanswered(handler: Handler) -> None:
    """The registry does what it is asked, and nobody hears of it."""
    upstream = http.client.HTTPConnection(handler.owner.upstream, timeout=60)
    sent = {key: handler.headers[key] for key in ("Content-Type", "Content-Range") if key in handler.headers}
    upstream.request(handler.command, handler.path, body=handler.sent or None, headers=sent)
    upstream.getresponse().read()
    upstream.close()
    handler.hang_up()


def damaged(handler: Handler) -> None:
    """A byte is another one on the way."""
    middle = len(handler.sent) // 2
    handler.sent = handler.sent[:middle] + bytes([handler.sent[middle] ^ 1]) + handler.sent[middle + 1 :]
    handler.forward()


def located(where: str) -> Callable[[Handler], None]:
    """An upload is opened somewhere else; nowhere, where nothing is given."""
    return lambda handler: handler.answer(202, b"", {"Location": where} if where else {})


def expired(handler: Handler) -> None:
    """Every token is as old as it can be."""
    with handler.owner.lock:
        handler.owner.tokens.clear()
    handler._challenge()


def said(status: int, code: str, **headers: str) -> Callable[[Handler], None]:
    """An answer with an error of the specification."""
    body = json.dumps({"errors": [{"code": code, "message": f"it is {code.lower()}"}]}).encode()
    return lambda handler: handler.answer(
        status, body, {key.replace("_", "-"): value for key, value in headers.items()}
    )


def with_digest(digest: str) -> Callable[[Handler], None]:
    """It is stored, they say, as something else."""
    return lambda handler: handler.answer(201, b"", {"Docker-Content-Digest": digest})
