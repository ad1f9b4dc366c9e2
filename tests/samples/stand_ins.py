"""Images that stand in for those of samples: the same servers, from Debian packages, started the way theirs are.

One root filesystem has all of them; an image is that with another entry point. It is made once (about a minute, with
mmdebstrap) and kept in ``build/``, under a name that changes with what goes into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

HERE = pathlib.Path(__file__).parent
KEPT = HERE.parents[1] / "build"
PREFIX = "stand-in"
PACKAGES = (
    "postgresql mariadb-server redis-server nginx-light python3-psycopg2 python3-pymysql python3-redis gunicorn "
    "curl nodejs node-mysql wrk procps"
).split()
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
PREPARE = (
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/lib/mysql "$1"/etc/nginx/sites-enabled/default',
    'mkdir -p "$1"/var/lib/mysql "$1"/data "$1"/code',
    'chroot "$1" install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data',
    'chroot "$1" chown redis: /data',
)


class Role(NamedTuple):
    """A server: how its image starts it."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    directory: str = ""
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    user: str = ""

    def config(self) -> dict[str, Any]:
        """Return the OCI image configuration's ``config``."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, **self.environment}
        config: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "WorkingDir": self.directory,
            "Volumes": {path: {} for path in self.volumes},
            "StopSignal": self.stop_signal,
            "User": self.user,
        }
        return {key: value for key, value in config.items() if value}


_POSTGRES_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin"
ROLES = {
    "postgres": Role(
        ("serve-postgres",),
        ("postgres",),
        {"PATH": _POSTGRES_PATH, "PGDATA": "/var/lib/postgresql/data", "PGHOST": "/tmp"},
        volumes=("/var/lib/postgresql/data",),
        stop_signal="SIGINT",
    ),
    "mariadb": Role(("serve-mariadb",), ("mariadbd",), volumes=("/var/lib/mysql",)),
    "redis": Role(("serve-redis",), ("redis-server",), directory="/data", volumes=("/data",)),
    "nginx": Role(("serve-nginx",), ("nginx", "-g", "daemon off;"), stop_signal="SIGQUIT"),
    "python": Role((), ("python3", "-u", "/app/service.py"), directory="/app"),
    "node": Role((), ("node", "/app/service.js"), {"NODE_PATH": "/usr/share/nodejs"}, directory="/code"),
}


def root_filesystem() -> pathlib.Path:
    """Return the tarball of the root filesystem, made when it is not there."""
    made_of = hashlib.sha256(repr((PACKAGES, LEFT_OUT, PREPARE)).encode())
    for path in sorted((HERE / "rootfs").rglob("*")):
        if path.is_file():
            made_of.update(f"{path.relative_to(HERE)}\0{path.stat().st_mode}\0".encode() + path.read_bytes())
    archive = KEPT / f"samples-{made_of.hexdigest()[:16]}.tar"
    if archive.exists():
        return archive
    KEPT.mkdir(exist_ok=True)
    for old in KEPT.glob("samples-*.tar"):
        old.unlink()
    hooks = [*PREPARE, f"copy-in {HERE}/rootfs/usr {HERE}/rootfs/app /"]
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--format=tar",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            *(f"--customize-hook={hook}" for hook in hooks),
            "bookworm",
            f"{archive}.part",
        ],
        check=True,
        timeout=900,
    )
    os.rename(f"{archive}.part", archive)
    return archive


def import_images(composer: list[str], environment: Mapping[str, str], roles: Iterable[str] = ROLES) -> None:
    """Import the image of each role under ``stand-in/ROLE:<hash>`` and ``stand-in/ROLE``, where it is not there."""
    archive = root_filesystem()
    for role in roles:
        exact = f"{PREFIX}/{role}:{archive.stem.removeprefix('samples-')}"
        found = subprocess.run(
            [*composer, "image", "ls", "-q", exact], env=environment, stdout=subprocess.PIPE
        )
        if not found.stdout.strip():
            config = KEPT / f"{role}.json"
            config.write_text(json.dumps(ROLES[role].config()))
            subprocess.run(
                [*composer, "image", "import", "--config", str(config), str(archive), exact],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=600,
            )
        subprocess.run([*composer, "image", "tag", exact, f"{PREFIX}/{role}"], env=environment, check=True)
