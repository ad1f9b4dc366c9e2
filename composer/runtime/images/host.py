"""`image: host`: the programs of this machine, under a private writable layer, so that no image is needed at all.

/usr (and /bin, /sbin, /lib* where they are directories of their own) are each the lower side of an overlay;
everything else is a small skeleton with a filtered copy of /etc: what everybody may read, without keys,
credentials and what names this machine. The skeleton is made once per state of the package database.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from composer.runtime.base import files, making, state

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = "host"
_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32")
_DIRECTORIES = {
    "dev": 0o755,
    "proc": 0o555,
    "sys": 0o555,
    "run": 0o755,
    "tmp": 0o1777,
    "root": 0o700,
    "home": 0o755,
    "srv": 0o755,
    "opt": 0o755,
    "mnt": 0o755,
    "etc": 0o755,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
}
# Beside what not everybody may read: names in /etc that tell of this machine or open doors to others.
_KEPT_BACK = frozenset(
    "shadow shadow- gshadow gshadow- passwd- group- subuid subgid subuid- subgid- sudoers sudoers.d ssh "
    "machine-id hostname hosts resolv.conf fstab mtab crypttab docker containers kubernetes cni letsencrypt pki "
    "NetworkManager wpa_supplicant netplan wireguard openvpn krb5.keytab ppp chatscripts apt cron.d crontab "
    "systemd udev network .git .pwd.lock environment private".split()
)
_KEPT_BACK_ENDINGS = (".key", ".keytab", ".p12", ".pfx", ".jks", ".kdbx", ".ovpn")
_CONFIG = {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
_PACKAGE_DATABASES = (
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local",
)
_MAX_ETC_FILE_BYTES = 4 << 20


def digest() -> str:
    """Return the id of the host as an image: that of its release and its package database."""
    sum = hashlib.sha256(b"composer host image 1\n")
    for path in ("/etc/os-release", "/usr/lib/os-release", *_PACKAGE_DATABASES):
        try:
            state = os.stat(path)
        except FileNotFoundError:
            continue
        sum.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    return f"sha256:{sum.hexdigest()}"


def program_directories() -> list[str]:
    """Return the host's directories that are shown as they are, each under a writable layer of its own."""
    return [f"/{name}" for name in _PROGRAMS if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")]


def skeleton(directory: str) -> str:
    """Return the lowest layer: links, empty directories and the filtered /etc, made in ``directory`` when missing."""
    path = f"{directory}/{digest().removeprefix('sha256:')}"
    if os.path.isdir(path):
        return path
    state.make_directory(directory)
    try:
        with making.making(path) as temporary:
            _make_skeleton(temporary)
    except FileExistsError:
        pass  # another process, or another thread, was faster
    return path


def config() -> dict[str, Any]:
    """Return the configuration, in Docker's form."""
    return {key: list(value) for key, value in _CONFIG.items()}


def _make_skeleton(root: str) -> None:
    os.chmod(root, 0o755)
    for name, mode in _DIRECTORIES.items():
        os.mkdir(f"{root}/{name}", mode)
        os.chmod(f"{root}/{name}", mode)
    for name in _PROGRAMS:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            os.mkdir(f"{root}/{name}", 0o755)
    os.symlink("/run", f"{root}/var/run")
    os.symlink("/run/lock", f"{root}/var/lock")
    for source in _shown("/etc"):
        _copy(source, f"{root}{source}")


def _shown(directory: str) -> Iterator[str]:
    """Yield what of /etc may be shown, directories before what is in them."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in entries:
        if entry.name in _KEPT_BACK or entry.name.endswith(_KEPT_BACK_ENDINGS):
            continue
        state = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(state.st_mode):
            yield entry.path
        elif stat.S_ISDIR(state.st_mode) and state.st_mode & 0o005 == 0o005:
            yield entry.path
            yield from _shown(entry.path)
        elif stat.S_ISREG(state.st_mode) and state.st_mode & 0o004 and state.st_size <= _MAX_ETC_FILE_BYTES:
            yield entry.path


def _copy(source: str, target: str) -> None:
    state = os.lstat(source)
    if stat.S_ISLNK(state.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(state.st_mode):
        os.mkdir(target, 0o755)
        os.chmod(target, stat.S_IMODE(state.st_mode))
    else:
        with open(source, "rb") as file:
            files.write_bytes(target, file.read(), mode=stat.S_IMODE(state.st_mode))
        os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.chown(target, state.st_uid, state.st_gid, follow_symlinks=False)
