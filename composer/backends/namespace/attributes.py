"""The built-in runtime's column of `composer.attributes`: the table of `translate`, and what is inside of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.attributes import YES, Verdict, inside, no_effect, partly, refused, warned
from composer.backends.namespace import builds
from composer.backends.namespace.translate import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST = "capabilities count device_ids driver"
_OFTEN = partly("yes, at most ten times a second")
_REQUESTED = partly("as in gpus")

COLUMN: Mapping[str, Verdict] = {
    **{f"service.{name}": row.verdict for name, row in ATTRIBUTES.items()},
    **{f"service.build.{name}": YES for name in builds.ATTRIBUTES},
    "service.build.isolation": refused("only supported by Windows containers"),
    **inside("service.build", partly("false; others are rejected by name"), "provenance sbom"),
    **inside("service.build", partly("type=local, type=registry and type=inline"), "cache_from cache_to"),
    "service.build.platforms": partly("linux; RUN of another architecture needs qemu-user-static"),
    **inside("service.build.secrets", YES, "gid mode source target uid"),
    **inside("service.build.ulimits.*", YES, "hard soft"),
    **inside(
        "service.blkio_config",
        YES,
        "device_read_bps.path device_read_bps.rate device_read_iops.path device_read_iops.rate device_write_bps.path "
        "device_write_bps.rate device_write_iops.path device_write_iops.rate weight weight_device.path "
        "weight_device.weight",
    ),
    "service.deploy.mode": partly("replicated"),
    **inside("service.deploy.resources.limits", YES, "cpus memory pids"),
    "service.deploy.resources.reservations.memory": YES,
    **inside("service.deploy.resources.reservations.devices", _REQUESTED, f"{_REQUEST} options"),
    **inside("service.deploy.restart_policy", YES, "condition max_attempts"),
    **inside("service.devices", YES, "permissions source target"),
    **inside("service.gpus", partly("devices with a CDI specification"), _REQUEST),
    "service.gpus.options": warned("CDI specifications have no options"),
    **inside("service.healthcheck", YES, "disable retries start_period test timeout"),
    **inside("service.healthcheck", _OFTEN, "interval start_interval"),
    "service.logging.driver": partly("json-file, local, syslog, none, and journald if it is running"),
    "service.logging.options": partly("those of the driver; max-size and max-file"),
    **inside(
        "service.networks.*",
        YES,
        "gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address",
    ),
    "service.networks.*.driver_opts": partly("Docker's sysctls of an endpoint; others are rejected by name"),
    **inside("service.ports", YES, "host_ip published target"),
    "service.ports.protocol": partly("tcp, udp"),
    **inside("service.ulimits.*", YES, "hard soft"),
    "service.volumes.type": partly("bind, volume, tmpfs, image"),
    "service.volumes.consistency": no_effect("as always on Linux"),
    **inside("service.volumes", YES, "source target read_only image.subpath tmpfs.mode tmpfs.size"),
    **inside("service.volumes.bind", YES, "create_host_path recursive"),
    "service.volumes.bind.propagation": partly("yes; shared modes only if the mount is shared on the host"),
    "service.volumes.bind.selinux": partly("ignored; rejected if SELinux is enabled"),
    **inside("service.volumes.volume", YES, "labels nocopy subpath"),
    "network.driver": partly("bridge"),
    "network.driver_opts": partly(
        "Docker's of its bridge: name, mtu, enable_icc, enable_ip_masquerade, host_binding_ipv4 and 6; other "
        "options of Docker's bridge are rejected by name"
    ),
    **inside("network", YES, "enable_ipv4 enable_ipv6 internal labels"),
    "network.ipam.driver": partly("default"),
    "network.ipam.options": no_effect("its driver has no options"),
    **inside("network.ipam.config", YES, "aux_addresses gateway ip_range subnet"),
    "volume.driver": partly("local"),
    "volume.driver_opts": partly("type, device and o, as in Docker's local driver; size is rejected"),
    "volume.labels": YES,
}
