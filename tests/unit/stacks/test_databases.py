"""Which server a service has, and the commands that make and drop a database in it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import pytest

from composer import errors
from composer.engine.observed import ContainerState, ObservedContainer
from composer.stacks import databases
from composer.stacks.results import Address, CommandFailed, Result


class Call(NamedTuple):
    command: tuple[str, ...]
    input: bytes | str | None
    env: Mapping[str, str] | None


class Host:
    """A service that notes what it is asked to run."""

    name = "db"
    state_directory = ""

    def __init__(self, image: str, command: Sequence[str] = (), id: str = "c") -> None:
        self.image, self.command, self.id = image, tuple(command), id
        self.calls: list[Call] = []
        self.failing: list[str] = []

    def container(self) -> ObservedContainer:
        fields = {"id": self.id, "name": "p-db-1", "image": self.image, "command": self.command}
        given = {"labels": {}, "state": ContainerState.RUNNING, **fields}
        known = {key: value for key, value in given.items() if key in ObservedContainer._fields}
        return ObservedContainer(**known)  # type: ignore[arg-type]

    def address(self, port: int) -> Address:
        return Address("10.0.0.2", port)

    def exec(
        self,
        command: Sequence[str],
        *,
        input: bytes | str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Result:
        assert timeout
        self.calls.append(Call(tuple(command), input, env))
        if self.failing:
            raise CommandFailed(tuple(command), "db", Result(1, "", self.failing.pop()))
        return Result(0, "DUMP;" if "dump" in command[-1] else "", "")

    @property
    def last(self) -> str:
        return " ".join(self.calls[-1].command)


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(Host, "state_directory", str(tmp_path))


@pytest.mark.parametrize(
    ("image", "command", "environment", "expected"),
    [
        ("postgres:16-alpine", (), {}, "postgresql://postgres@10.0.0.2:5432/test_"),
        ("registry:5000/team/postgis:3@sha256:00", (), {}, "postgresql://postgres@10.0.0.2:5432/test_"),
        (
            "bitnami/postgresql",
            (),
            {"POSTGRES_USER": "u/s", "POSTGRES_PASSWORD": "p@"},
            "postgresql://u%2Fs:p%40@",
        ),
        ("own", ("/usr/lib/postgresql/15/bin/postgres", "-D", "x"), {}, "postgresql://"),
        ("own", (), {"PGDATA": "/data"}, "postgresql://"),
        ("mariadb:11", (), {"MARIADB_ROOT_PASSWORD": "r"}, "mysql://root:r@10.0.0.2:3306/test_"),
        (
            "mysql/mysql-server",
            (),
            {"MYSQL_USER": "u", "MYSQL_PASSWORD": "p"},
            "mysql://u:p@10.0.0.2:3306/test_",
        ),
        ("redis:7", (), {}, "redis://10.0.0.2:6379/1"),
        ("valkey/valkey:8", (), {"REDIS_PASSWORD": "x"}, "redis://:x@10.0.0.2:6379/1"),
    ],
)
def test_servers_are_recognised(
    image: str, command: tuple[str, ...], environment: dict[str, str], expected: str
) -> None:
    host = Host(image, command, id="0a" + image.encode().hex())
    with databases.fresh(host, environment, None) as made:
        assert made.url.startswith(expected) and str(made) == made.url
        assert made.url.endswith(f"/{made.name}")
        count = len(host.calls)
    assert len(host.calls) > count  # it was dropped


@pytest.mark.parametrize("image", ["nginx", "app-with-redish", "mysteriously", "postgrest/web"])
def test_others_are_refused_by_name(image: str) -> None:
    with pytest.raises(
        errors.Unsupported, match=f"no PostgreSQL, MySQL, MariaDB or Redis is recognised in image '{image}'"
    ):
        databases.fresh(Host(image), {"DATABASE_URL": "postgres://x", "POSTGRES_USER": "u"}, None)


def test_the_template_is_the_service_s_own_database_or_another() -> None:
    host = Host("postgres")
    made = databases.fresh(host, {"POSTGRES_DB": "app", "POSTGRES_USER": "u"}, None)
    assert f'CREATE DATABASE "{made.name}" TEMPLATE "app"' in host.last and "-U u -d template1" in host.last
    made = databases.fresh(host, {}, "seeded")
    assert f'"{made.name}" TEMPLATE "seeded"' in host.last
    made.drop()
    assert f'DROP DATABASE IF EXISTS "{made.name}" WITH (FORCE)' in host.last
    with pytest.raises(errors.ProjectError, match="invalid name"):
        databases.fresh(host, {}, 'x"; DROP')


def test_connections_to_the_template_are_ended_where_they_are_in_the_way() -> None:
    host = Host("postgres")
    host.failing = ['ERROR: source database "app" is being accessed by other users']
    databases.fresh(host, {"POSTGRES_DB": "app"}, None)
    assert "pg_terminate_backend" in host.last and "CREATE DATABASE" in host.last
    host.failing = ["ERROR: no such template"]
    with pytest.raises(CommandFailed):
        databases.fresh(host, {"POSTGRES_DB": "app"}, None)


def test_a_dump_is_made_once_and_again_where_asked() -> None:
    host = Host("mysql", id="dumps")
    environment = {"MYSQL_DATABASE": "app", "MYSQL_ROOT_PASSWORD": "secret"}

    def dumps() -> int:
        return sum("dump" in call.command[-1] for call in host.calls)

    for _ in range(3):
        made = databases.fresh(host, environment, None)
        assert f"USE `{made.name}`" in cast("str", host.calls[-1].input)
        assert cast("str", host.calls[-1].input).endswith("DUMP;")
        assert host.calls[-1].env == {"MYSQL_PWD": "secret"}  # and in no command line
    assert dumps() == 1
    databases.fresh(host, environment, None, refresh=True)
    assert dumps() == 2
    databases.fresh(host, environment, "other")
    assert dumps() == 3


def test_a_password_may_be_in_a_file() -> None:
    class Secret(Host):
        def exec(self, command: Sequence[str], **options: Any) -> Result:
            if command[0] == "cat":
                assert list(command) == ["cat", "/run/secrets/db"]
                return Result(0, "from/file\n", "")
            return super().exec(command, **options)

    made = databases.fresh(Secret("postgres"), {"POSTGRES_PASSWORD_FILE": "/run/secrets/db"}, None)
    assert made.url.startswith("postgresql://postgres:from%2Ffile@10.0.0.2:5432/")


def test_indexes_of_redis_are_those_of_no_other_process(tmp_path: pathlib.Path) -> None:
    """Workers of one test run share the server; what a killed one had is free again."""
    code = (
        "import sys; from composer.stacks import claims; "
        "claim = claims.first(sys.argv[1], sys.argv[2:]); print(claim.name, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, f"{tmp_path}/databases", "other-1", "other-2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "other-1\n"
        host = Host("redis", id="other")
        assert databases.fresh(host, {}, None).name == "2"
        process.kill()
        process.wait()
        assert databases.fresh(host, {}, None).name == "1"


def test_indexes_of_redis_are_handed_out_once(tmp_path: pathlib.Path) -> None:
    host = Host("redis", id="indexes")
    made = [databases.fresh(host, {}, None) for _ in range(15)]
    assert sorted(int(one.name) for one in made) == list(range(1, 16))
    with pytest.raises(errors.Conflict, match="all 15 databases of service 'db' are in use"):
        databases.fresh(host, {}, None)
    made[4].drop()
    again = databases.fresh(host, {}, None)
    assert again.name == made[4].name
    for one in (*made[:4], *made[5:], again):
        one.drop()
    assert list((tmp_path / "databases").iterdir()) == []
    with pytest.raises(errors.Unsupported, match="no templates"):
        databases.fresh(host, {}, "x")
