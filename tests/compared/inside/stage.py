"""What the compared services need of the machine: images, files, a shared mount, a device. All of it goes."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from typing import Any

import yaml

from tests.compared.places import Place
from tests.integration.contract.conftest import root_archive

HERE = pathlib.Path(__file__).parent
IMAGE, CONFIGURED = "composer-inside", "composer-inside-configured"
_PARENT = "inside-parent"
_CDI = pathlib.Path("/var/run/cdi/composer-inside.json")

_PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1001:1002:App:/home/app:/bin/sh\n"
_GROUP = "root:x:0:\naudio:x:29:\napp:x:1002:\nextra:x:1500:\nmore:x:1600:app\n"
_CONFIG = {
    "Env": ["PATH=/bin", "FROM_IMAGE=yes", "SECOND=2"],
    "User": "app:extra",
    "WorkingDir": "/copied",
    "Entrypoint": ["/probe"],
    "Cmd": ["of", "image"],
    "Volumes": {"/copied": {}, "/scratch": {}},
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGINT",
    "Labels": {"from": "image"},
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 300_000_000},
}
_DEVICE = {
    "cdiVersion": "0.6.0",
    "kind": "example.org/thing",
    "devices": [
        {
            "name": "one",
            "containerEdits": {
                "env": ["THING=one"],
                "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/fuse", "permissions": "rw"}],
                "mounts": [
                    {
                        "hostPath": "/etc/os-release",
                        "containerPath": "/mounted/thing",
                        "options": ["ro", "bind"],
                    }
                ],
            },
        }
    ],
    "containerEdits": {"env": ["THINGS=yes"]},
}


def services() -> dict[str, Any]:
    """Return the table as a Compose project."""
    text = (HERE / "services.yaml").read_text().replace("CONFIGURED", CONFIGURED).replace("IMAGE", IMAGE)
    project: dict[str, Any] = yaml.safe_load(text)
    return project


def _add(archive: tarfile.TarFile, name: str, content: str, mode: int = 0o644, owner: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
    archive.addfile(entry, io.BytesIO(content.encode()))


def _archive(directory: pathlib.Path) -> str:
    path = root_archive(directory)
    with tarfile.open(path, "a") as archive:
        _add(archive, "probe", (HERE / "probe.sh").read_text(), 0o755)
        _add(archive, "etc/passwd", _PASSWD)
        _add(archive, "etc/group", _GROUP)
        _add(archive, "garbage", "\0\1\2 this is no program\n", 0o755)
        _add(archive, "lost", "#!/no/such/interpreter\n", 0o755)
        folder = tarfile.TarInfo("copied")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o750, 1001, 1002
        archive.addfile(folder)
        _add(archive, "copied/from-image", "of the image\n", 0o640, 1001)
    return path


def import_images(place: Place, directory: pathlib.Path) -> None:
    """Put both images into the store of a place."""
    archive = _archive(directory)
    config = directory / "config.json"
    config.write_text(json.dumps(_CONFIG))
    for name, more in ((IMAGE, ("--env", "PATH=/bin")), (CONFIGURED, ("--config", str(config)))):
        done = place.start([*place.command, "image", "import", archive, name, *more])
        if done.code:
            raise SystemExit(f"{place.title}: {done.err}")


def write_files(folder: pathlib.Path) -> None:
    """Write what the services mount and read into a project folder."""
    files = folder / "files"
    files.mkdir()
    (files / "one").write_text("a file\n")
    (files / "one").chmod(0o640)
    (files / "env").write_text("FROM_FILE=1\nA=not this\nQUOTED='two words'\n")
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    (files / "seccomp.json").write_text(json.dumps(profile))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for a comparison from another checkout: both would have the same images, project, cgroup and device."""
    with open(pathlib.Path(tempfile.gettempdir()) / "composer-inside.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def machine(folder: pathlib.Path) -> Iterator[None]:
    """Have a mount that is shared with another below it, and a device that a specification describes."""
    target = folder / "mounted"
    target.mkdir()
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(target))
    try:
        _mount("--make-shared", str(target))
        (target / "below").mkdir()
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(target / "below"))
        made = not _CDI.parent.exists()
        _CDI.parent.mkdir(exist_ok=True)
        _CDI.write_text(json.dumps(_DEVICE))
        try:
            yield
        finally:
            _CDI.unlink()
            if made:
                _CDI.parent.rmdir()
    finally:
        subprocess.run(["umount", "-R", str(target)], check=False)
        os.rmdir(target)
        _remove_cgroups()


def _remove_cgroups() -> None:
    """Remove the parent that services name: Docker leaves it."""
    root = pathlib.Path("/sys/fs/cgroup")
    for path in (*root.glob(_PARENT), *root.glob(f"*/{_PARENT}")):
        try:
            path.rmdir()
        except OSError:
            pass  # a container is in it: the other side comes here as well


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
