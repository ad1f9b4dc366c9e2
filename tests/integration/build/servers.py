"""Servers of this machine that sources and contexts are fetched from: HTTP, and git's own protocol."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tests.integration.build.places import write


class Answer(NamedTuple):
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    promised: int = -1
    """The length that the header says, where it is not the body's."""


class Server:
    """Answers by path; a list is gone through, its last answer again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ours.asked.append((self.path, dict(self.headers)))
                known = (self.path, unquote(self.path), "*")
                waiting = next(
                    (ours.answers[path] for path in known if path in ours.answers), [Answer(status=404)]
                )
                answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                self.send_response(answer.status)
                length = len(answer.body) if answer.promised < 0 else answer.promised
                for key, value in {"Content-Length": str(length), **answer.headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class GitServer:
    """Repositories of a directory, over git's own protocol."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        self.url = f"git://127.0.0.1:{port}"
        command = ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"]
        self._process = subprocess.Popen(
            [*command, f"--base-path={directory}", "--verbose", str(directory)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr is not None
        for said in self._process.stderr:
            if "Ready to rumble" in said:
                break
        self._thread = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


def git(directory: Path, *arguments: str) -> str:
    """Run git as the one who writes the repository."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
        "GIT_ALLOW_PROTOCOL": "file:git",
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(directory: Path, name: str, text: str) -> str:
    write(directory / name, text)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", name)
    return git(directory, "rev-parse", "HEAD")


class Repositories(NamedTuple):
    server: GitServer
    main: Path
    first: str
    """The first commit of main.git, which has a tag; there is a branch of the same name as another tag too."""
    last: str


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return file.getvalue()
