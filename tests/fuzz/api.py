"""Fuzzing of `composer serve` from outside: hostile clients at its sockets (``make fuzz-api SECONDS=1200 SEED=7``).

    python -m tests.fuzz.api SECONDS [SEED [DIRECTORY]]    as root, best below tests.apart; findings stay in DIRECTORY
    python -m tests.fuzz.api --replay FILE                 send one finding, show the answer and the server's log

A server with little memory (``prlimit --as``) is asked by four clients at once. Findings are a traceback in an answer
or in the log, a status 500 that is the server's own fault, an answer that is no HTTP, no answer within twenty seconds,
a server that ends or does not answer a ping, and descriptors, threads or memory that do not come back when nobody is
there.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import random
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.api_client import Client
from tests.api_images import imported
from tests.fuzz.api_requests import IMAGE, Asked, requests

_CLIENTS = 4
_ANSWER_S = 20.0
_PING_S = 10.0
_STREAM_S = 0.3
_ADDRESS_SPACE = 2 << 30
_CALM_S = 40.0
"""After this time without clients nothing of them is left: threads that wait for work end after half a minute."""
_MOST_MB_MORE = 16
_ROUND = 400
"""So many requests of a client, then what they have made is removed."""
_PORT = 23760


class Counts(NamedTuple):
    descriptors: int
    threads: int
    memory_mb: int
    kinds: dict[str, int]
    """Descriptors by what they are of."""


class Finding(Exception):
    """What the server should not have done."""


class Server:
    """``composer serve`` with a Unix socket and a TLS port, and little memory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path, self.log_path = directory / "s", directory / "server.log"
        words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        words += " -addext subjectAltName=IP:127.0.0.1"
        files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
        subprocess.run([*words.split(), *files], check=True, capture_output=True)
        certificate, key = str(directory / "cert.pem"), str(directory / "key.pem")
        self.certificate = (certificate, key)
        arguments = ["--socket", str(self.path), "--tcp", f"127.0.0.1:{_PORT}"]
        arguments += ["--tls-ca", certificate, "--tls-cert", certificate, "--tls-key", key]
        environment = {**os.environ, "COMPOSER_ROOT": str(directory / "state"), "HOME": str(directory)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "composer", "serve", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        resource.prlimit(self.process.pid, resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        self.client = Client(self.path, timeout_s=60)
        deadline = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Finding(f"the server does not answer: {self.log()[-3000:]}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return Client(self.path, timeout_s=_PING_S).ask("GET", "/_ping").status == 200
        except OSError:
            return False

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def prepare(self) -> None:
        """Have an image, a container that runs, and one that does not."""
        name, _, tag = IMAGE.partition(":")
        imported(self.client, name, tag)
        for name in ("still", "runs"):
            body = {"Image": IMAGE, "Cmd": ["/bin/sh", "-c", "sleep 1000"], "OpenStdin": True}
            self.client.ask("POST", "/containers/create", {"name": name}, body=body, status=(201, 409))
        self.client.ask("POST", "/containers/runs/start", status=(204, 304))

    def clear(self) -> None:
        for one in self.client.get("/containers/json", {"all": 1}):
            self.client.ask("DELETE", f"/containers/{one['Id']}", {"force": 1, "v": 1})
        for one in self.client.get("/networks", {"filters": {"type": ["custom"]}}):
            self.client.ask("DELETE", f"/networks/{one['Id']}")
        self.client.ask("POST", "/volumes/prune", {"filters": {"all": ["1"]}})
        self.client.ask("POST", "/images/prune", {"filters": {"dangling": ["0"]}})

    def counts(self) -> Counts:
        here = pathlib.Path(f"/proc/{self.process.pid}")
        status = (here / "status").read_text()
        memory = re.search(r"VmRSS:\s+(\d+)", status)
        assert memory is not None
        threads = len(os.listdir(here / "task"))
        descriptors = list((here / "fd").iterdir())
        kinds = Counter(re.sub(r"\d+|[0-9a-f]{12,}", "N", os.readlink(one)) for one in descriptors)
        return Counts(len(descriptors), threads, int(memory[1]) >> 10, dict(kinds))

    def stop(self) -> float:
        """End the server as systemd does; return how long that took."""
        began_s = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began_s


# ------------------------------------------------------------------ one request


def send(server: Server, asked: Asked) -> bytes:
    """Send a request and return what comes. Raises Finding."""
    connection = _connect(server, asked)
    if connection is None:
        return b""
    with connection:
        try:
            for piece in asked.pieces:
                connection.sendall(piece)
            if asked.half_closes:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before the end of it: the answer says why
        return _received(connection, asked)


def _connect(server: Server, asked: Asked) -> socket.socket | None:
    if asked.secure:
        connection = socket.create_connection(("127.0.0.1", _PORT), timeout=_ANSWER_S)
        if asked.pieces[0].startswith(b"GET"):
            context = ssl.create_default_context(cafile=server.certificate[0])
            if asked.half_closes:
                context.load_cert_chain(*server.certificate)
            try:
                return context.wrap_socket(connection, server_hostname="127.0.0.1")
            except (OSError, ssl.SSLError):
                connection.close()
                return None
        return connection
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(_ANSWER_S)
    try:
        made.connect(str(server.path))
    except OSError as error:
        made.close()
        raise Finding(f"nobody answers at the socket: {error}") from None
    return made


def _received(connection: socket.socket, asked: Asked) -> bytes:
    ends = asked.half_closes and not asked.streams
    connection.settimeout(_ANSWER_S if ends else _STREAM_S)
    found = b""
    try:
        while piece := connection.recv(1 << 16):
            found = (found + piece)[: 1 << 18]
    except TimeoutError:
        if ends:
            raise Finding(f"no end of the answer within {_ANSWER_S:g} s; so far {found[:200]!r}") from None
    except (OSError, ssl.SSLError):
        return found  # it was reset: the request was not read to its end
    return found


_HEAD = re.compile(rb"HTTP/1\.1 [1-5]\d\d [^\r\n]*\r\n(?:[!-9;-~]+:[^\r\n\0]*\r\n)*\r\n")
_FAULT = re.compile(rb"the server failed[^}]{0,300}|internal error[^}]{0,300}|Traceback \(most recent")


def check(asked: Asked, answer: bytes) -> None:
    """Raise Finding where an answer is none, or tells of a fault of ours."""
    if not answer or asked.secure:
        return
    if not _HEAD.match(answer):
        raise Finding(f"no HTTP: {answer[:200]!r}")
    fault = _FAULT.search(answer)
    if fault is not None:
        raise Finding(f"a fault in the answer: {fault[0][:300]!r}")


# ------------------------------------------------------------------ the run


class Run:
    """Clients at work, and what they have found."""

    def __init__(self, server: Server, directory: pathlib.Path, seed: int) -> None:
        self.server, self.directory, self.seed = server, directory, seed
        self.found: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        """What answers with status 500 say, which Docker gives for some requests too: to be read."""
        self.slowest_ping_s = 0.0
        self._lock = threading.Lock()
        self._stops = False

    def run(self, seconds: float, part: str) -> None:
        deadline = time.monotonic() + seconds
        clients = [
            threading.Thread(target=self._ask, args=(random.Random(f"{self.seed} {part} {n}"), deadline))
            for n in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients):
            began_s = time.monotonic()
            if not self.server.answers():
                self._note(f"no answer to a ping within {_PING_S:g} s", None)
                self._stops = self.server.process.poll() is not None
            self.slowest_ping_s = max(self.slowest_ping_s, time.monotonic() - began_s)
            time.sleep(0.5)
        for client in clients:
            client.join()

    def _ask(self, dice: random.Random, deadline: float) -> None:
        count = 0
        while time.monotonic() < deadline and not self._stops:
            asked = requests(dice)
            answer = b""
            try:
                answer = send(self.server, asked)
                check(asked, answer)
            except Finding as finding:
                self._note(str(finding), asked)
            with self._lock:
                if answer.startswith(b"HTTP/1.1 500"):
                    self.refusals[_plain(answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"))] += 1
                self.statuses[answer[9:12].decode("latin-1") if answer.startswith(b"HTTP") else "none"] += 1
            count += 1
            if count % _ROUND == 0:
                self._renew()

    def _renew(self) -> None:
        with self._lock:
            try:
                self.server.clear()
                self.server.prepare()
            except (OSError, AssertionError) as error:
                self.found[f"objects cannot be removed and made again: {error}"[:300]] += 1

    def _note(self, text: str, asked: Asked | None) -> None:
        place = _plain(text)
        with self._lock:
            self.found[place] += 1
            if self.found[place] == 1 and asked is not None:
                name = hashlib.sha256(place.encode()).hexdigest()[:12]
                (self.directory / name).write_bytes(_SEPARATOR.join(asked.pieces))
                (self.directory / f"{name}.txt").write_text(f"{text}\n{asked._replace(pieces=())}\n")

    def take_log(self) -> None:
        """Count the tracebacks of the log by their last place."""
        for last in tracebacks(self.server.log()):
            self.found[f"a traceback in the log: {last}"] += 1


def _plain(text: str) -> str:
    return re.sub(r"[0-9a-f]{12,}|\d+", "N", text)[:200]


_SEPARATOR = b"\n#piece\n"
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:  .*\n)+(.*)")
_FRAME = re.compile(r'File "[^"]*?/(composer/[^"]*)", line (\d+)')


def tracebacks(log: str) -> Iterator[str]:
    for match in _TRACEBACK.finditer(log):
        frames = _FRAME.findall(match[0])
        yield f"{match[1][:200]} at {':'.join(frames[-1]) if frames else 'the start'}"


def _calm(server: Server) -> Counts:
    """Return what the server holds when nobody is there and nothing is left."""
    server.clear()
    time.sleep(_CALM_S)
    return server.counts()


def fuzz(seconds: float, seed: int, directory: pathlib.Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="composer-fuzz-") as work:
        server = Server(pathlib.Path(work))
        run = Run(server, directory, seed)
        try:
            server.prepare()
            run.run(seconds / 4, "first")
            before = _calm(server)
            server.prepare()
            run.run(seconds * 3 / 4, "second")
            after = _calm(server)
            run.found.update(_leaks(before, after))
            run.take_log()
        finally:
            try:
                if server.process.poll() is None:
                    server.clear()
            finally:
                took_s = server.stop()
                (directory / "server.log").write_text(server.log())
    print(f"seed {seed}, {sum(run.statuses.values())} requests: {dict(run.statuses.most_common())}")
    print(
        f"at rest: {before}, and at the end {after}; slowest ping {run.slowest_ping_s:.2f} s; ended in {took_s:.2f} s"
    )
    for text, count in run.refusals.most_common(20):
        print(f"  status 500, {count} × {text}")
    for text, count in run.found.most_common():
        print(f"  {count} × {text}")
    print(f"findings: {len(run.found)}, in {directory}")
    return 1 if run.found else 0


def _leaks(before: Counts, after: Counts) -> Iterator[str]:
    if after.descriptors > before.descriptors + 2:
        more = Counter(after.kinds) - Counter(before.kinds)
        yield f"descriptors: {before.descriptors}, then {after.descriptors}: {dict(more)}"
    if after.threads > before.threads + 2:
        yield f"threads: {before.threads}, then {after.threads}"
    if after.memory_mb > before.memory_mb + _MOST_MB_MORE:
        yield f"memory: {before.memory_mb} MB, then {after.memory_mb}"


def replay(file: pathlib.Path) -> int:
    with tempfile.TemporaryDirectory(prefix="composer-fuzz-") as work:
        server = Server(pathlib.Path(work))
        try:
            server.prepare()
            asked = Asked(tuple(file.read_bytes().split(_SEPARATOR)))
            answer = send(server, asked)
            print(answer.decode("utf-8", "backslashreplace"))
            print(server.log())
            check(asked, answer)
            server.clear()
        finally:
            server.stop()
    return 0


def main(arguments: list[str]) -> int:
    if arguments[0] == "--replay":
        return replay(pathlib.Path(arguments[1]))
    seed = int(arguments[1]) if len(arguments) > 1 else 0
    seed = seed or random.SystemRandom().randrange(1, 1 << 31)
    place = (
        pathlib.Path(arguments[2])
        if len(arguments) > 2
        else pathlib.Path(__file__).parents[2] / ".fuzz" / "api"
    )
    return fuzz(float(arguments[0]), seed, place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
