"""A registry for tests: Debian's docker-registry on loopback, images pushed to it, and a proxy that misbehaves.

The proxy stands between the code under test and the registry. Rules say to which requests what is done; whatever no
rule names passes unchanged. It keeps a list of what was asked for, with the headers.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


USER, PASSWORD = "ann", "secret"
_BCRYPT = (
    "$2b$04$.j5b35MfN49OyTUwyIN/7eojabsYDzSh2uiIRxDyMnj7fGcFZsS1C"  # of PASSWORD, as htpasswd -B writes it
)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def registry(directory: pathlib.Path, *, password: bool = False, certificate: str = "") -> Iterator[str]:
    """Run docker-registry with its data in a directory; yield its ``host:port``.

    With ``password`` it wants the login `USER` with `PASSWORD`; ``certificate`` is a file with key and certificate,
    with which it speaks TLS.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "registry.json"
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "error", "accesslog": {"disabled": True}},
                "storage": {
                    "filesystem": {"rootdirectory": str(directory / "data")},
                    "delete": {"enabled": True},
                },
                "http": {
                    "addr": f"127.0.0.1:{port}",
                    **({"tls": {"certificate": certificate, "key": certificate}} if certificate else {}),
                },
                **({"auth": _auth(directory)} if password else {}),
            }
        )
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _auth(directory: pathlib.Path) -> dict[str, Any]:
    (directory / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
    return {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}


# ------------------------------------------------------------------ pushing


class Pushed(NamedTuple):
    """What was pushed: the digests of manifest and configuration, and of the layers' blobs."""

    digest: str
    id: str
    layers: tuple[str, ...]


def push_blob(host: str, name: str, data: bytes) -> str:
    digest = sha256(data)
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", f"/v2/{name}/blobs/uploads/")
    response = connection.getresponse()
    response.read()
    where = urlsplit(response.headers["Location"])
    connection.request(
        "PUT",
        f"{where.path}?{where.query}&digest={digest}",
        body=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    response = connection.getresponse()
    response.read()
    assert response.status == 201, response.status
    connection.close()
    return digest


def push_manifest(host: str, name: str, tag: str, manifest: dict[str, Any]) -> str:
    data = json.dumps(manifest).encode()
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(
        "PUT", f"/v2/{name}/manifests/{tag}", body=data, headers={"Content-Type": manifest["mediaType"]}
    )
    response = connection.getresponse()
    body = response.read()
    assert response.status == 201, body
    connection.close()
    return sha256(data)


def push(
    host: str,
    name: str,
    tag: str,
    layers: Sequence[bytes],
    *,
    compress: Callable[[bytes], bytes] = lambda data: gzip.compress(data, 1, mtime=0),
    media_type: str = MANIFEST,
    architecture: str = ARCHITECTURE,
    **config: Any,
) -> Pushed:
    """Push an image of these tar archives."""
    whole = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
    ).encode()
    blobs = [compress(layer) for layer in layers]
    descriptors = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": push_blob(host, name, blob),
            "size": len(blob),
        }
        for blob in blobs
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": push_blob(host, name, whole),
            "size": len(whole),
        },
        "layers": descriptors,
    }
    digest = push_manifest(host, name, tag, manifest)
    return Pushed(digest, sha256(whole), tuple(str(d["digest"]) for d in descriptors))


def push_index(
    host: str, name: str, tag: str, entries: Sequence[tuple[Pushed, dict[str, str] | None]]
) -> str:
    """Push an index of images of the same repository, each with its platform."""
    manifests = []
    for pushed, platform in entries:
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", f"/v2/{name}/manifests/{pushed.digest}", headers={"Accept": MANIFEST})
        size = len(connection.getresponse().read())
        connection.close()
        entry = {"mediaType": MANIFEST, "digest": pushed.digest, "size": size}
        manifests.append({**entry, "platform": platform} if platform is not None else entry)
    return push_manifest(host, name, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})


# ------------------------------------------------------------------ misbehaving


class Asked(NamedTuple):
    """A request that reached the proxy. ``headers`` are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Rule:
    """What to do to requests whose ``METHOD path`` matches; ``times`` 0 is for ever.

    One that is ``early`` acts before the request's body has been read.
    """

    def __init__(
        self, pattern: str, action: Callable[[Handler], None], times: int = 1, *, early: bool = False
    ) -> None:
        self.pattern, self.action, self.left = re.compile(pattern), action, times or -1
        self.early = early


class Proxy:
    """An HTTP server in front of a registry. ``login`` is none, ``basic`` or ``bearer``."""

    def __init__(self, upstream: str = "", certificate: str = "") -> None:
        """``certificate`` is a file with key and certificate: then TLS is spoken."""
        self.upstream = upstream
        self.rules: list[Rule] = []
        self.asked: list[Asked] = []
        self.login = ""
        self.users = {"me": "secret"}
        self.identity_token = "identity"
        self.realm = ""
        self.token_life_s = 300
        self.tokens: set[str] = set()
        self.lock = threading.Lock()
        proxy = self

        class Bound(Handler):
            owner = proxy

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        if certificate:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(
        self, pattern: str, action: Callable[[Handler], None], times: int = 1, *, early: bool = False
    ) -> None:
        self.rules.append(Rule(pattern, action, times, early=early))

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, f"{asked.method} {asked.path}") is not None for asked in self.asked)

    def rule_for(self, request: str, *, early: bool = False) -> Rule | None:
        with self.lock:
            for rule in self.rules:
                if rule.left and rule.early == early and rule.pattern.search(request):
                    rule.left -= 1
                    return rule
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection. Actions of rules get it, and answer, or `forward` with changes."""

    owner: Proxy
    sent: bytes
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        first = self.owner.rule_for(f"{self.command} {self.path}", early=True)
        try:
            self.sent = b"" if first is not None else self._sent()
        except OSError:
            self.close_connection = True
            return
        asked = Asked(self.command, self.path, headers, self.sent)
        with self.owner.lock:
            self.owner.asked.append(asked)
        try:
            if first is not None:
                first.action(self)
                return
            rule = self.owner.rule_for(f"{self.command} {self.path}")
            if rule is not None:
                rule.action(self)
            elif self.path.startswith("/token"):
                self._token(asked)
            elif self.owner.login and not self._is_allowed(headers.get("authorization", "")):
                self._challenge()
            else:
                self.forward()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = do_GET

    def _sent(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    # -------------------------------------------------------------- logins

    def _is_allowed(self, authorization: str) -> bool:
        kind, _, value = authorization.partition(" ")
        if self.owner.login == "basic":
            return kind == "Basic" and self._is_user(value)
        return kind == "Bearer" and value in self.owner.tokens

    def _is_user(self, encoded: str) -> bool:
        name, _, password = base64.b64decode(encoded).decode().partition(":")
        return self.owner.users.get(name) == password

    def _challenge(self) -> None:
        owner = self.owner
        realm = owner.realm or f"http://{owner.host}/token"
        scope = re.sub(r"^/v2/(.*)/(manifests|blobs)/.*", r"repository:\1:pull", self.path)
        value = (
            'Basic realm="here"'
            if owner.login == "basic"
            else f'Bearer realm="{realm}",service="a, b",scope="{scope}"'
        )
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        self.answer(401, body, {"WWW-Authenticate": value})

    def _token(self, asked: Asked) -> None:
        owner = self.owner
        if asked.method == "POST":
            form = parse_qs(asked.body.decode())
            is_known = form.get("refresh_token") == [owner.identity_token]
        else:
            kind, _, value = asked.headers.get("authorization", "").partition(" ")
            is_known = kind == "Basic" and self._is_user(value)
        if not is_known:
            self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"incorrect login"}]}')
            return
        token = os.urandom(8).hex()
        with owner.lock:
            owner.tokens.add(token)
        self.answer(200, json.dumps({"token": token, "expires_in": owner.token_life_s}).encode())

    # -------------------------------------------------------------- answers

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self, change: Callable[[Handler, bytes], None] | None = None, *, ranges: bool = True) -> None:
        """Pass the request on and the answer back; ``change`` sends a good answer's body in its own way."""
        connection = http.client.HTTPConnection(self.owner.upstream, timeout=60)
        wanted = {"accept", "content-type", "content-range", *(("range",) if ranges else ())}
        sent = {key: value for key, value in self.headers.items() if key.lower() in wanted}
        path = urlsplit(self.path).path if self.path.startswith("http") else self.path
        if self.command not in ("GET", "HEAD"):
            sent["Content-Length"] = str(len(self.sent))
        if "/uploads/" in path:
            sent["Host"] = self.owner.host  # where an upload is opened leads through here again
        try:
            connection.request(
                self.command, path, body=self.sent or None, headers={**sent, "Connection": "close"}
            )
            with connection.getresponse() as response:
                body = response.read()
        finally:
            connection.close()
        self.send_response(response.status)
        for key, value in response.getheaders():
            if key.lower() not in ("date", "server", "connection"):
                self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if change is not None and response.status in (200, 206):
            change(self, body)
        else:
            self.wfile.write(body)

    def tunnel(self, host: str) -> None:
        """Answer CONNECT: pass bytes between the client and ``host``, until one of them ends."""
        name, _, port = host.rpartition(":")
        with socket.create_connection((name, int(port)), timeout=30) as there:
            self.send_response(200)
            self.end_headers()
            here = self.connection
            while True:
                ready, _, _ = select.select([here, there], [], [], 30)
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        self.close_connection = True
                        return
                    (there if source is here else here).sendall(data)
                if not ready:
                    self.close_connection = True
                    return

    def hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


def status(code: int, headers: dict[str, str] | None = None, message: str = "") -> Callable[[Handler], None]:
    body = json.dumps({"errors": [{"code": "X", "message": message}]}).encode() if message else b"oops"
    return lambda handler: handler.answer(code, body, headers)


def cut(after_bytes: int) -> Callable[[Handler], None]:
    """The connection ends in the middle of the body."""

    def send(handler: Handler, body: bytes) -> None:
        handler.wfile.write(body[:after_bytes])
        handler.hang_up()

    return lambda handler: handler.forward(send)


def flip(at: int) -> Callable[[Handler], None]:
    """One byte is wrong."""

    def send(handler: Handler, body: bytes) -> None:
        place = at % len(body)
        handler.wfile.write(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])

    return lambda handler: handler.forward(send)


def slow(pause_s: float, piece_bytes: int = 1 << 16) -> Callable[[Handler], None]:
    def send(handler: Handler, body: bytes) -> None:
        for start in range(0, len(body), piece_bytes):
            handler.wfile.write(body[start : start + piece_bytes])
            time.sleep(pause_s)

    return lambda handler: handler.forward(send)


def silence(seconds: float) -> Callable[[Handler], None]:
    """Half of the body, and then nothing for a while."""

    def send(handler: Handler, body: bytes) -> None:
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.hang_up()

    return lambda handler: handler.forward(send)


def without_ranges(handler: Handler) -> None:
    handler.forward(ranges=False)


def redirect(base: str, code: int = 307) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, b"elsewhere", {"Location": f"{base}{handler.path}"})


def refuse_connection(handler: Handler) -> None:
    """Hang up without a word."""
    handler.hang_up()
