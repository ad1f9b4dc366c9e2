"""The first process of a container, from its birth in new namespaces to execve. Never returns.

    supervisor                                   container (pid 1 of its namespaces)
    clone3(new namespaces) ───────────────────►  keyring, cgroups, cgroup namespace
    veth pairs into the namespace                overlay, mounts of ours
    {"network": [interfaces]} ────────────────►  addresses, routes; DNS sockets and their rules
                               ◄──────────────── {"sockets": true} + descriptors
    {"mounts": true} ─────────────────────────►  mounts of what others can change, where there are any
                                                 devices, console, sysctls, masks, pivot_root, stdio
                               ◄──────────────── {"ready": true, "warnings": […]}
    (endpoints, ports are published)
    {"start": true} ──────────────────────────►  identity, seccomp, execve
                               ◄──────────────── end of file: it runs;  {"error": …}: it does not

A start that is prepared ahead waits where the first of ``mounts`` and ``start`` is due.

One message per packet on a SOCK_SEQPACKET pair; each side names the message that it expects. Everything that
Python may need is imported before the clone: afterwards a lazy import would load code of the image as root.
"""

from __future__ import annotations

import _thread
import array
import json
import os
import signal
import socket
import sys

from composer.runtime.base import syscalls
from composer.runtime.container import birth, cgroups, console, hooks, mounts, process, rootfs, sharing
from composer.runtime.network import firewall, netlink, nftables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

NAMESPACES = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "network": syscalls.CLONE_NEWNET,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "time": syscalls.CLONE_NEWTIME if syscalls.has_time_namespaces() else 0,
}
_OWN_KINDS = frozenset({"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "overlay"})


class Launch:
    """What the child needs, prepared by the parent before the clone."""

    __slots__ = (
        "bundle",
        "cgroup",
        "config",
        "filter",
        "note",
        "owners",
        "stderr",
        "stdin",
        "stdout",
        "sync",
    )

    def __init__(
        self,
        config: Mapping[str, Any],
        bundle: str,
        *,
        sync: socket.socket,
        cgroup: cgroups.Cgroup,
        filter: bytes | None,
        owners: Mapping[str, int],
        note: birth.Note,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        self.config = config
        self.bundle = bundle
        self.sync = sync
        self.cgroup = cgroup
        self.filter = filter
        self.owners = owners
        self.note = note
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


def namespace_flags(config: Mapping[str, Any]) -> int:
    """Return the clone flags of the namespaces that are to be new; the cgroup one comes after joining."""
    flags = 0
    for entry in config["linux"]["namespaces"]:
        if not entry.get("path") and not entry.get("container"):
            flags |= NAMESPACES[entry["type"]]
    if config.get("composer", {}).get("time_namespace"):
        flags |= NAMESPACES["time"]
    return flags & ~syscalls.CLONE_NEWCGROUP


def run(launch: Launch) -> NoReturn:
    """Set the container up and execute its program; report any failure to the parent and exit."""
    try:
        _run(launch)
    except process.ProcessFailed as error:
        _report(launch.sync, str(error), error.exit_code)
    except rootfs.MountFailed as error:
        _report(launch.sync, str(error), 125)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _report(launch.sync, f"cannot set up the container: {error.strerror or error}{where}", 125)
    except BaseException as error:
        # A traceback here would read source files of the image: the type and the text must do.
        _report(launch.sync, f"cannot set up the container: {type(error).__name__}: {error}", 125)
    os._exit(125)


def _report(sync: socket.socket, message: str, exit_code: int) -> None:
    try:
        sync.send(json.dumps({"error": message, "exit_code": exit_code}).encode())
    except OSError:
        pass  # the supervisor is gone: the next one sees the exit code


def _run(launch: Launch) -> None:
    config, sync = launch.config, launch.sync
    warnings = _detach(launch)
    shared = sharing.join(launch.owners)
    joining = _Joining(launch.cgroup)
    extras = config.get("composer", {})
    state = os.path.dirname(os.path.dirname(launch.bundle))
    mounts.open_shared(config["mounts"], state)
    root = rootfs.mount_root(os.path.join(launch.bundle, config["root"]["path"]), extras.get("overlay"))
    entries = config["mounts"]
    making = mounts.Mounts(root, config, launch.cgroup, state, proc=shared.proc)
    later, outside = _index_of_cgroup_mount(entries), index_of_outside(config, launch.bundle)
    first = min(later, outside)
    making.apply(entries[:first])
    if shared.shm >= 0:
        sharing.mount_shm(root, shared.shm)
    if namespace_flags(config) & syscalls.CLONE_NEWNET:
        _configure_network(sync, _expect(sync, "network")["network"])
    if outside < len(entries):
        _expect(sync, "mounts")
    making.apply(entries[first:later])
    joining.wait()
    if any(entry["type"] == "cgroup" and not entry.get("path") for entry in config["linux"]["namespaces"]):
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    making.apply(entries[later:])
    making.finish()
    warnings += making.warnings
    spec = config["process"]
    identity = process.resolve_identity(root, *process.user_of(spec["user"]))
    terminal = None
    if spec.get("terminal"):
        terminal = console.open_console(root, identity.uid)
        size = spec.get("consoleSize")
        if size:
            console.set_size(terminal.master, size["height"], size["width"])
        console.send_master(sync, terminal)
    null = rootfs.open_null(root)
    rootfs.set_sysctls(config["linux"].get("sysctl", {}), sharing.foreign_kinds(config))
    rootfs.mask_paths(root, config["linux"].get("maskedPaths", ()), config["linux"].get("readonlyPaths", ()))
    hooks.run(config, launch.bundle)
    forget_imports()
    rootfs.pivot(root, readonly=bool(config["root"].get("readonly")))
    os.close(root)
    if sharing.has_own(config, "uts"):
        if config.get("hostname"):
            syscalls.sethostname(config["hostname"])
        if config.get("domainname"):
            syscalls.setdomainname(config["domainname"])
    os.umask(spec["user"].get("umask", 0o022))
    _take_stdio(launch, null, terminal, identity)
    process.enter_directory(spec.get("cwd", "/"), identity)
    warnings += process.set_limits(spec.get("rlimits", ()))
    sync.send(json.dumps({"ready": True, "warnings": warnings}).encode())
    environment = process.build_environment(spec.get("env", ()), identity)
    if "pid" in launch.owners:
        _go_inside(launch, identity)
        _expect(sync, "start")
    else:
        if terminal is not None:
            console.take_control()
        _expect(sync, "start")
        process.become(identity, spec, launch.filter)
    if extras.get("init"):
        supervise_as_init(sync)
    finish(sync.fileno(), spec["args"], environment)


def _go_inside(launch: Launch, identity: process.Identity) -> None:
    """Take on the container's identity, and continue as a child in the owner's pid namespace."""
    spec = launch.config["process"]
    sharing.join_pids(launch.owners)
    syscalls.close_all_but({0, 1, 2, launch.sync.fileno()})
    process.become(identity, spec, launch.filter)
    if birth.give(launch.note):
        os._exit(0)
    birth.lead_session(has_terminal=bool(spec.get("terminal")))


def _detach(launch: Launch) -> list[str]:
    """Leave everything of the supervisor behind: descriptors, session, keyring, memory that others might read.

    Descriptors at once: a copy of the supervisor's end of a socket would keep its other side from seeing that the
    supervisor has died, and so would a copy of a port that has been given back keep that port.
    """
    own = (launch.sync.fileno(), launch.stdin, launch.stdout, launch.stderr, *launch.owners.values())
    syscalls.close_all_but({0, 1, 2, *(fd for fd in own if fd >= 0)})
    nftables.forget_spares()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.set_process_name(syscalls.FIRST_PROCESS)
    process.reset_signals()
    os.setsid()
    warnings = join_keyring(launch.cgroup.name)
    try:
        process.set_oom_score(launch.config["process"].get("oomScoreAdj"))
    except PermissionError:
        warnings.append("oom_score_adj: cannot be lowered without CAP_SYS_RESOURCE")
    return warnings


def join_keyring(id: str) -> list[str]:
    """Leave our session keyring for the container's own. The name joins those of one container, and no others."""
    try:
        syscalls.join_session_keyring(f"_ses.{id}")
    except OSError as error:
        return [f"keyring: {error.strerror}"]
    return []


class _Joining:
    """Joining the cgroups, beside the mounts.

    Moving a process between v1 cgroups waits for an RCU grace period, 12 ms with HZ=250, in which this process
    can do the rest of its work: the write blocks without the interpreter's lock. The thread has ended before
    anything that is per thread (identity, capabilities, seccomp) is changed.
    """

    def __init__(self, cgroup: cgroups.Cgroup) -> None:
        self._error: OSError | None = None
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        _thread.start_new_thread(self._run, (cgroup,))

    def _run(self, cgroup: cgroups.Cgroup) -> None:
        try:
            cgroup.join()
        except OSError as error:
            self._error = error
        finally:
            self._ended.release()

    def wait(self) -> None:
        """Return when this process is in its cgroups."""
        self._ended.acquire()
        if self._error is not None:
            raise self._error


def _index_of_cgroup_mount(entries: Sequence[Mapping[str, Any]]) -> int:
    """Return where the mounts begin that need the cgroup namespace; all of them where there is none."""
    return next((i for i, entry in enumerate(entries) if entry["type"] == "cgroup"), len(entries))


def index_of_outside(config: Mapping[str, Any], bundle: str) -> int:
    """Return where the mounts begin that can show what others change: volumes, directories and files of the host.

    The length where there are none. Until these are made, it makes no difference when a container is set up.
    """
    entries: Sequence[Mapping[str, Any]] = config["mounts"]
    return next((i for i, entry in enumerate(entries) if _is_outside(entry, bundle)), len(entries))


def _is_outside(entry: Mapping[str, Any], bundle: str) -> bool:
    options = entry.get("options", ())
    if "bind" in options or "rbind" in options:
        return not str(entry["source"]).startswith(f"{bundle}/")
    # A read-only tmpfs is closed when the mounts behind it have been made: they may not come later than it.
    return entry["type"] not in _OWN_KINDS or (entry["type"] == "tmpfs" and "ro" in options)


def _expect(sync: socket.socket, name: str) -> dict[str, Any]:
    packet = sync.recv(1 << 17)
    if not packet:
        os._exit(125)  # the supervisor is gone: nobody would watch over this container
    message: dict[str, Any] = json.loads(packet)
    if name not in message:
        raise process.ProcessFailed(f"protocol error: expected {name}, got {', '.join(message)}")
    return message


def _configure_network(sync: socket.socket, network: Mapping[str, Any]) -> None:
    """Bring up loopback and the interfaces that the parent put here; hand back the sockets of the name server."""
    with netlink.Netlink() as link:
        loopback = link.link_index("lo")
        if loopback is not None:
            link.set_up(loopback)
        for interface in network.get("interfaces", ()):
            index = configure_interface(link, interface)
            for gateway in interface.get("gateways", ()):
                link.add_route(None, via=gateway, oif=index)
    if not network.get("dns"):
        return
    sockets = open_name_sockets()
    descriptors = array.array("i", [server.fileno() for server in sockets])
    sync.sendmsg(
        [json.dumps({"sockets": True}).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
    )
    for server in sockets:
        server.close()


def configure_interface(link: netlink.Netlink, interface: Mapping[str, Any]) -> int:
    """Give an interface of this network namespace its addresses, and set it up; return its index."""
    index = link.link_index(interface["name"])
    if index is None:
        raise process.ProcessFailed(f"timed out waiting for interface {interface['name']}")
    _set_up_ipv6(interface)
    for address, prefix in interface["addresses"]:
        link.add_address(index, address, prefix)
    link.set_up(index)
    for name, value in (interface.get("sysctls") or {}).items():
        rootfs.write_sysctl(name.split("/"), value)
    return index


def _set_up_ipv6(interface: Mapping[str, Any]) -> None:
    """Have IPv6 where the network has it, no link-local addresses elsewhere, and routes and addresses of ours alone.

    A neighbour that sends router advertisements would become the way out (CVE-2020-13401).
    """
    if not os.path.isdir("/proc/sys/net/ipv6/conf"):
        return  # a kernel without IPv6
    conf = ("net", "ipv6", "conf", interface["name"])
    rootfs.write_sysctl((*conf, "accept_ra"), "0")
    rootfs.write_sysctl((*conf, "autoconf"), "0")
    has = any(":" in address for address, _ in interface["addresses"])
    rootfs.write_sysctl((*conf, "disable_ipv6"), "0" if has else "1")


def open_name_sockets() -> list[socket.socket]:
    """Bind the name server's UDP and TCP sockets in this network namespace, and lead port 53 to them.

    They are on ports of their own, so that the container may run a name server on port 53 itself.
    """
    sockets = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        server = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        server.bind(("127.0.0.11", 0))
        if kind == socket.SOCK_STREAM:
            server.listen(16)
        sockets.append(server)
    firewall.container_dns(sockets[0].getsockname()[1], sockets[1].getsockname()[1])
    return sockets


def _take_stdio(
    launch: Launch, null: int, terminal: console.Console | None, identity: process.Identity
) -> None:
    if terminal is not None:
        terminal.to_stdio()
        return
    for number, given in enumerate((launch.stdin, launch.stdout, launch.stderr)):
        os.dup2(null if given < 0 else given, number)
        if given >= 0:
            # Programs open /dev/stdout anew: its owner must be the one who runs.
            os.fchown(number, identity.uid, identity.gid)


def forget_imports() -> None:
    """From here on nothing may be loaded: what is on the paths would be the image's."""
    sys.path[:] = []
    sys.meta_path[:] = []
    sys.path_hooks[:] = []


def supervise_as_init(sync: socket.socket) -> None:
    """Stay as pid 1 and let a child become the program: forward signals, reap, exit as it does (`init: true`).

    Returns in the child.
    """
    everything = set(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    # before the program runs: it may be ps
    syscalls.set_title("composer: init")
    syscalls.set_process_name("init")
    child = os.fork()
    if child == 0:
        syscalls.set_process_name(syscalls.FIRST_PROCESS)  # until it executes the program
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return
    sync.close()
    syscalls.close_range(3)
    while True:
        number = signal.sigwait(everything)
        if number != signal.SIGCHLD:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass  # it has just exited; SIGCHLD follows
            continue
        _reap_as_init(child)


def _reap_as_init(child: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            os._exit(0)
        if pid == 0:
            return
        if pid == child:
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def finish(report: int, arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> NoReturn:
    """Close every descriptor but stdio and ``report``, and execute, which closes that; a failure is written to it."""
    number = os.dup2(report, 3, inheritable=False) if report != 3 else 3
    syscalls.close_range(4)
    try:
        process.execute(arguments, environment)
    except process.ProcessFailed as error:
        os.write(number, json.dumps({"error": str(error), "exit_code": error.exit_code}).encode())
        os._exit(error.exit_code)
    except (ValueError, IndexError) as error:
        # A null byte in an argument or a variable, or no argument at all.
        message = f"cannot execute '{arguments[0] if arguments else ''}': {error}"
        os.write(number, json.dumps({"error": message, "exit_code": 125}).encode())
        os._exit(125)
