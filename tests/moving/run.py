"""A PostgreSQL database that migrates in both directions, with kill -9 of each migration at random moments.

    python -m tests.moving.run [--megabytes N] [--kills N] [--seed N]

Needs root, an engine at DOCKER_HOST, and mmdebstrap for the image. In each direction the migration is killed and
begun again, and at last left alone. Then the database must have the same rows, and the source the same files as before.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

from tests.samples import stand_ins

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = f"moving{os.getpid()}"
COMPOSE = """
name: NAME
services:
  db:
    image: stand-in/postgres
    environment: {POSTGRES_PASSWORD: secret, PGUSER: postgres, PGDATABASE: postgres}
    volumes: ["db:/var/lib/postgresql/data"]
    shm_size: 256m
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1], interval: 5s, start_interval: 200ms, start_period: 60s}
volumes: {db: }
"""
ROWS = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM TABLE t"
TABLES = ("pgbench_accounts", "pgbench_tellers", "pgbench_branches", "marks")
SIDES = {"docker": "namespace", "namespace": "docker"}


class Project:
    """The database on either backend."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        (directory / "compose.yaml").write_text(COMPOSE.replace("NAME", NAME))
        self._environment = {**os.environ, "COMPOSER_ROOT": str(directory / "state"), "PYTHONPATH": str(ROOT)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "composer", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def on(self, backend: str, *arguments: str) -> str:
        done = subprocess.run(
            self.command("--backend", backend, *arguments),
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise SystemExit(
                f"{backend}: {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def import_image(self, backend: str) -> None:
        stand_ins.import_images(self.command("--backend", backend), self._environment, ("postgres",))

    def sql(self, backend: str, text: str) -> str:
        return self.on(backend, "exec", "-T", "db", "psql", "-qAtc", text).strip()

    def rows(self, backend: str) -> list[str]:
        return [self.sql(backend, ROWS.replace("TABLE", table)) for table in TABLES]

    def files(self, backend: str) -> dict[str, tuple[object, ...]]:
        """Return what the volume's archive says of each file, by its name."""
        with (
            subprocess.Popen(
                self.command("--backend", backend, "volume", "export", f"{NAME}_db"),
                cwd=self._directory,
                env=self._environment,
                stdout=subprocess.PIPE,
            ) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            return {os.path.normpath(member.name): _facts(archive, member) for member in archive}


def _facts(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    content = archive.extractfile(member) if member.isreg() else None
    digest = hashlib.file_digest(content, "sha256").hexdigest() if content is not None else ""  # type: ignore[arg-type]
    owner = (member.mode, member.uid, member.gid)
    return (member.type, owner, member.size, member.linkname, int(member.mtime), digest)


def fill(project: Project, backend: str, megabytes: int) -> None:
    project.on(backend, "up", "-d", "--wait")
    scale = max(1, round(megabytes / 15))  # a unit of pgbench has about 15 MB
    project.on(backend, "exec", "-T", "db", "pgbench", "-i", "-q", "-s", str(scale))
    project.sql(backend, "CREATE TABLE marks (place text)")


def migrate(project: Project, source: str, kills: int, seconds: float, dice: random.Random) -> None:
    """Migrate, and kill that at moments up to ``seconds`` from its start, as long as it has not ended."""
    for number in range(kills):
        moment = dice.uniform(0.1, seconds)
        process = project.start("migrate", "--from", source)
        try:
            code = process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"  killed after {moment:.2f} s", flush=True)
        else:
            print(
                f"  had ended with code {code} before it was to be killed, after {number} kills", flush=True
            )
            break
    begun = time.monotonic()
    project.on(SIDES[source], "migrate", "--from", source)
    print(f"  the rest took {time.monotonic() - begun:.1f} s", flush=True)


def one_way(project: Project, source: str, kills: int, seconds: float, dice: random.Random) -> None:
    """Bring the database from one backend to the other, and see that nothing is lost on either side."""
    target = SIDES[source]
    project.sql(source, f"INSERT INTO marks VALUES ('made on {source}')")
    rows = project.rows(source)
    size = project.sql(source, "SELECT pg_size_pretty(pg_database_size('postgres'))")
    project.on(source, "stop")
    files = project.files(source)
    print(f"{source} to {target}: {size}", flush=True)
    migrate(project, source, kills, seconds, dice)
    if project.files(source) != files:
        raise SystemExit(f"the volume on {source} changed")
    moved = project.files(target)
    other = [name for name in {**files, **moved} if files.get(name) != moved.get(name)]
    if other:
        raise SystemExit(
            f"{target} has other files: "
            + "; ".join(f"{n}: {files.get(n)} {moved.get(n)}" for n in other[:9])
        )
    project.on(target, "up", "-d", "--wait")
    found = project.rows(target)
    if found != rows:
        raise SystemExit(f"other rows on {target}: {found}, not {rows}")
    print(
        f"  {len(files)} files are the same, and {len(rows)} tables with the same rows: {' '.join(rows)}",
        flush=True,
    )
    project.on(source, "down", "-v")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10, help="in each direction")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    seconds = 1.0 + options.megabytes / 200
    with tempfile.TemporaryDirectory(prefix="composer-moving-", dir=stand_ins.KEPT) as directory:
        project = Project(pathlib.Path(directory))
        project.import_image("docker")
        try:
            fill(project, "docker", options.megabytes)
            one_way(project, "docker", options.kills, seconds, dice)
            one_way(project, "namespace", options.kills, seconds, dice)
        finally:
            for backend in SIDES:
                project.on(backend, "down", "-v", "-t", "0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
