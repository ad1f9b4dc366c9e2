"""A service's volumes, tmpfs, configs and secrets as mounts of an OCI configuration.

Docker's defaults: a bind is private, a volume follows the host, and what is read-only is so all the way down.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from composer import errors, mounttargets
from composer.runtime.base import files, records, state
from composer.runtime.objects import naming, specs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.runtime.base.record_types import MountRecord
    from composer.runtime.images import Image
    from composer.runtime.objects.volumes import Volumes

    Mount = dict[str, Any]


def mounts_from(paths: state.Paths, spec: specs.Container) -> list[specs.Mount]:
    """Return the volumes and binds of other containers (``volumes_from``), without those that are replaced here."""
    taken = {entry.target.rstrip("/") for entry in spec.mounts}
    found: list[specs.Mount] = []
    for text in spec.volumes_from:
        name, _, access = str(text).partition(":")
        meta = records.meta(paths.container(naming.find_container(paths, name)))
        for mount in meta["mounts"] if meta is not None else ():
            if mount["type"] == "tmpfs" or mount["target"].rstrip("/") in taken:
                continue
            taken.add(mount["target"].rstrip("/"))
            source = mount["name"] if mount["type"] == "volume" else mount["source"]
            read_only = access == "ro" or (bool(mount.get("read_only")) and access != "rw")
            anonymous = bool(mount.get("anonymous"))
            found.append(specs.Mount(mount["type"], source, mount["target"], read_only, anonymous=anonymous))
    return found


class Images(Protocol):
    """Where images are found by name."""

    def find(self, name: str) -> Image | None: ...


class Wanted:
    """What one container is to have mounted. New anonymous volumes are noted in ``made``.

    ``directory`` is where the container's files are being made, ``final`` where they will be.
    """

    def __init__(
        self,
        spec: specs.Container,
        image: Image,
        volumes: Volumes,
        images: Images,
        directory: str,
        final: str,
        made: list[str],
    ) -> None:
        self._spec, self._image, self._volumes, self._images = spec, image, volumes, images
        self._directory, self._final, self._made = directory, final, made

    def mounts(self, entries: list[specs.Mount]) -> tuple[list[Mount], list[MountRecord]]:
        """Return (OCI mounts, what `ps` and the planner are shown of them)."""
        covered = {entry.target.rstrip("/") for entry in entries}
        declared = self._image.config.get("Volumes") or ()
        anonymous = [specs.Mount("volume", None, one) for one in declared if one.rstrip("/") not in covered]
        for entry in anonymous:
            reason = mounttargets.problem(entry.target)
            if reason:
                raise errors.BackendError(
                    f"cannot run image '{self._spec.image}' in {self._spec.subject}: it declares a "
                    f"volume at {entry.target}, and {reason}",
                    hint="correct the VOLUME instruction of the image",
                )
        pairs = [self._mount(entry) for entry in [*entries, *anonymous]]
        return [mount for mount, _ in pairs], [shown for _, shown in pairs]

    def _mount(self, entry: specs.Mount) -> tuple[Mount, MountRecord]:
        if entry.type == "tmpfs":
            return _tmpfs(entry), {"type": "tmpfs", "target": entry.target, "source": ""}
        if entry.type == "bind":
            return _bind(entry, self._spec), _shown(entry, source=entry.source or "")
        if entry.type == "volume":
            return self._of_volume(entry)
        if entry.type == "image":
            return self._of_image(entry), _shown(entry._replace(read_only=True), source=entry.source or "")
        raise errors.Unsupported(
            "volumes",
            f"cannot mount {entry.target} in {self._spec.subject}: "
            f"mount type '{entry.type}' is not supported by the built-in runtime",
        )

    def _of_volume(self, entry: specs.Mount) -> tuple[Mount, MountRecord]:
        name = entry.source
        if name is None:
            name = self._volumes.create_anonymous({})
            self._made.append(name)
        data, filesystem = self._volumes.data(name), self._volumes.filesystem(name)
        entry = entry._replace(read_only=entry.read_only or (filesystem.is_bind and filesystem.is_read_only))
        shown: MountRecord = {
            **_shown(entry, source=data),
            "name": name,
            "anonymous": entry.anonymous or entry.source is None,
        }
        mount = _volume(entry, data)
        if filesystem.is_mounted:
            # for whoever looks into the container while it does not run, when this is not mounted
            mount["filesystem"] = {"name": name, **filesystem._asdict()}
        return mount, shown

    def _of_image(self, entry: specs.Mount) -> Mount:
        """Show the files of an image, which stays in the store as long as the container does."""
        image = self._images.find(str(entry.source))
        if image is None or image.programs:
            raise errors.NotFound(
                f"cannot mount image '{entry.source}' in {self._spec.subject}: no such image",
                hint="run composer image pull, load or import",
            )
        # An overlay of one layer needs another below it; and a place to be mounted at before it is bound.
        for name in ("empty", "image"):
            os.makedirs(f"{self._directory}/{name}", 0o755, exist_ok=True)
        mount = {
            "destination": entry.target,
            "type": "bind",
            "source": f"{self._final}/image",
            "options": ["rbind", "ro", "rprivate"],
            "layers": [*image.layers, f"{self._final}/empty"],
        }
        if entry.options.get("subpath"):
            mount["subpath"] = entry.options["subpath"]
        return mount


def _shown(entry: specs.Mount, *, source: str) -> MountRecord:
    return {"type": entry.type, "target": entry.target, "source": source, "read_only": entry.read_only}


def _tmpfs(entry: specs.Mount) -> Mount:
    options = ["nosuid", "nodev", "noexec", *entry.options.get("options", ())]
    if entry.options.get("size"):
        options.append(f"size={entry.options['size']}")
    if entry.options.get("mode") is not None:
        options.append(f"mode={int(entry.options['mode']):o}")
    if entry.read_only:
        options.append("ro")
    return {"destination": entry.target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _make_source(source: str, spec: specs.Container) -> None:
    """Create a missing bind source on the host, as Docker does."""
    try:
        os.makedirs(source, 0o755, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else str(error)
        raise errors.BackendError(
            f"cannot create directory {source} for {spec.subject}: {reason}",
            hint="correct the source of the mount, or create it manually",
        ) from error


def _bind(entry: specs.Mount, spec: specs.Container) -> Mount:
    source = str(entry.source)
    if not os.path.lexists(source):
        if entry.options.get("create_host_path") is False:
            raise errors.NotFound(
                f"cannot mount {source} in {spec.subject}: no such file or directory",
                hint="create it, or set bind.create_host_path: true",
            )
        _make_source(source, spec)
    if entry.options.get("selinux") and os.path.exists(_SELINUX):
        raise errors.Unsupported(
            "volumes",
            f"cannot mount {source} in {spec.subject}: SELinux relabeling is not supported by the built-in runtime",
            hint="remove z or Z, and label the directory with chcon -t container_file_t",
        )
    propagation = entry.options.get("propagation") or "rprivate"
    if propagation.endswith("shared"):
        _check_shared(source, entry, spec)
    options = ["bind" if entry.options.get("recursive") == "disabled" else "rbind", propagation]
    if entry.read_only:
        options.append(_READ_ONLY.get(str(entry.options.get("recursive")), "rro"))
    return {
        "destination": entry.target,
        "type": "bind",
        "source": os.path.realpath(source),
        "options": options,
    }


_SELINUX = "/sys/fs/selinux/enforce"
"""There where SELinux is on; elsewhere ``z`` and ``Z`` have nothing to do, as with Docker."""

_READ_ONLY = {"writable": "ro", "disabled": "ro"}
"""``rro`` is runc's word for a mount that is read-only with all that is mounted below it: Docker's default."""


def _check_shared(source: str, entry: specs.Mount, spec: specs.Container) -> None:
    """Refuse to share what the host does not share: nothing would ever come of it."""
    path = os.path.realpath(source)
    best, tags = "", list[str]()
    for point, fields in state.mount_points():
        if len(point) >= len(best) and f"{path}/".startswith(point.rstrip("/") + "/"):
            best, tags = point, fields
    if not any(tag.startswith("shared:") for tag in tags):
        raise errors.BackendError(
            f"cannot mount {source} with propagation '{entry.options['propagation']}' in "
            f"{spec.subject}: it is mounted on {best}, which is not shared",
            hint=f"run mount --make-shared {best}, or use rslave",
        )


def _volume(entry: specs.Mount, data: str) -> Mount:
    options = ["rbind", "rslave"]
    if not entry.options.get("nocopy"):
        options.append("copyup")
    if entry.read_only:
        options.append("rro")
    # Whoever starts it follows no link: what is one by then was put there by somebody else.
    source = os.path.realpath(data)
    mount: Mount = {"destination": entry.target, "type": "bind", "source": source, "options": options}
    if entry.options.get("subpath"):
        # Looked up at each start: whoever else has the volume may change what is there (CVE-2017-1002101).
        mount["subpath"] = entry.options["subpath"]
    return mount


def layers_of_programs(path: str, layers: Sequence[str]) -> list[str]:
    """Return what layers (topmost first) have in a directory of the host's programs, for the options of its mount."""
    found = []
    for layer in layers:
        own = f"{layer}{path}"
        if os.path.isdir(own) and not os.path.islink(own) and os.listdir(own):
            found.append(own)
    return [f"layer={own}" for own in found]


def programs(path: str, layers: Sequence[str], directory: str, final: str) -> Mount:
    """Show a directory of the host, what the image's layers have in it, and a writable layer of the container's own."""
    name = path.strip("/")
    for kind in ("upper", "work", "empty"):
        os.makedirs(f"{directory}/programs/{name}/{kind}", 0o755)
    layer = f"{final}/programs/{name}"
    options = [f"lowerdir={path}", f"upperdir={layer}/upper", f"workdir={layer}/work"]
    options += layers_of_programs(path, layers)
    return {"destination": path, "type": "overlay", "source": "overlay", "options": options}


def file_mount(entry: specs.File, index: int, directory: str, final: str) -> Mount:
    """Bind a config or secret: the host's own file, or a copy of the content with the wanted owner and mode.

    Of a host's file that is to have another owner or mode a copy is made, too: the file itself is the user's.
    """
    content = entry.content
    is_changed = entry.uid is not None or entry.gid is not None or entry.mode is not None
    if content is None and is_changed and os.path.isfile(str(entry.source)):
        with open(str(entry.source), "rb") as file:
            content = file.read()
    if content is None:
        source = str(entry.source)
        if not os.path.exists(source):
            raise errors.NotFound(
                f"cannot find {source}, the file of {entry.kind} '{entry.name}'",
                hint="create the file, or correct its path",
            )
        return {
            "destination": entry.target,
            "type": "bind",
            "source": os.path.realpath(source),
            "options": ["rbind", "rro", "rprivate"],
        }
    name = f"files/{index}"
    files.write_bytes(f"{directory}/{name}", content, mode=0o444 if entry.mode is None else entry.mode)
    if entry.uid or entry.gid:
        os.chown(f"{directory}/{name}", int(entry.uid or 0), int(entry.gid or 0))
    return {
        "destination": entry.target,
        "type": "bind",
        "source": f"{final}/{name}",
        "options": ["rbind", "ro", "rprivate"],
    }


def etc_mounts(directory: str, taken: set[str], *, read_only: bool) -> list[Mount]:
    """Bind the files of /etc that are the runtime's, read-only where the whole root is."""
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{directory}/{name}",
            "options": ["rbind", "rprivate", *(["ro"] if read_only else [])],
        }
        for name in ("hosts", "hostname", "resolv.conf")
        if f"/etc/{name}" not in taken
    ]


def arrange(config: dict[str, Any], mounts: list[Mount]) -> None:
    """Put a container's mounts behind ours, parents before children; one at the same place replaces ours.

    But for /proc: what is mounted there is mounted over ours, or refused. The programs of the host come first of all:
    they are the image's. With a /dev of its own a container has nothing of ours in there.
    """
    taken = {os.path.normpath(mount["destination"]) for mount in mounts if mount["type"] != "overlay"} - {
        "/proc"
    }
    own = [mount for mount in config["mounts"] if mount["destination"] not in taken]
    if any(mount["type"] != "tmpfs" for mount in mounts if os.path.normpath(mount["destination"]) == "/dev"):
        own = [mount for mount in own if not mount["destination"].startswith("/dev/")]
    programs = [mount for mount in mounts if mount["type"] == "overlay"]
    theirs = sorted(
        (mount for mount in mounts if mount["type"] != "overlay"),
        key=lambda mount: os.path.normpath(mount["destination"]).count("/"),
    )
    # The cgroup mount goes last, for it has to wait; but for what is to be mounted inside it.
    late = [mount for mount in own if mount["type"] == "cgroup"]
    inside = [mount for mount in theirs if mount["destination"].startswith("/sys/fs/cgroup")]
    config["mounts"] = [
        *programs,
        *(mount for mount in own if mount not in late),
        *(mount for mount in theirs if mount not in inside),
        *late,
        *inside,
    ]
