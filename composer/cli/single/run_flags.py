"""The flags of ``container run`` and ``create``: one row for each, with the attribute of a service that it sets.

Names and values are those of the docker CLI: https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

from typing import Any

from composer.cli.single.flags import Flag
from composer.cli.single.reading import (
    device,
    devices_of_gpus,
    duration,
    each,
    in_seconds,
    mapping,
    number,
    pair_of_device,
    shell_command,
    size,
    ulimits,
    words,
)


def _one(*names: str, path: str, metavar: str, help: str, read: Any = None) -> Flag:
    return Flag(names, help, tuple(path.split(".")), metavar, read=read)


def _many(*names: str, path: str, metavar: str, help: str, read: Any = None) -> Flag:
    return Flag(names, help, tuple(path.split(".")), metavar, "many", read)


def _switch(*names: str, path: str = "", help: str) -> Flag:
    return Flag(names, help, tuple(path.split(".")) if path else (), kind="switch")


LIMITS = (
    _one(
        "--blkio-weight",
        path="blkio_config.weight",
        metavar="N",
        read=number,
        help="Set the weight of block I/O, from 10 to 1000.",
    ),
    _one("--cpu-period", path="cpu_period", metavar="MICROSECONDS", read=number, help="Set the CPU period."),
    _one("--cpu-quota", path="cpu_quota", metavar="MICROSECONDS", read=number, help="Set the CPU quota."),
    _one(
        "--cpu-rt-period",
        path="cpu_rt_period",
        metavar="MICROSECONDS",
        read=number,
        help="Set the period of real-time scheduling.",
    ),
    _one(
        "--cpu-rt-runtime",
        path="cpu_rt_runtime",
        metavar="MICROSECONDS",
        read=number,
        help="Set the runtime of real-time scheduling.",
    ),
    _one(
        "-c", "--cpu-shares", path="cpu_shares", metavar="N", read=number, help="Set the weight of CPU time."
    ),
    _one("--cpus", path="cpus", metavar="N", read=float, help="Limit the number of CPUs."),
    _one("--cpuset-cpus", path="cpuset", metavar="LIST", help="Set the CPUs to run on, such as 0-3 or 0,1."),
    _one("-m", "--memory", path="mem_limit", metavar="SIZE", read=size, help="Set the memory limit."),
    _one(
        "--memory-reservation",
        path="mem_reservation",
        metavar="SIZE",
        read=size,
        help="Set how much memory is kept for the container.",
    ),
    _one(
        "--memory-swap",
        path="memswap_limit",
        metavar="SIZE",
        read=size,
        help="Limit memory and swap together; -1 is no limit of swap.",
    ),
    _one(
        "--pids-limit",
        path="pids_limit",
        metavar="N",
        read=number,
        help="Limit the number of processes; -1 is no limit.",
    ),
    _one(
        "--restart",
        path="restart",
        metavar="POLICY",
        help="Set the restart policy: no, always, on-failure[:N] or unless-stopped.",
    ),
)
"""What ``container update`` can change, too."""

ATTRIBUTES = (
    *LIMITS,
    _many("--add-host", path="extra_hosts", metavar="HOST=IP", help="Add a host name to /etc/hosts."),
    _many(
        "--annotation", path="annotations", metavar="KEY=VALUE", read=mapping, help="Set an OCI annotation."
    ),
    _many(
        "--blkio-weight-device",
        path="blkio_config.weight_device",
        metavar="DEVICE:N",
        read=each(pair_of_device("weight")),
        help="Set the weight of block I/O of a device.",
    ),
    _many("--cap-add", path="cap_add", metavar="NAME", help="Add a Linux capability."),
    _many("--cap-drop", path="cap_drop", metavar="NAME", help="Drop a Linux capability."),
    _one("--cgroup-parent", path="cgroup_parent", metavar="PATH", help="Set the parent cgroup."),
    _one("--cgroupns", path="cgroup", metavar="MODE", help="Set the cgroup namespace: host or private."),
    _many(
        "--device", path="devices", metavar="DEVICE", read=each(device), help="Add a device of this machine."
    ),
    _many(
        "--device-cgroup-rule", path="device_cgroup_rules", metavar="RULE", help="Allow access to devices."
    ),
    *(
        _many(
            f"--device-{way}-{unit}",
            path=f"blkio_config.device_{way}_{unit}",
            metavar="DEVICE:RATE",
            read=each(pair_of_device("rate")),
            help=f"Limit the {what} of a device per second.",
        )
        for way, unit, what in (
            ("read", "bps", "bytes read"),
            ("read", "iops", "read operations"),
            ("write", "bps", "bytes written"),
            ("write", "iops", "write operations"),
        )
    ),
    _many("--dns", path="dns", metavar="IP", help="Set a DNS server."),
    _many(
        "--dns-option", "--dns-opt", path="dns_opt", metavar="OPTION", help="Set an option of DNS look-ups."
    ),
    _many("--dns-search", path="dns_search", metavar="DOMAIN", help="Set a DNS search domain."),
    _one("--domainname", path="domainname", metavar="NAME", help="Set the NIS domain name."),
    _one(
        "--entrypoint",
        path="entrypoint",
        metavar="COMMAND",
        read=words,
        help="Override the entrypoint of the image.",
    ),
    _many("--expose", path="expose", metavar="PORT", help="Expose a port or a range of ports."),
    _one(
        "--gpus",
        path="gpus",
        metavar="GPUS",
        read=devices_of_gpus,
        help="Add GPUs: all, a number, or device=ID and capabilities=NAME.",
    ),
    _many("--group-add", path="group_add", metavar="GROUP", help="Add a group to those of the user."),
    _one(
        "--health-cmd",
        path="healthcheck.test",
        metavar="COMMAND",
        read=shell_command,
        help="Set the shell command that checks health.",
    ),
    *(
        _one(f"--health-{name}", path=f"healthcheck.{key}", metavar="DURATION", read=duration, help=help)
        for name, key, help in (
            ("interval", "interval", "Set the time between checks."),
            ("timeout", "timeout", "Set the time that a check may take."),
            ("start-period", "start_period", "Set the time in which failed checks do not count."),
            ("start-interval", "start_interval", "Set the time between checks in the start period."),
        )
    ),
    _one(
        "--health-retries",
        path="healthcheck.retries",
        metavar="N",
        read=number,
        help="Set how many failed checks make the container unhealthy.",
    ),
    _switch("--no-healthcheck", path="healthcheck.disable", help="Disable the health check of the image."),
    _one("-h", "--hostname", path="hostname", metavar="NAME", help="Set the hostname of the container."),
    _switch("--init", path="init", help="Run an init process that reaps zombie processes."),
    _one("--ipc", path="ipc", metavar="MODE", help="Set the IPC namespace."),
    _one("--isolation", path="isolation", metavar="NAME", help="Set the isolation technology."),
    _one("--log-driver", path="logging.driver", metavar="NAME", help="Set the logging driver."),
    _many(
        "--log-opt",
        path="logging.options",
        metavar="KEY=VALUE",
        read=mapping,
        help="Set an option of the logging driver.",
    ),
    _one("--mac-address", path="mac_address", metavar="MAC", help="Set the MAC address."),
    _one(
        "--memory-swappiness",
        path="mem_swappiness",
        metavar="N",
        read=number,
        help="Set how readily memory is swapped, from 0 to 100.",
    ),
    _switch("--oom-kill-disable", path="oom_kill_disable", help="Disable the out-of-memory killer."),
    _one(
        "--oom-score-adj",
        path="oom_score_adj",
        metavar="N",
        read=number,
        help="Set how early the out-of-memory killer ends it, from -1000 to 1000.",
    ),
    _one("--pid", path="pid", metavar="MODE", help="Set the PID namespace: host or container:NAME."),
    _one("--platform", path="platform", metavar="OS/ARCH", help="Set the platform of the image."),
    _switch("--privileged", path="privileged", help="Give the container all capabilities and devices."),
    _switch("--read-only", path="read_only", help="Mount the root filesystem read-only."),
    _one("--runtime", path="runtime", metavar="NAME", help="Set the OCI runtime."),
    _many("--security-opt", path="security_opt", metavar="OPTION", help="Set a security option."),
    _one("--shm-size", path="shm_size", metavar="SIZE", read=size, help="Set the size of /dev/shm."),
    _one(
        "--stop-signal", path="stop_signal", metavar="SIGNAL", help="Set the signal that stops the container."
    ),
    _one(
        "--stop-timeout",
        path="stop_grace_period",
        metavar="SECONDS",
        read=in_seconds,
        help="Set the time to stop before the container is killed.",
    ),
    _many(
        "--storage-opt",
        path="storage_opt",
        metavar="KEY=VALUE",
        read=mapping,
        help="Set an option of the storage driver.",
    ),
    _many("--sysctl", path="sysctls", metavar="KEY=VALUE", read=mapping, help="Set a kernel parameter."),
    _switch("-t", "--tty", path="tty", help="Allocate a terminal."),
    _switch("-i", "--interactive", path="stdin_open", help="Connect standard input."),
    _many("--ulimit", path="ulimits", metavar="NAME=SOFT[:HARD]", read=ulimits, help="Set a resource limit."),
    _switch("--use-api-socket", path="use_api_socket", help="Mount the socket of the engine."),
    _one("-u", "--user", path="user", metavar="USER[:GROUP]", help="Run the command as this user."),
    _one("--userns", path="userns_mode", metavar="MODE", help="Set the user namespace."),
    _one("--uts", path="uts", metavar="MODE", help="Set the UTS namespace."),
    _many(
        "--volumes-from",
        path="volumes_from",
        metavar="CONTAINER[:ro]",
        help="Mount the volumes of another container.",
    ),
    _one(
        "-w",
        "--workdir",
        path="working_dir",
        metavar="DIR",
        help="Run the command in this directory of the container.",
    ),
)

OBJECTS = (
    Flag(("--name",), "Set the name of the container.", metavar="NAME"),
    Flag(("-e", "--env"), "Set an environment variable.", metavar="KEY[=VALUE]", kind="many"),
    Flag(("--env-file",), "Read environment variables from a file.", metavar="FILE", kind="many"),
    Flag(("-l", "--label"), "Set a label.", metavar="KEY=VALUE", kind="many"),
    Flag(("--label-file",), "Read labels from a file.", metavar="FILE", kind="many"),
    Flag(
        ("-v", "--volume"),
        "Mount a volume, or a directory or file of this machine.",
        metavar="SOURCE:TARGET[:OPTIONS]",
        kind="many",
    ),
    Flag(
        ("--mount",),
        "Mount a volume, a directory, an image or a tmpfs.",
        metavar="type=TYPE,source=SOURCE,target=PATH",
        kind="many",
    ),
    Flag(("--tmpfs",), "Mount a tmpfs.", metavar="PATH[:OPTIONS]", kind="many"),
    Flag(
        ("-p", "--publish"),
        "Publish a container port on this machine.",
        metavar="[[IP:]PORT:]PORT[/PROTOCOL]",
        kind="many",
    ),
    Flag(("-P", "--publish-all"), "Publish all exposed ports on free ports of this machine.", kind="switch"),
    Flag(
        ("--net", "--network"),
        "Connect the container to a network, or set a mode: bridge, host, none, container:NAME.",
        metavar="NETWORK",
        kind="many",
    ),
    Flag(
        ("--net-alias", "--network-alias"),
        "Add a name of the container in the network.",
        metavar="NAME",
        kind="many",
    ),
    Flag(("--ip",), "Set the IPv4 address.", metavar="IP"),
    Flag(("--ip6",), "Set the IPv6 address.", metavar="IP"),
    Flag(("--link-local-ip",), "Add a link-local address.", metavar="IP", kind="many"),
    Flag(
        ("--link",), "Give another container a name in the network.", metavar="CONTAINER[:NAME]", kind="many"
    ),
    Flag(("--cidfile",), "Write the container ID to this file.", metavar="FILE"),
    Flag(
        ("--pull",),
        "Set when the image is pulled.",
        choices=("always", "missing", "never"),
        default="missing",
    ),
    Flag(("-q", "--quiet"), "Do not show the progress of pulls.", kind="switch"),
    Flag(
        ("-a", "--attach"), "Connect only these of stdin, stdout and stderr.", metavar="STREAM", kind="many"
    ),
)
"""What is an object of its own, a name, or of the command."""

ALL = (*OBJECTS, *ATTRIBUTES)

RUNNING = (
    Flag(("-d", "--detach"), "Run the container in the background and print its ID.", kind="switch"),
    Flag(("--rm",), "Remove the container when it exits.", kind="switch"),
    Flag(("--sig-proxy",), "Forward received signals to the process.", kind="on"),
    Flag(
        ("--detach-keys",),
        "Set the keys that detach from the container and leave it running (default: ctrl-p,ctrl-q).",
        metavar="KEYS",
        default="ctrl-p,ctrl-q",
    ),
)
"""Of ``run`` alone."""

NO_MEMS = "a Compose service has no attribute for memory nodes"
REFUSED = {
    "--cpuset-mems": NO_MEMS,
    "--kernel-memory": "kernels have no limit of kernel memory of its own any more",
    "--volume-driver": "create the volume first, with composer volume create --driver",
}
"""Flags of the docker CLI that cannot be honoured, and why."""
