"""What this machine can do for the built-in runtime, for ``composer doctor``. Reads, and tries one overlay mount.

Each check is a function that yields findings; `CHECKS` lists them in the order in which they are shown. A check
that comes before the imports of the runtime's own modules must work on any operating system.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BackendError
from composer.runtime.base import requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.runtime.base.state import Paths

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_NEEDED = ("SYS_ADMIN", "NET_ADMIN", "SYS_CHROOT", "MKNOD", "SETUID", "SETGID")
_LIMITS = {"memory": "memory", "cpu": "cpus", "pids": "pids_limit"}
_LOW_BYTES = 1 << 30
_LOW_INODES = 20_000
_UNSHARE_FAILED, _MOUNT_FAILED = 3, 4


class Finding(NamedTuple):
    """One thing that was found. ``level``: ``ok``, ``note``, ``warning`` or ``missing``. ``hint`` is the remedy."""

    level: str
    subject: str
    text: str
    hint: str | None = None


def diagnose(environment: Mapping[str, str]) -> list[Finding]:
    """Look at this machine. On anything but Linux that is one line."""
    try:
        requirements.check()
    except BackendError as error:
        found = Finding("missing", "system", str(error), error.hint)
        if requirements.is_linux():
            return [found, *_privileges()]
        return [found]
    from composer.runtime.base import state

    paths = state.paths_of(environment)
    return [finding for check in CHECKS for finding in check(paths)]


def _kernel(paths: Paths) -> Iterator[Finding]:
    machine = os.uname()
    yield Finding("ok", "kernel", f"{machine.sysname} {machine.release}, {machine.machine}")


def _privileges(paths: Paths | None = None) -> Iterator[Finding]:
    from composer.runtime.base import capabilities

    held = capabilities.names(int(_status("CapEff"), 16))
    lacking = [name for name in _NEEDED if name not in held]
    if not lacking:
        yield Finding("ok", "privileges", f"root, with {len(held)} capabilities")
    elif os.geteuid() == 0:
        yield Finding(
            "missing",
            "privileges",
            f"root without capabilities {', '.join(lacking)}",
            "when running inside a container, add these capabilities to it or set privileged: true",
        )
    limit = _read("/proc/sys/user/max_user_namespaces")
    switch = _read("/proc/sys/kernel/unprivileged_userns_clone")
    if limit == "0" or switch == "0":
        yield Finding("note", "user namespaces", "disabled for unprivileged users (not needed as root)")
    elif _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        yield Finding(
            "note", "user namespaces", "restricted by AppArmor for unprivileged users (not needed as root)"
        )
    elif limit is not None:
        yield Finding("ok", "user namespaces", f"up to {limit}")


def _namespaces(paths: Paths) -> Iterator[Finding]:
    lacking = [name for name in _NAMESPACES if not os.path.exists(f"/proc/self/ns/{name}")]
    if lacking:
        yield Finding(
            "missing",
            "namespaces",
            f"namespaces not supported by this kernel: {', '.join(lacking)}",
            "use a kernel built with CONFIG_NAMESPACES and its suboptions",
        )
    else:
        yield Finding("ok", "namespaces", ", ".join(_NAMESPACES))


def _overlay(paths: Paths) -> Iterator[Finding]:
    """Try it: whether an overlay can be mounted depends on the kernel, on rights and on the file system below."""
    base = _existing(paths.root)
    try:
        with tempfile.TemporaryDirectory(prefix=".composer-doctor-", dir=base) as directory:
            number = _try_overlay(directory)
    except OSError as error:
        yield Finding(
            "missing",
            "state directory",
            f"cannot write to '{base}': {(error.strerror or str(error)).lower()}",
            "set COMPOSER_ROOT to a writable directory",
        )
        return
    if number == 0:
        yield Finding("ok", "overlayfs", f"works on '{base}'")
    elif number == _UNSHARE_FAILED:
        yield Finding(
            "missing",
            "namespaces",
            "cannot create a mount namespace",
            "when running inside a container, set privileged: true for it",
        )
    else:
        yield Finding(
            "missing",
            "overlayfs",
            f"does not work on '{base}'",
            "run modprobe overlay, or set COMPOSER_ROOT to a directory on a local disk "
            "(neither an overlay itself nor a network file system)",
        )


_WAYS = {
    "reflink": "restored by sharing blocks",
    "overlay": "restored by overlays: this file system cannot share blocks (Btrfs and XFS can)",
    "copy": "restored by full copies: this file system can neither share blocks nor carry overlays",
}


def _snapshots(paths: Paths) -> Iterator[Finding]:
    """Say how data comes back here; and of which volume it never will, because somebody has removed what is below."""
    from composer.runtime.objects.volumes import Volumes
    from composer.runtime.snapshots.placing import way_here
    from composer.runtime.snapshots.store import Snapshots

    volumes = Volumes(paths)
    store = Snapshots(paths, volumes)
    try:
        with tempfile.TemporaryDirectory(prefix=".composer-doctor-", dir=_existing(paths.root)) as directory:
            way = way_here(directory)
    except OSError:
        return  # the check before this one has said so
    count = sum(1 for _ in store.all())
    yield Finding("ok", "snapshots", f"{count}, {_WAYS[way]}")
    for journal in store.journals():
        yield Finding(
            "warning",
            "snapshots",
            f"a restore of data of project '{journal['project']}' is under way, or was interrupted",
            "run it again: that says what it cannot be finished for",
        )
    for record in volumes.all():
        over = record.get("over")
        if over is not None and not os.path.isdir(store.files(over["snapshot"], over["part"])):
            yield Finding(
                "warning",
                "snapshots",
                f"volume '{record['name']}' cannot be mounted: the files of the snapshot that it was restored from "
                f"are missing ({store.files(over['snapshot'], over['part'])})",
                "restore it from another snapshot, or remove it with composer volume rm",
            )


def _try_overlay(directory: str) -> int:
    """Mount an overlay in a mount namespace of a child's own, which takes the mount along when it ends."""
    from composer.runtime.base import syscalls

    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{directory}/{name}")
    child = os.fork()
    if child == 0:
        code = _UNSHARE_FAILED
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount(None, "/", None, syscalls.MS_PRIVATE | syscalls.MS_REC)
            code = _MOUNT_FAILED
            os.chdir(directory)  # short names: the option string of a mount has a limit
            syscalls.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work")
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _seccomp(paths: Paths) -> Iterator[Finding]:
    if _read("/proc/sys/kernel/seccomp/actions_avail") is None:
        yield Finding(
            "missing",
            "seccomp",
            "seccomp filters are not supported by this kernel",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        )
    else:
        yield Finding("ok", "seccomp", "filters")


def _cgroups(paths: Paths) -> Iterator[Finding]:
    from composer.runtime.container import cgroups

    found = cgroups.detect()
    numbered = {name for name in found.v1 if "=" not in name}
    mode = "hybrid" if found.v2 and numbered else "v2" if found.v2 else "v1" if numbered else ""
    if not mode:
        yield Finding(
            "missing",
            "cgroups",
            "no writable cgroup hierarchy is mounted",
            "run mount -t cgroup2 none /sys/fs/cgroup",
        )
        return
    has = numbered | found.v2_controllers
    yield Finding("ok", "cgroups", f"{mode}: {', '.join(sorted(has)) or 'no controllers'}")
    lacking = [attribute for name, attribute in _LIMITS.items() if name not in has]
    if lacking:
        yield Finding(
            "warning",
            "cgroups",
            f"no controller for {', '.join(lacking)}: these limits are ignored",
            "boot with cgroup_enable=memory, or enable the controller in the parent's cgroup.subtree_control",
        )


def _nftables(paths: Paths) -> Iterator[Finding]:
    from composer.runtime.network import firewall, nftables

    try:
        nftables.run("list tables\n")
        obstacles = firewall.obstacles()
    except (OSError, BackendError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield Finding(
            "missing",
            "nftables",
            f"not usable: {reason.lower()}",
            "install it: apt-get install nftables (or dnf, apk); the kernel needs nf_tables",
        )
        return
    yield Finding("ok", "nftables", "the library" if nftables.load() else "the nft command")
    for name in obstacles:
        yield Finding(
            "warning",
            "forwarding",
            f"chain '{name}' drops packets by default: containers may have no external network access",
            f"accept packets to and from interfaces cmp* in that chain: nft list chain {name}",
        )
    if _read("/proc/sys/net/ipv4/ip_forward") == "0":
        yield Finding(
            "note", "forwarding", "disabled; it is enabled with the first network that is not internal"
        )


def _dns(paths: Paths) -> Iterator[Finding]:
    from composer.runtime.network import resolv_conf

    servers = resolv_conf.parse_resolv_conf(_read(resolv_conf.ETC) or "").nameservers
    if servers:
        yield Finding("ok", "DNS", f"external names are resolved by {', '.join(servers)}")
    else:
        yield Finding(
            "warning",
            "DNS",
            f"no nameserver in '{resolv_conf.ETC}': containers can only resolve each other",
            "add a nameserver line to it, or set dns for the services",
        )


def _disk(paths: Paths) -> Iterator[Finding]:
    place = _existing(paths.root)
    usage = os.statvfs(place)
    free, inodes = usage.f_bavail * usage.f_frsize, usage.f_favail
    text = f"{free / 1e9:.1f} GB free at '{paths.root}'"
    if free < _LOW_BYTES or (usage.f_files > 0 and inodes < _LOW_INODES):
        if free >= _LOW_BYTES:
            text = f"{inodes} inodes free at '{paths.root}'"
        yield Finding(
            "warning",
            "disk",
            text,
            "free up disk space: run composer image prune, or set COMPOSER_ROOT to a directory on another disk",
        )
    else:
        yield Finding("ok", "disk", text)


def _leftovers(paths: Paths) -> Iterator[Finding]:
    from composer.runtime.host import leftovers

    found = leftovers.find(paths)
    for one in found:
        yield Finding(
            "warning", "leftovers", one.text, f"{one.hint} (composer doctor --clean removes all of them)"
        )
    if not found:
        yield Finding("ok", "leftovers", "none")


def _intact(paths: Paths) -> Iterator[Finding]:
    """Compare what the kernel has of networks in use with what the records say."""
    from composer.runtime.objects import kernel_state

    try:
        found = kernel_state.network_faults(paths)
    except OSError as error:
        yield Finding("warning", "networks", f"cannot be checked: {(error.strerror or str(error)).lower()}")
        return
    for id, faults in sorted(found.items()):
        name = _name(paths, id)
        yield Finding("warning", "networks", f"'{name}': {'; '.join(faults)}", "restore it with composer up")
    if not found:
        yield Finding("ok", "networks", "the network state of running containers is complete")


def _name(paths: Paths, network_id: str) -> str:
    from composer.runtime.base import records

    record = records.network(f"{paths.networks()}/{network_id}")
    return record["name"] if record is not None else network_id[:12]


def _records(paths: Paths) -> Iterator[Finding]:
    """Look for objects whose records cannot be read."""
    from composer.runtime.host import repair

    found = repair.find(paths)
    for one in found:
        yield Finding(
            "warning",
            "records",
            str(one),
            "run composer doctor --repair: it repairs the record, or moves it away",
        )
    if not found:
        yield Finding("ok", "records", "all records are readable")


def _cache(paths: Paths) -> Iterator[Finding]:
    """Look for build steps and images without their files. Digests are computed again by --repair, which takes long."""
    from composer.runtime.host import repair

    found = repair.cache_damage(paths, reads_all=False)
    for one in found:
        hint = (
            "run composer doctor --repair: it drops the step" if one.step else "build or pull the image again"
        )
        yield Finding("warning", "build cache", str(one), hint)
    if not found:
        yield Finding(
            "ok", "build cache", "every step and image has its files (--repair computes their digests again)"
        )


CHECKS: tuple[Callable[[Paths], Iterator[Finding]], ...] = (
    _kernel,
    _privileges,
    _namespaces,
    _overlay,
    _snapshots,
    _seccomp,
    _cgroups,
    _nftables,
    _dns,
    _disk,
    _records,
    _cache,
    _intact,
    _leftovers,
)


def _existing(path: str) -> str:
    """Return the directory itself, or the nearest one above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _status(key: str) -> str:
    for line in (_read("/proc/self/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return value.strip()
    return "0"
