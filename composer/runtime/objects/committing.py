"""From a container to an image (`commit`), and to a tar of its own files (`export`).

A commit is the container's upper directory as one more layer: overlayfs's marks (devices 0:0, the opaque attribute)
become the whiteouts of the image specification. What was put there only to be mounted over is left out.
https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import os
import signal
import stat
import tarfile
import time
from typing import TYPE_CHECKING, Any

from composer import archives, dates
from composer.errors import CopyFailed, ImageError, Unsupported
from composer.runtime.base import records
from composer.runtime.images.adding import checked_changes
from composer.runtime.objects import roots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.runtime.images import Image, Store
    from composer.runtime.objects import specs

_WHITEOUT = ".wh."
_OPAQUE_XATTR = "trusted.overlay.opaque"
_UNREADABLE_XATTRS = ("trusted.overlay.redirect", "trusted.overlay.metacopy")
_ETC = frozenset(("etc/hosts", "etc/hostname", "etc/resolv.conf"))
_KERNEL = frozenset(("dev", "proc", "sys"))
_OWN_LABELS = ("com.docker.compose.", "composer.")


class OwnFiles:
    """A tar of a container's own files over its image's, with nothing that is mounted in it. `close` lets go of it."""

    def __init__(self, bundle: str) -> None:
        self._root = roots.open_own_files(bundle)
        self._directory = -1
        try:
            self._directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root.fd)
        except BaseException:
            self._root.close()
            raise
        self._chunks = archives.pack(self._directory, ".", "")

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
            self._root.close()


def commit(store: Store, config: Mapping[str, Any], meta: Mapping[str, Any], spec: specs.Commit) -> Image:
    """Store a container's changes as an image. Raises ImageError."""
    image = store.find(meta["image_id"])
    if image is None:
        raise ImageError(
            f"cannot commit container '{meta['name']}': its image is no longer in the store",
            hint="run composer export, then composer image import",
        )
    if image.programs:
        raise Unsupported(
            "image",
            f"cannot commit container '{meta['name']}': containers of image 'host' cannot be committed",
            hint="copy the files that you need with composer cp",
        )
    upper = os.open(records.extras(config)["overlay"]["upper"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        chunks = archives.pack(upper, ".", "", describe(upper, _hidden(config)))
        made = {
            "config": merged(_configuration(image.config, config, meta), checked_changes(spec.changes)),
            "created": dates.utc_ns(time.time_ns()),
            "created_by": " ".join(config["process"]["args"]),
            "author": spec.author,
            "comment": spec.message,
        }
        return store.commit(image, chunks, made, spec.reference)
    except CopyFailed as error:
        raise ImageError(f"cannot commit container '{meta['name']}': {error}", hint=error.hint) from error
    finally:
        os.close(upper)


# ------------------------------------------------------------------ the layer


def _hidden(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the files that were made to be mounted over, and nobody has seen."""
    mounted = {entry["destination"].strip("/") for entry in config["mounts"]}
    return _ETC & mounted


def describe(top: int, hidden: frozenset[str]) -> Callable[[archives.Found], list[tarfile.TarInfo]]:
    """Return what says how an entry of an upper directory stands in a layer."""

    def headers(found: archives.Found) -> list[tarfile.TarInfo]:
        state, name = found.state, found.name
        if found.base.startswith(_WHITEOUT):
            raise CopyFailed(
                f"'{name}' is a reserved name in image layers (whiteout)",
                hint="remove or rename it",
            )
        if stat.S_ISCHR(state.st_mode) and state.st_rdev == 0:
            return [_whiteout(name, found.base)]
        if stat.S_ISREG(state.st_mode):
            _refuse_redirects(found)
            return [] if name in hidden and not state.st_size else archives.describe_plainly(found)
        infos = archives.describe_plainly(found)
        if stat.S_ISDIR(state.st_mode):
            _refuse_redirects(found)
            if name in _KERNEL and _is_empty(found):
                return []
            if _xattr(found, _OPAQUE_XATTR) == b"y":
                infos.append(_plain(f"{name}/.wh..wh..opq"))
        return infos

    return headers


def _is_empty(found: archives.Found) -> bool:
    fd = os.open(found.base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.parent)
    try:
        return not os.listdir(fd)
    finally:
        os.close(fd)


def _by_fd(found: archives.Found) -> str:
    return f"/proc/self/fd/{found.parent}/{found.base}"


def _xattr(found: archives.Found, key: str) -> bytes | None:
    try:
        return os.getxattr(_by_fd(found), key, follow_symlinks=False)
    except OSError:
        return None  # it has none


def _refuse_redirects(found: archives.Found) -> None:
    for key in _UNREADABLE_XATTRS:
        if _xattr(found, key) is not None:
            raise CopyFailed(
                f"'{found.name}' is stored as a reference to another layer",
                hint="set redirect_dir and metacopy of this kernel's overlay module to N",
            )


def _whiteout(name: str, base: str) -> tarfile.TarInfo:
    return _plain(f"{name[: len(name) - len(base)]}{_WHITEOUT}{base}")


def _plain(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    return info


# ------------------------------------------------------------------ the configuration


def _configuration(
    image: Mapping[str, Any], config: Mapping[str, Any], meta: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an image needs to run as the container does, in the image configuration's words.

    The labels by which a project knows its containers stay out: whatever ran from the image would be taken for one.
    """
    process = config["process"]
    unwanted = {f"HOSTNAME={config.get('hostname')}"} | ({"TERM=xterm"} if process.get("terminal") else set())
    labels = {k: v for k, v in meta["labels"].items() if not k.startswith(_OWN_LABELS)}
    made = {
        **image,
        "Env": [entry for entry in process["env"] if entry not in unwanted],
        "Labels": labels,
        **_command(image, process["args"]),
    }
    if process["user"].get("name", "0") != "0" or image.get("User"):
        made["User"] = process["user"]["name"]
    if process.get("cwd", "/") != "/" or image.get("WorkingDir"):
        made["WorkingDir"] = process["cwd"]
    if meta["exposed"]:
        made["ExposedPorts"] = {port: {} for port in meta["exposed"]}
    return {**made, **_end_and_health(image, records.extras(config))}


def _end_and_health(image: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stop signal and the health check, where they are not those of any image."""
    made: dict[str, Any] = {}
    number = int(extras["stop"]["signal"])
    if number != signal.SIGTERM or image.get("StopSignal"):
        made["StopSignal"] = signal.Signals(number).name if number in _SIGNALS else str(number)
    check = extras.get("health")
    if check:
        made["Healthcheck"] = {name: check[key] for key, name in _HEALTH.items() if check.get(key)}
    elif image.get("Healthcheck"):
        made["Healthcheck"] = {"Test": ["NONE"]}
    return made


_SIGNALS = frozenset(map(int, signal.Signals))
_HEALTH = {
    "test": "Test",
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
    "retries": "Retries",
}


def _command(image: Mapping[str, Any], arguments: list[str]) -> dict[str, Any]:
    head = list(image.get("Entrypoint") or ())
    if arguments == [*head, *(image.get("Cmd") or ())]:
        return {}
    if head and arguments[: len(head)] == head:
        return {"Cmd": arguments[len(head) :]}
    return {"Entrypoint": None, "Cmd": arguments}


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with changes: variables and labels by their names, sets united, the rest replaced."""
    result = dict(config)
    for key, value in changes.items():
        if key == "Env":
            new = {entry.partition("=")[0] for entry in value}
            kept = [entry for entry in config.get("Env") or () if entry.partition("=")[0] not in new]
            result["Env"] = [*kept, *value]
        elif key in ("Labels", "Volumes", "ExposedPorts"):
            result[key] = {**(config.get(key) or {}), **value}
        else:
            result[key] = value
        if key == "Entrypoint" and "Cmd" not in changes:
            result["Cmd"] = None  # as in a Dockerfile: a new entrypoint makes the inherited command void
    return {key: value for key, value in result.items() if value is not None}
