"""A web application that counts its visits in whatever database its environment names, on every usual port.

It answers with JSON: which database, how many visits, which host. It stands in for the applications of samples whose
sources are not there; their conventions for naming a database are its configuration.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORTS = (80, 3000, 5000, 8000, 8080)
TABLE = "CREATE TABLE IF NOT EXISTS visits (n INTEGER PRIMARY KEY, count INTEGER)"


def setting(*endings: str, default: str = "") -> str:
    """Return the first environment variable that ends so; a path in /run/secrets stands for its content."""
    for ending in endings:
        for key, value in sorted(os.environ.items()):
            if key.endswith(ending):
                return pathlib.Path(value).read_text().strip() if value.startswith("/run/secrets/") else value
    return default


def secret() -> str:
    found = pathlib.Path("/run/secrets/db-password")
    return found.read_text().strip() if found.exists() else "db-57xsl"


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def settings(user: str) -> dict[str, Any]:
    return {
        "user": setting("_USER", default=user),
        "password": setting("_PASSWORD", "_PASSWD", default=secret()),
        "database": setting("_DBNAME", "_NAME", "_DB", "_DATABASE", default="example"),
    }


def count_postgres() -> int:
    import psycopg2

    given = settings("postgres")
    with psycopg2.connect(host="db", dbname=given.pop("database"), **given) as link, link.cursor() as cursor:
        return count(cursor, "ON CONFLICT (n) DO UPDATE SET count = visits.count + 1")


def count_mysql() -> int:
    import pymysql

    with pymysql.connect(host="db", autocommit=True, **settings("root")) as link, link.cursor() as cursor:
        return count(cursor, "ON DUPLICATE KEY UPDATE count = count + 1")


def count(cursor: Any, otherwise: str) -> int:
    cursor.execute(TABLE)
    cursor.execute(f"INSERT INTO visits VALUES (1, 1) {otherwise}")
    cursor.execute("SELECT count FROM visits WHERE n = 1")
    return int(cursor.fetchone()[0])


def count_redis() -> int:
    import redis

    return int(redis.Redis("redis").incr("visits"))


DATABASES = {
    "postgresql": ("db", 5432, count_postgres),
    "mysql": ("db", 3306, count_mysql),
    "redis": ("redis", 6379, count_redis),
}


def visits() -> dict[str, int]:
    """Count a visit in each database that can be reached."""
    return {name: call() for name, (host, port, call) in DATABASES.items() if listens(host, port)}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            status, answer = 200, {"host": socket.gethostname(), "visits": visits()}
        except Exception as error:
            status, answer = 503, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The same as a WSGI application, for gunicorn."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"host": socket.gethostname(), "visits": visits()}).encode() + b"\n"]


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for port in PORTS:
        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
