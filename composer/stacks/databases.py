"""A database of its own for each test, made of the one that a service has: faster than a service, and than a restore.

    PostgreSQL         CREATE DATABASE … TEMPLATE …, which copies files
    MySQL, MariaDB     the template's dump, kept in this process, loaded into a new schema
    Redis, Valkey      an index of its own, flushed

The server is recognised by the service's image, command and variables; all is done with its own command-line client
in its container.
"""

from __future__ import annotations

import os
import shlex
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import quote

from composer import errors
from composer.patterns import pattern
from composer.stacks import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from composer.engine.observed import ObservedContainer
    from composer.stacks.results import Address, Result

_TIMEOUT_S = 120.0
_INDEXES = 16
_NAME = pattern(r"[A-Za-z0-9_$-]{1,63}")
_WORD = pattern(r"[^a-z]+")
_lock = threading.Lock()
_dumps: dict[tuple[str, str], str] = {}
"""By container and template, the dump that databases are made of."""


class Host(Protocol):
    """A service that a database server may run in."""

    name: str

    @property
    def state_directory(self) -> str: ...
    def container(self) -> ObservedContainer: ...
    def address(self, port: int) -> Address: ...
    def exec(
        self,
        command: Sequence[str],
        *,
        input: bytes | str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Result: ...


class Database:
    """A database of a test. As a context manager it is dropped at the end of the block; ``str`` is its URL."""

    def __init__(self, name: str, url: str, drop: Callable[[], None]) -> None:
        self.name, self.url, self._drop = name, url, drop

    def drop(self) -> None:
        """Remove it, also while somebody is connected."""
        self._drop()

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"<Database {self.name}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.drop()


class _Server(NamedTuple):
    """A service with a database server in it, and the variables that its container was made with."""

    service: Host
    environment: Mapping[str, str]

    def value(self, *names: str) -> str:
        return next((self.environment[name] for name in names if self.environment.get(name)), "")

    def secret(self, *names: str) -> str:
        """Return the value of a variable, or what is in the file that ``NAME_FILE`` names, as official images do."""
        for name in names:
            if self.environment.get(name):
                return self.environment[name]
            if self.environment.get(f"{name}_FILE"):
                return self.run(["cat", self.environment[f"{name}_FILE"]]).stdout.rstrip("\r\n")
        return ""

    def run(
        self, command: list[str], *, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> Result:
        return self.service.exec(command, input=input, env=env, timeout=_TIMEOUT_S)

    def url(self, scheme: str, port: int, user: str, password: str, name: str) -> str:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        address = self.service.address(port)
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{scheme}://{login}{'@' if login else ''}{host}:{address.port}/{name}"


def fresh(
    service: Host, environment: Mapping[str, str], template: str | None, *, refresh: bool = False
) -> Database:
    """Make a database of a service. Raises Unsupported where its server is none of those above, CommandFailed."""
    container = service.container()
    server = _Server(service, environment)
    image = container.image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    kind = _kind([image, *container.command], environment)
    if refresh:
        with _lock:
            _dumps.pop((container.id, template or ""), None)
    if kind is None:
        raise errors.Unsupported(
            "fresh_database",
            f"cannot make a database in service '{service.name}': no PostgreSQL, MySQL, MariaDB or Redis is "
            f"recognised in image '{container.image}'",
            hint="use a snapshot: stack.snapshot() and stack.restore()",
        )
    if template is not None and not _NAME.fullmatch(template):
        raise errors.ProjectError(
            f"invalid name of a database: '{template}'", hint="use letters, digits, '_', '$' and '-'"
        )
    return _MAKERS[kind](server, template)


def _kind(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Recognise a server. What the image or the command is called comes before variables, which apps have too."""
    found = {part for word in words for part in _WORD.split(os.path.basename(word).lower()) if part}
    for kind, names in _NAMES.items():
        if found & names:
            return kind
    if environment.get("PGDATA"):
        return "postgres"
    return None


_NAMES = {
    "postgres": {"postgres", "postgresql", "postgis", "pgvector", "timescaledb"},
    "mysql": {"mysql", "mysqld", "mariadb", "mariadbd", "percona"},
    "redis": {"redis", "valkey"},
}


def _new_name() -> str:
    return f"test_{os.urandom(5).hex()}"


# ------------------------------------------------------------------ PostgreSQL


def _postgres(server: _Server, template: str | None) -> Database:
    user = server.value("POSTGRES_USER", "PGUSER") or "postgres"
    source = template or server.value("POSTGRES_DB", "PGDATABASE") or user
    name = _new_name()

    def sql(*statements: str) -> None:
        # over another database than the template: that must have no connection
        options = [word for text in statements for word in ("-c", text)]
        server.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", "template1", *options])

    statement = f'CREATE DATABASE "{name}" TEMPLATE "{source}"'
    try:
        sql(statement)
    except errors.EngineError as error:
        if "being accessed by other users" not in "".join([str(error), *getattr(error, "__notes__", ())]):
            raise
        sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{source}' AND pid <> pg_backend_pid()",
            statement,
        )
    password = server.secret("POSTGRES_PASSWORD", "PGPASSWORD")
    url = server.url("postgresql", 5432, user, password, name)
    return Database(name, url, lambda: sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


# ------------------------------------------------------------------ MySQL and MariaDB


def _mysql(server: _Server, template: str | None) -> Database:
    password = server.secret("MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD")
    name = _new_name()
    env = {"MYSQL_PWD": password}

    def client(*words: str, input: str | None = None) -> str:
        text = f"exec $(command -v mariadb || command -v mysql) -uroot {shlex.join(words)}"
        return server.run(["sh", "-c", text], input=input, env=env).stdout

    begin = f"CREATE DATABASE `{name}`; USE `{name}`;\n"
    user = server.value("MYSQL_USER", "MARIADB_USER")
    if user:
        begin = f"CREATE DATABASE `{name}`; GRANT ALL ON `{name}`.* TO '{user}'@'%'; USE `{name}`;\n"
    try:
        client(input=begin + _dump(server, template or "", env))
    except BaseException:
        client("-e", f"DROP DATABASE IF EXISTS `{name}`")
        raise
    secret = server.secret("MYSQL_PASSWORD", "MARIADB_PASSWORD") if user else password
    url = server.url("mysql", 3306, user or "root", secret, name)
    return Database(name, url, lambda: _ignore(client("-e", f"DROP DATABASE IF EXISTS `{name}`")))


def _ignore(text: str) -> None:
    """A drop prints nothing of interest."""


def _dump(server: _Server, source: str, env: Mapping[str, str]) -> str:
    """Return the dump of a template, by default of the service's own database, made once for each container."""
    key = (server.service.container().id, source)
    source = source or server.value("MYSQL_DATABASE", "MARIADB_DATABASE")
    if not source:
        return ""
    with _lock:
        if key not in _dumps:
            text = (
                "exec $(command -v mariadb-dump || command -v mysqldump) -uroot --single-transaction --routines "
                f"--triggers --skip-comments {shlex.quote(source)}"
            )
            _dumps[key] = server.run(["sh", "-c", text], env=env).stdout
        return _dumps[key]


# ------------------------------------------------------------------ Redis


def _redis(server: _Server, template: str | None) -> Database:
    if template is not None:
        raise errors.Unsupported(
            "fresh_database", "Redis has no templates", hint="leave template out: the index is empty"
        )
    password = server.secret("REDIS_PASSWORD", "VALKEY_PASSWORD")
    claim = claims.first(
        f"{server.service.state_directory}/databases",
        (f"{server.service.container().id}-{index}" for index in range(1, _INDEXES)),
    )
    if claim is None:
        raise errors.Conflict(
            f"all {_INDEXES - 1} databases of service '{server.service.name}' are in use", hint="drop some"
        )
    index = int(claim.name.rpartition("-")[2])

    def flush() -> None:
        text = f"exec $(command -v redis-cli || command -v valkey-cli) -e -n {index} flushdb"
        server.run(["sh", "-c", text], env={"REDISCLI_AUTH": password} if password else None)

    def drop() -> None:
        try:
            flush()
        finally:
            claim.release()

    try:
        flush()
    except BaseException:
        claim.release()
        raise
    return Database(str(index), server.url("redis", 6379, "", password, str(index)), drop)


_MAKERS: dict[str, Callable[[_Server, str | None], Database]] = {
    "postgres": _postgres,
    "mysql": _mysql,
    "redis": _redis,
}
