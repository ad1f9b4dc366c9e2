"""Tests with stacks: our fixtures beside pytest-docker with docker compose, and how soon a stack is healthy.

    python -m tests.bench.fixtures [--tests N] [--workers N] [--rounds N] [--healthy N]

Needs root, mmdebstrap, docker with its compose plugin, an engine at DOCKER_HOST, and the programs of ``make clients``.

1. PostgreSQL, Redis and an application, a stack for each of eight xdist workers, 400 tests. Ours is the built-in
   runtime, with one file of fixed ports; theirs is docker compose, whose file has free ports: it cannot move them.
2. The notes example from nothing to healthy: our fixture, ``docker compose up --wait``, testcontainers' DockerCompose.

From each the start of the same programs alone is subtracted: in a chroot, as many at once, with no engine.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import yaml

from tests import examples_base
from tests.samples import stand_ins

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".venv-clients/bin/python"
NOTES = ROOT / "examples/compose/notes"
COMPOSER = [sys.executable, "-m", "composer", "--backend", "namespace"]
_ROLES = ("postgres", "redis", "python")
_CHECK = "{interval: 5s, start_interval: 100ms, start_period: 60s, test: "
FILE = f"""
services:
  db:
    image: stand-in/postgres
    environment: {{POSTGRES_PASSWORD: secret}}
    ports: ["PG5432"]
    healthcheck: {_CHECK}[CMD, pg_isready, -q, -h, 127.0.0.1]}}
  cache:
    image: stand-in/redis
    ports: ["PG6379"]
    healthcheck: {_CHECK}[CMD, redis-cli, ping]}}
  app:
    image: stand-in/python
    environment: {{POSTGRES_DB: postgres, POSTGRES_PASSWORD: secret}}
    ports: ["PG8000"]
    depends_on: {{db: {{condition: service_healthy}}, cache: {{condition: service_healthy}}}}
    healthcheck: {_CHECK}[CMD, curl, -sf, "http://127.0.0.1:8000/"]}}
"""
_TEST = """
@pytest.mark.parametrize("number", range(COUNT))
def test_visit(app, number):
    with urllib.request.urlopen(app, timeout=30) as answer:
        page = json.load(answer)
    assert page["visits"]["postgresql"] > 0, page
"""
OURS = """
import json, urllib.request
import pytest

pytestmark = pytest.mark.compose("compose.yaml")

@pytest.fixture
def app(stack):
    return stack["app"].url("http", 8000)
"""
THEIRS = """
import json, urllib.request
import pytest

def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True

@pytest.fixture(scope="session")
def docker_compose_file():
    return "compose.yaml"

@pytest.fixture(scope="session")
def docker_compose_project_name(worker_id):
    return f"fixtures{worker_id}"

@pytest.fixture(scope="session")
def app(docker_ip, docker_services):
    url = f"http://{docker_ip}:{docker_services.port_for('app', 8000)}"
    docker_services.wait_until_responsive(timeout=120, pause=0.1, check=lambda: answers(url))
    return url
"""
TIMED = """
import time
import pytest

pytestmark = pytest.mark.compose("compose.yaml", scope="function")

@pytest.fixture
def before():
    return time.monotonic()

def test_it(before, stack):
    print(f"took {time.monotonic() - before}")
"""
TESTCONTAINERS = """
import sys, time
from testcontainers.compose import DockerCompose
compose = DockerCompose(sys.argv[1], compose_file_name="compose.yaml", pull=False, build=False, wait=True)
before = time.monotonic()
compose.start()
print(f"took {time.monotonic() - before}")
compose.stop(down=True)
"""


def run(*command: str | pathlib.Path, directory: pathlib.Path, **variables: str) -> str:
    """Run a command; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def took(printed: str) -> float:
    found = re.search(r"took ([\d.]+)", printed)
    assert found is not None, printed
    return float(found[1])


# ------------------------------------------------------------------ the same programs alone

_INSIDE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-euc"]
_MOUNTED = """
ip link set lo up
enter() {
    mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/run"
    echo "127.0.0.1 localhost db cache web" >"$1/etc/hosts"
}
"""
DATABASES = (
    _MOUNTED
    + """
enter "$1"
export PATH=$PATH:/usr/lib/postgresql/15/bin POSTGRES_PASSWORD=secret
both() {
    mount -t tmpfs tmpfs "$1/tmp"  # each has its sockets here
    PGDATA=/data/$2 chroot "$1" serve-postgres postgres -p $((5500 + $2)) >/dev/null 2>&1 &
    chroot "$1" redis-server --port $((6500 + $2)) --dir /tmp --save '' >/dev/null &
    until chroot "$1" pg_isready -q -h /tmp -p $((5500 + $2)); do sleep 0.05; done
    until chroot "$1" redis-cli -p $((6500 + $2)) ping >/dev/null; do sleep 0.05; done
    touch "$1/run/ready.$2"
    wait
}
export -f both
for number in $(seq "$2"); do unshare --mount bash -c 'both "$@"' - "$1" "$number" & done
until [ "$(ls "$1/run" | wc -l)" = "$2" ]; do sleep 0.02; done
"""
)
SERVICES = (
    _MOUNTED
    + """
for one in db cache app proxy; do enter "$1/$one"; done
for one in db app; do
    mkdir -p "$1/$one/run/secrets"; cp "$2/db_password.txt" "$1/$one/run/secrets/db_password"
done
cp "$2/nginx.conf" "$1/proxy/etc/nginx/nginx.conf"
export DATABASE="host=db dbname=notes user=notes" CACHE=cache
ready() { until "$@" >/dev/null 2>&1; do sleep 0.02; done; }
chroot --userspec=postgres:postgres "$1/db" start-db >/dev/null 2>&1 &
chroot "$1/cache" redis-server --dir /tmp --save '' >/dev/null &
ready chroot "$1/db" pg_isready -q -h 127.0.0.1 -U notes -d notes
ready chroot "$1/cache" redis-cli ping
chroot --userspec=nobody "$1/app" python3 /app/migrate.py >/dev/null
chroot --userspec=nobody "$1/app" python3 -u /app/web.py >/dev/null 2>&1 &
ready chroot "$1/app" python3 /app/check.py
chroot "$1/proxy" nginx -g 'daemon off;' >/dev/null 2>&1 &
ready bash -c "exec 3<>/dev/tcp/127.0.0.1/80"
"""
)


def alone(script: str, *arguments: str | pathlib.Path, directory: pathlib.Path) -> float:
    """Return how long programs take to become ready, without an engine."""
    before_s = time.monotonic()
    run(*_INSIDE, script, "-", *arguments, directory=directory)
    return time.monotonic() - before_s


# ------------------------------------------------------------------ both parts


def show(what: str, times: list[float], floor: float = 0.0, peer: float = 0.0) -> float:
    """Print the median; return it less the programs' own time."""
    own = statistics.median(times) - floor
    ratio = f", {own / peer:.2f} x" if peer else ""
    less = f", less the programs' own {floor:.2f}: {own:.2f}{ratio}" if floor else ""
    print(
        f"{what:<46} {statistics.median(times):6.2f} s ({min(times):.2f}-{max(times):.2f}){less}", flush=True
    )
    return own


def whole_runs(place: pathlib.Path, tests: int, workers: int, rounds: int) -> None:
    for name, head, ports in (("ours", OURS, "{0}:{0}"), ("theirs", THEIRS, "{0}")):
        (place / name).mkdir()
        text = re.sub(r"PG(\d+)", lambda found, ports=ports: ports.format(found[1]), FILE)  # type: ignore[misc]
        (place / name / "compose.yaml").write_text(text)
        (place / name / "test_app.py").write_text(head + _TEST.replace("COUNT", str(tests)))
    root = place / "root"
    root.mkdir()
    run("tar", "xf", stand_ins.root_filesystem(), "-C", root, directory=place)
    words = ["-m", "pytest", "-q", "-n", str(workers), "-p", "no:cacheprovider", "-p", "no:randomly"]
    times: dict[str, list[float]] = {"alone": [], "ours": [], "theirs": []}
    for number in range(rounds):
        times["alone"].append(alone(DATABASES, root, str(workers), directory=place))
        run("rm", "-rf", "--one-file-system", *(root / "data").iterdir(), directory=place)
        for name, python in (("ours", pathlib.Path(sys.executable)), ("theirs", CLIENTS)):
            before_s = time.monotonic()
            printed = run(python, *words, "test_app.py", directory=place / name)
            times[name].append(time.monotonic() - before_s)
            assert f"{tests} passed" in printed, printed
        print(f"round {number + 1} of {rounds}", flush=True)
    print(f"{tests} tests, {workers} workers, a stack of three services for each")
    floor = statistics.median(times["alone"])
    show("the databases alone, so many at once", times["alone"])
    peer = show("pytest-docker with docker compose", times["theirs"], floor)
    show("composer", times["ours"], floor, peer)


def until_healthy(place: pathlib.Path, rounds: int) -> None:
    archive = examples_base.archive()
    assert archive is not None, "needs mmdebstrap"
    base = {"BASE": examples_base.NAME}
    for load, build in (
        ([*COMPOSER, "image", "load", "-q", "-i"], [*COMPOSER, "build", "-q"]),
        (["docker", "load", "-q", "-i"], ["docker", "compose", "build", "-q"]),
    ):
        run(*load, archive, directory=NOTES)
        run(*build, directory=NOTES, **base)
    (place / "test_notes.py").write_text(TIMED)
    (place / "program.py").write_text(TESTCONTAINERS)
    for name in ("db_password.txt", "nginx.conf"):
        (place / name).write_text((NOTES / name).read_text())
    project = yaml.safe_load((NOTES / "compose.yaml").read_text())
    for name, service in project["services"].items():
        del service["build"]  # the images are there, whatever the project is called
        service["image"] = f"notes-{name}"
    (place / "compose.yaml").write_text(yaml.safe_dump(project))
    times: dict[str, list[float]] = {"alone": [], "composer": [], "compose": [], "testcontainers": []}
    for _ in range(rounds):
        roots = _roots(place)
        times["alone"].append(alone(SERVICES, roots, NOTES, directory=place))
        run("rm", "-rf", "--one-file-system", roots, directory=place)
        words = ["-m", "pytest", "-qs", "-p", "no:cacheprovider", "test_notes.py"]
        times["composer"].append(took(run(sys.executable, *words, directory=place, **base)))
        before_s = time.monotonic()
        run("docker", "compose", "up", "-d", "--wait", directory=place, **base)
        times["compose"].append(time.monotonic() - before_s)
        run("docker", "compose", "down", "-v", directory=place, **base)
        times["testcontainers"].append(took(run(CLIENTS, "program.py", place, directory=place, **base)))
    print("the notes example from nothing to healthy")
    floor = statistics.median(times["alone"])
    show("its programs alone, one after the other", times["alone"])
    peers = [
        show("docker compose up --wait", times["compose"], floor),
        show("testcontainers' DockerCompose", times["testcontainers"], floor),
    ]
    show("composer's fixture (x of the faster)", times["composer"], floor, min(peers))


def _roots(place: pathlib.Path) -> pathlib.Path:
    """Unpack the images of the example, and return the directory."""
    roots = place / "roots"
    for name in ("db", "cache", "app", "proxy"):
        (roots / name).mkdir(parents=True)
        image = f"notes-{'web' if name == 'app' else name}"
        id = run("docker", "create", image, directory=place).strip()
        run("sh", "-c", f"docker export {id} | tar x -C {roots / name}", directory=place)
        run("docker", "rm", "-v", id, directory=place)
    return roots


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tests", type=int, default=400)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--healthy", type=int, default=5, help="rounds of the second part")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="composer-fixtures-") as directory:
        place = pathlib.Path(directory)
        os.environ.update(COMPOSER_ROOT=str(place / "state"), COMPOSER_BACKEND="namespace")
        stand_ins.import_images(COMPOSER, dict(os.environ), _ROLES)
        for role in _ROLES if given.rounds else ():
            saved = place / "image.tar"
            image = f"{stand_ins.PREFIX}/{role}"
            run(*COMPOSER, "image", "save", "-o", saved, image, directory=place)
            run("docker", "load", "-q", "-i", saved, directory=place)
            saved.unlink()
        if given.rounds:
            whole_runs(place, given.tests, given.workers, given.rounds)
        if given.healthy:
            until_healthy(place, given.healthy)


if __name__ == "__main__":
    main()
