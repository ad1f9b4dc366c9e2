"""Hostile requests for `tests.fuzz.api`: damaged HTTP, bodies of wrong types, filters, archives. All from one seed."""

from __future__ import annotations

import io
import json
import random
import tarfile
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel

from composer.api.models import containers, execs, networks, volumes

VERSIONS = ("", "/v1.51", "/v1.40", "/v1.47", "/v1.99", "/v0.1", "/v1", "/v99999999.1", "/v1.44/v1.44")
IMAGE = "fuzzed:1"
NAMES = ("still", "runs")
_TEXTS = (
    "", "\0", "a\0b", "\ud800", "\udcff", "..", "../..", "../../etc/passwd", "/etc/passwd", "/", "//", ".", "-", "--",
    "x" * 300, "x" * 5000, "ä", "\u202e", "%00", "%2e%2e", "{{.}}", "$(id)", "`id`", "\r\nX: y", "a\nb", "\x1b[2J",
    "-1", "0", "1", "1e999", "9" * 25, "9" * 5000, "0x10", "NaN", "null", "true", " ", "a b", "a=b", "=", "a:b:c", ":",
    "a,b", "bridge", "host", "none", "default", "container:still", "container:", "container:nobody", "always",
    "on-failure", "80/tcp", "80", "80-90/udp", "1-65535/tcp", "0/tcp", "70000/tcp", "80/sctp", "0.0.0.0/0",
    "10.0.0.0/8",
    "10.99.1.0/24", "10.99.1.5", "fe80::1", "::/0", "02:42:ac:11:00:02", "SIGTERM", "SIG", "9", "99", "ctrl-p,ctrl-q",
    "ctrl-", "linux/amd64", "linux/arm64/v8", "a/b/c/d", "no-new-privileges", "seccomp=unconfined", "seccomp={",
    "CAP_SYS_ADMIN", "ALL", "net.ipv4.ip_forward", "kernel.shmmax", "still", "runs", IMAGE, "sha256:" + "0" * 64,
    "f" * 64, "a" * 12, "local", "json-file", "nofile", "/dev/null", "/tmp:/tmp", "vol:/data:ro", "rwm", "0-9999",
    "private", "shareable", "1000:1000", "root", "0:99999999999", "json", "{}", "[]", "2026-01-01T00:00:00Z", "10m",
    "1700000000.999999999999", "-10h", "9" * 400 + "h", "running", "healthy", "dangling", "label", "unix:///tmp/x",
)  # fmt: skip
_NUMBERS = (
    0, 1, -1, 2, 100, 1000, 65535, 65536, 1 << 20, 6 << 20, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 32, (1 << 63) - 1,
    1 << 63, -(1 << 63), 1 << 64, 10**30, -(10**30), 10**300,
)  # fmt: skip
_EXPRESSIONS = (
    "(a+)+$", "(a|a)*b", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1000}{1000}", "((((((((((a*)*)*)*)*)*)*)*)*)*",
    "(?:" * 500, "[", "(?P<n>a)(?P=n)", "\\1", "(?=a)", "(?<=a)b", "x{99999999}", "[a-\\d]", "\\", "(?i)STILL",
    "^/?(s|t|i|l)+$", "(x+x+)+y", "(.+)+(.+)+(.+)+!", "[[:alpha:]]+", "\\pL", "a**", "(?#", ".{0,400}.{0,400}.{0,400}!",
)  # fmt: skip
_FILTERS = (
    "ancestor before expose exited health id is-task label label! name network publish since status volume dangling "
    "reference until driver scope type container event image daemon nonsense"
).split()
_QUERIES = (
    "all limit size filters follow stdout stderr timestamps tail since until t signal name condition h w detachKeys "
    "stream one-shot logs stdin path force v link repo tag comment author pause changes fromImage fromSrc platform "
    "message noprune noOverwriteDirNonDir copyUIDGID manifests digests shared-size names quiet verbose type scope "
    "dockerfile q nocache rm remote buildargs labels target cpusetcpus memory shmsize networkmode extrahosts "
    "version outputs"
).split()


class Asked(NamedTuple):
    """What is sent, in pieces; and what may come back: ``streams`` has no end of its own."""

    pieces: tuple[bytes, ...]
    streams: bool = False
    half_closes: bool = True
    secure: bool = False


def requests(dice: random.Random) -> Asked:
    """Return one request, of a family by chance."""
    families: tuple[Callable[[random.Random], Asked], ...] = (
        _damaged, _damaged, _damaged, _body, _body, _body, _query, _query, _listing, _listing, _upload, _path, _stream,
        _smuggled, _through_tls,
    )  # fmt: skip
    return dice.choice(families)(dice)


# ------------------------------------------------------------------ pieces of requests


def text(dice: random.Random) -> str:
    chosen = dice.choice(_TEXTS)
    return chosen + dice.choice(_TEXTS) if dice.random() < 0.1 else chosen


def written(method: str, target: str, body: bytes | None = None, *more: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: docker", *more]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b"")


def _quoted(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def _query_text(dice: random.Random) -> str:
    pairs = []
    for _ in range(dice.randrange(6)):
        name = dice.choice(_QUERIES)
        value = _filters(dice) if name == "filters" else _value_text(dice)
        pairs.append(f"{name}={value if dice.random() < 0.02 else _quoted(value)}".replace(" ", "+"))
    if dice.random() < 0.02:
        pairs += ["a=b"] * 2000
    return "&".join(pair.encode("ascii", "ignore").decode() for pair in pairs if pair.isprintable())


def _value_text(dice: random.Random) -> str:
    return str(dice.choice(_NUMBERS)) if dice.random() < 0.3 else text(dice)


def _filters(dice: random.Random) -> str:
    found: dict[str, Any] = {}
    for _ in range(dice.randrange(1, 4)):
        values: Any = [dice.choice((*_EXPRESSIONS, text(dice))) for _ in range(dice.randrange(1, 3))]
        if dice.random() < 0.2:
            values = dict.fromkeys(values, dice.choice((True, False, None, 1, "x")))
        elif dice.random() < 0.1:
            values = _any(dice, 0)
        found[dice.choice(_FILTERS)] = values
    document = json.dumps(found)
    return document[: dice.randrange(len(document))] if dice.random() < 0.05 else document


def _container(dice: random.Random) -> str:
    return dice.choice(NAMES) if dice.random() < 0.7 else _quoted(text(dice)) or "x"


# ------------------------------------------------------------------ families


_PLAIN = (
    "GET /_ping", "HEAD /_ping", "GET /version", "GET /info", "GET /containers/json", "GET /images/json",
    "GET /networks",
    "GET /volumes", "GET /system/df", "GET /containers/still/json", f"GET /images/{IMAGE}/json",
    "POST /containers/prune",
    "POST /build/prune", "GET /nonsense", "POST /containers/create", "GET /containers/still/logs?stdout=1",
    "GET /containers/runs/top", "GET /containers/runs/stats?stream=0&one-shot=1", "GET /containers/still/export",
    "GET /containers/still/archive?path=/bin", "HEAD /containers/still/archive?path=/bin", "POST /auth",
    "PUT /containers/still/archive?path=/tmp", "POST /images/load", "GET /swarm", "DELETE /volumes/x", "POST /build",
)  # fmt: skip
_HEADERS = (
    "Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5, 5",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity",
    "Expect: 100-continue",
    "Expect: nonsense", "Connection: Upgrade", "Upgrade: tcp", "Upgrade: h2c", "Upgrade: websocket",
    "Connection: close",
    "Connection: keep-alive", "Host: other", "Host:", "X-Registry-Auth: %%%", "X-Registry-Auth: e30=",
    "Range: bytes=0-",
    "X-Registry-Config: W10=", "Content-Type: text/html", "Content-Type: ;", "Content-Encoding: gzip", " folded: x",
    "\tfolded", "A" * 3000 + ": b", "A: " + "b" * 60_000, "A\0B: c", "A: \0", "A: ä", ": x", "noname",
    "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13", "Trailer: X", "X-Requested: \x7f",
)  # fmt: skip


def _damaged(dice: random.Random) -> Asked:
    """Plain requests, with headers that do not belong together, and bytes that are other ones."""
    whole = b""
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        method, target = dice.choice(_PLAIN).split(" ", 1)
        method = dice.choice(
            (method, method, method, method, "PATCH", "get", "OPTIONS", "CONNECT", "A" * 300, "G\0T")
        )
        if dice.random() < 0.1:
            target = (
                dice.choice(
                    ("http://x", "http://x:1/_ping", "*", "x", "", "///", "?", "#", "http://", "//x/_ping")
                )
                + target
            )
        protocol = dice.choice(
            ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.9", "http/1.1", "HTTP/11")
        )
        headers = [dice.choice(_HEADERS) for _ in range(dice.choice((0, 1, 1, 2, 3, 30)))]
        if dice.random() < 0.03:
            headers += ["X: y"] * 5000
        end = dice.choice(("\r\n",) * 5 + ("\n", "\r", "\r\r\n"))
        head = end.join(
            [f"{method} {dice.choice(VERSIONS)}{target} {protocol}", "Host: docker", *headers, "", ""]
        )
        whole += head.encode("utf-8", "replace") + _chunks(dice)
    data = bytearray(whole)
    for _ in range(dice.choice((0, 0, 0, 1, 3, 10))):
        _hurt(data, dice)
    return _cut(bytes(data), dice)


def _chunks(dice: random.Random) -> bytes:
    return dice.choice(
        (
            b"", b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhell", b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"ffffffffffffffffff\r\n", b"-1\r\n\r\n", b"0\r\n", b"5\nhello\n0\n\n", b"+5\r\nhello\r\n0\r\n\r\n",
            b"1\r\nx\r\n" * 500 + b"0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"{}",
            b"[" * 9000,
            b"1" + b";x" * 40_000, b"\r\n" * 50, b"0\r\n" + b"A: b\r\n" * 9000,
        )
    )  # fmt: skip


def _hurt(data: bytearray, dice: random.Random) -> None:
    if not data:
        return
    at = dice.randrange(len(data))
    what = dice.randrange(4)
    if what == 0:
        data[at] = dice.randrange(256)
    elif what == 1:
        del data[at : at + dice.randrange(1, 20)]
    elif what == 2:
        data[at:at] = dice.choice((b"\0", b"\r\n", b"\r\n\r\n", b"%", b"%zz", b"\xff\xfe", b" ", b":", b"\t"))
    else:
        data[at:at] = data[at : at + dice.randrange(1, 100)]


def _cut(data: bytes, dice: random.Random) -> Asked:
    pieces, count = [], dice.choice((1, 1, 1, 2, 4))
    for _ in range(count - 1):
        at = dice.randrange(len(data) + 1)
        pieces.append(data[:at])
        data = data[at:]
    return Asked((*pieces, data), half_closes=dice.random() < 0.9)


def _smuggled(dice: random.Random) -> Asked:
    hidden = b"DELETE /containers/runs?force=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    size = len(hidden)
    ways = (
        f"Content-Length: {size}\r\nTransfer-Encoding: chunked",
        f"Content-Length: {size}\r\nContent-Length: 0",
        f"Transfer-Encoding: chunked\r\nContent-Length: {size}",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        f"Content_Length: 0\r\nContent-Length: {size}\r\nContent-Length : 0",
        f" Content-Length: {size}",
        f"Content-Length: +{size}",
    )
    head = f"POST /containers/still/kill HTTP/1.1\r\nHost: x\r\n{dice.choice(ways)}\r\n\r\n".encode()
    return _cut(head + dice.choice((b"", b"0\r\n\r\n")) + hidden, dice)


_BODIES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("POST /containers/create?name=made", containers.Create),
    ("POST /containers/create", containers.Create),
    ("POST /containers/still/update", containers.Update),
    ("POST /containers/runs/update", containers.Update),
    ("POST /containers/runs/exec", execs.Create),
    ("POST /networks/create", networks.Create),
    ("POST /networks/made/connect", networks.Connect),
    ("POST /networks/made/disconnect", networks.Disconnect),
    ("POST /volumes/create", volumes.Create),
    ("POST /commit?container=still&repo=made", containers.Config),
)


def _body(dice: random.Random) -> Asked:
    line, model = dice.choice(_BODIES)
    method, target = line.split()
    wildness = dice.choice((0.0, 0.02, 0.05, 0.2))
    document = value(model, dice, wildness, 0)
    if isinstance(document, dict) and "Image" in model.model_fields and dice.random() < 0.95:
        document["Image"] = IMAGE
    body = json.dumps(document).encode()
    kind = dice.random()
    if kind < 0.03:
        body = b'{"HostConfig":' * dice.choice((10, 900, 30_000))
    elif kind < 0.06:
        body = b'{"Labels":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    elif kind < 0.08:
        body = b'{"StopTimeout":' + b"1" * dice.choice((100, 5000, 100_000)) + b"}"
    elif kind < 0.10:
        body = body[:-1] + b',"Image":"' + IMAGE.encode() + b'","Image":5,"HostConfig":null,"HostConfig":[]}'
    elif kind < 0.13:
        hurt = bytearray(body)
        for _ in range(3):
            _hurt(hurt, dice)
        body = bytes(hurt)
    return Asked((written(method, f"/v1.51{target}", body),))


def value(annotation: Any, dice: random.Random, wildness: float, depth: int) -> Any:
    """Return a value of an annotation of the models; by chance one of any other kind."""
    if dice.random() < wildness or depth > 8:
        return _any(dice, depth)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return value(dice.choice(arguments), dice, wildness, depth + 1)
    if origin is list:
        return [value(arguments[0], dice, wildness, depth + 1) for _ in range(dice.randrange(3))]
    if origin is dict:
        return {text(dice): value(arguments[1], dice, wildness, depth + 1) for _ in range(dice.randrange(3))}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        share = dice.choice((0.05, 0.15, 0.5))
        return {
            name: value(field.annotation, dice, wildness, depth + 1)
            for name, field in annotation.model_fields.items()
            if dice.random() < share
        }
    plain: dict[Any, Callable[[], Any]] = {
        bool: lambda: dice.random() < 0.5,
        int: lambda: dice.choice(_NUMBERS),
        str: lambda: text(dice),
        type(None): lambda: None,
    }
    return plain.get(annotation, lambda: _any(dice, depth))()


def _any(dice: random.Random, depth: int) -> Any:
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: None,
        lambda: dice.random() < 0.5,
        lambda: dice.choice(_NUMBERS),
        lambda: dice.choice((1.5, -0.0, 1e308, float("nan"), float("inf"))),
        lambda: text(dice),
        lambda: [] if depth > 3 else [_any(dice, depth + 1) for _ in range(dice.randrange(4))],
        lambda: {} if depth > 3 else {text(dice): _any(dice, depth + 1) for _ in range(dice.randrange(4))},
    )
    return dice.choice(kinds)()


_LISTINGS = (
    "GET /containers/json", "GET /images/json", "GET /networks", "GET /volumes", "POST /networks/prune",
    "POST /volumes/prune", "POST /images/prune", "GET /events?until=1", "POST /build/prune",
)  # fmt: skip


def _listing(dice: random.Random) -> Asked:
    method, target = dice.choice(_LISTINGS).split()
    mark = "&" if "?" in target else "?all=1&"
    return Asked(
        (written(method, f"{dice.choice(VERSIONS)}{target}{mark}filters={_quoted(_filters(dice))}"),)
    )


_ASKED = (
    "GET /containers/{}/json", "GET /containers/{}/logs", "GET /containers/{}/top", "GET /containers/{}/changes",
    "GET /containers/{}/export", "HEAD /containers/{}/archive", "GET /containers/{}/archive",
    "PUT /containers/{}/archive",
    "POST /containers/{}/kill", "POST /containers/{}/rename", "POST /containers/{}/resize", "POST /containers/{}/stop",
    "POST /containers/{}/pause", "POST /containers/{}/unpause", "POST /containers/{}/start", "DELETE /containers/{}",
    "GET /exec/{}/json", "POST /exec/{}/start", "POST /exec/{}/resize", "GET /images/{}/json", "GET /images/{}/history",
    "GET /images/{}/get", "POST /images/{}/tag", "DELETE /images/{}", "GET /networks/{}", "DELETE /networks/{}",
    "GET /volumes/{}", "DELETE /volumes/{}", "GET /images/get", "POST /commit", "POST /images/create", "POST /build",
    "GET /containers/json", "GET /images/json", "GET /system/df", "POST /images/load", "GET /distribution/{}/json",
    "GET /plugins/{}/json", "POST /images/{}/push", "POST /build/prune", "POST /build/cancel", "GET /info",
)  # fmt: skip


def _query(dice: random.Random) -> Asked:
    method, target = dice.choice(_ASKED).split()
    body = json.dumps(_any(dice, 0)).encode() if method != "GET" and dice.random() < 0.5 else None
    query = _query_text(dice)
    name = _container(dice)
    if target.endswith("/push") or "/distribution" in target:
        name = dice.choice(_REGISTRIES)
    if "/logs" in target or "/stats" in target:
        query = query.replace("follow=", "unfollow=")
    if "/stop" in target:
        query += "&t=0"
    return Asked((written(method, f"{dice.choice(VERSIONS)}{target.format(name)}?{query}", body),))


_REGISTRIES = (
    "127.0.0.1:1%2Fx",
    "127.0.0.1:1/x",
    "still",
    "a/b/c/d",
    "..",
    "%00",
    "localhost:99999/x",
    "x:y:z",
    "%ff",
)
"""Registries that do not answer, at once: others would be waited for, as it should be."""


def _path(dice: random.Random) -> Asked:
    parts = ("containers", "images", "exec", "networks", "volumes", "..", ".", "%2e%2e", "%2f", "%00", "%", "%zz",
    "json",
             "%c3%28", "%ff", "", "still", "start", "x" * 3000, "archive", "%0d%0a",
             "%2e%2e%2f%2e%2e%2fetc%2fpasswd")  # fmt: skip
    target = "/" + "/".join(dice.choice(parts) for _ in range(dice.randrange(1, 6)))
    return Asked(
        (written(dice.choice(("GET", "POST", "DELETE", "PUT", "HEAD")), dice.choice(VERSIONS) + target),)
    )


_STREAMS = (
    "POST /containers/{}/attach?stream=1&stdout=1&stdin=1&stderr=1", "GET /containers/{}/logs?follow=1&stdout=1",
    "GET /events?", "GET /containers/{}/stats?stream=1", "POST /containers/{}/wait?",
    "GET /containers/{}/attach/ws?stream=1",
    "POST /containers/{}/wait?condition=next-exit", "POST /session?", "POST /grpc?",
)  # fmt: skip


def _stream(dice: random.Random) -> Asked:
    method, target = dice.choice(_STREAMS).split()
    more = []
    if dice.random() < 0.6:
        more = ["Connection: Upgrade", f"Upgrade: {dice.choice(('tcp', 'websocket', 'h2c', 'x' * 100))}"]
    if "/ws" in target:
        more += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    head = written(method, f"/v1.51{target.format(_container(dice))}", None, *more)
    noise = bytes(dice.randrange(256) for _ in range(dice.choice((0, 3, 50, 2000))))
    preface = dice.choice(
        (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x82\x85\0\0\0\0hello", b"\x8f\xff" + b"\xff" * 8)
    )
    return Asked((head, preface + noise), streams=True, half_closes=dice.random() < 0.5)


def _upload(dice: random.Random) -> Asked:
    line = dice.choice(
        (
            "PUT /containers/still/archive?path=/tmp", "PUT /containers/runs/archive?path=/tmp",
            "PUT /containers/runs/archive?path=/tmp/../../../..", "POST /images/load", "POST /build?dockerfile=a",
            "POST /images/create?fromSrc=-&repo=made&tag=1",
        )
    )  # fmt: skip
    method, target = line.split()
    data = archive(dice)
    if dice.random() < 0.3:
        hurt = bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            _hurt(hurt, dice)
        data = bytes(hurt)
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n"
    if dice.random() < 0.5:
        size = len(data) + dice.choice((0, 0, 0, 1000))
        return _cut(f"{head}Content-Length: {size}\r\n\r\n".encode() + data, dice)
    framed = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for at in range(0, len(data), 5000)
        if (part := data[at : at + 5000])
    )
    return _cut(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + framed + b"0\r\n\r\n", dice)


def archive(dice: random.Random) -> bytes:
    """Return an archive with members that should not be."""
    made = io.BytesIO()
    kinds = (
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        b"?",
    )
    names = ("a", "a/b", "../x", "/etc/fuzzed", "a/../../x", "tmp", ".", "..", "x" * 300, "a\nb", "manifest.json",
    "index.json",
             "oci-layout", "blobs/sha256/" + "0" * 64, "\udcff", "sym/x", "sym", ".wh.a", ".wh..wh..opq",
             "repositories")  # fmt: skip
    with tarfile.open(
        fileobj=made, mode="w", format=dice.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    ) as opened:
        for _ in range(dice.randrange(8)):
            member = tarfile.TarInfo(dice.choice(names))
            member.type = dice.choice(kinds)
            member.linkname = dice.choice((*names, "/", "/proc/self/root"))
            member.mode = dice.choice((0o644, 0o7777, 0, 0o777777))
            member.uid = dice.choice((0, 1, (1 << 21) - 1, 1 << 31))
            member.mtime = dice.choice((0, 1 << 31, 1 << 40))
            if dice.random() < 0.3:
                member.pax_headers = {
                    dice.choice(("path", "size", "SCHILY.xattr.user.x", "mtime")): text(dice).replace(
                        "\0", ""
                    )
                }
            data = dice.choice(
                (b"", b"x" * 1000, b"[]", b"{}", b'[{"Config":"a","Layers":["a"]}]', b"[" * 100_000)
            )
            if member.type == tarfile.REGTYPE:
                member.size = len(data)
            try:
                opened.addfile(member, io.BytesIO(data) if member.size else None)
            except (ValueError, UnicodeError):
                continue  # this format cannot say it
    return made.getvalue()[: dice.choice((1 << 30, 1 << 30, 700))]


def _through_tls(dice: random.Random) -> Asked:
    """What comes to the door with certificates: no handshake, half of one, a handshake's noise."""
    hello = bytes.fromhex("16030100c8010000c403035f") + bytes(dice.randrange(256) for _ in range(200))
    data = dice.choice(
        (
            b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
            hello,
            hello[: dice.randrange(200)],
            b"",
            b"\x15\x03\x01\0\2\2\x28",
        )
    )
    return Asked((data,), secure=True, half_closes=dice.random() < 0.7, streams=True)
