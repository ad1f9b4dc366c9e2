"""The built-in runtime's column of `composer.attributes`: the table of `translate`, and what is inside of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.attributes import YES, Verdict, inside, no_effect, partly, warned
from composer.backends.namespace.translate import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST = "capabilities count device_ids driver"
_OFTEN = partly("yes, ten times a second at most")
_REQUESTED = partly("as in gpus")

COLUMN: Mapping[str, Verdict] = {
    **{f"service.{name}": row.verdict for name, row in ATTRIBUTES.items()},
    "service.build": warned("composer image import or load, under the service's image name"),
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
    **inside("service.gpus", partly("where a specification describes it"), _REQUEST),
    "service.gpus.options": warned("what describes a device has none"),
    **inside("service.healthcheck", YES, "disable retries start_period test timeout"),
    **inside("service.healthcheck", _OFTEN, "interval start_interval"),
    "service.logging.driver": partly("json-file, local, syslog, none, and journald where it runs"),
    "service.logging.options": partly("those of the driver; max-size and max-file"),
    **inside(
        "service.networks.*",
        YES,
        "gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address",
    ),
    "service.networks.*.driver_opts": partly("Docker's sysctls of an endpoint; others are refused by name"),
    **inside("service.ports", YES, "host_ip published target"),
    "service.ports.protocol": partly("tcp, udp"),
    **inside("service.ulimits.*", YES, "hard soft"),
    "service.volumes.type": partly("bind, volume, tmpfs, image"),
    "service.volumes.consistency": no_effect("as on Linux everywhere"),
    **inside("service.volumes", YES, "source target read_only image.subpath tmpfs.mode tmpfs.size"),
    **inside("service.volumes.bind", YES, "create_host_path recursive"),
    "service.volumes.bind.propagation": partly("yes; shared ones where the host shares the mount"),
    "service.volumes.bind.selinux": partly("no effect; refused where SELinux is on"),
    **inside("service.volumes.volume", YES, "labels nocopy subpath"),
    "network.driver": partly("bridge"),
    "network.driver_opts": partly(
        "Docker's of its bridge: name, mtu, enable_icc, enable_ip_masquerade, host_binding_ipv4 and 6; what else "
        "Docker's bridge can do is refused by name"
    ),
    **inside("network", YES, "enable_ipv4 enable_ipv6 internal labels"),
    "network.ipam.driver": partly("default"),
    "network.ipam.options": no_effect("its driver has none"),
    **inside("network.ipam.config", YES, "aux_addresses gateway ip_range subnet"),
    "volume.driver": partly("local"),
    "volume.driver_opts": partly("type, device and o, as Docker's local driver has them; size is refused"),
    "volume.labels": YES,
}
