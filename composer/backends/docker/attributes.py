"""Docker Engine's column of `composer.attributes`: the table of `translate`, and what is inside of attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.attributes import YES, Verdict, inside, partly, refused
from composer.backends.docker.building import builds
from composer.backends.docker.translate import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST = "capabilities count device_ids driver options"
_NEW = partly("yes, if its API is new enough")
_THEIRS = partly("those of the engine")
_OWNER = partly("for sources content and environment; ignored with a warning for file")

COLUMN: Mapping[str, Verdict] = {
    **{f"service.{name}": row.verdict for name, row in ATTRIBUTES.items()},
    **{f"service.build.{name}": YES for name in builds.ATTRIBUTES},
    **{f"service.build.{name}": refused(reason) for name, reason in builds.REFUSED.items()},
    **inside("service.build.secrets", YES, "gid mode source target uid"),
    **inside("service.build.ulimits.*", YES, "hard soft"),
    **inside(
        "service.blkio_config",
        YES,
        "device_read_bps.path device_read_bps.rate device_read_iops.path device_read_iops.rate device_write_bps.path "
        "device_write_bps.rate device_write_iops.path device_write_iops.rate weight weight_device.path "
        "weight_device.weight",
    ),
    **inside("service.configs", _OWNER, "gid uid"),
    "service.deploy.mode": partly("replicated, global"),
    **inside("service.deploy.resources.limits", YES, "cpus memory pids"),
    "service.deploy.resources.reservations.memory": YES,
    **inside("service.deploy.resources.reservations.devices", YES, _REQUEST),
    **inside("service.deploy.restart_policy", YES, "condition max_attempts"),
    **inside("service.devices", YES, "permissions source target"),
    **inside("service.gpus", YES, _REQUEST),
    **inside("service.healthcheck", YES, "disable interval retries start_period test timeout"),
    "service.healthcheck.start_interval": _NEW,
    **inside("service.logging", YES, "driver options"),
    **inside("service.networks.*", YES, "driver_opts ipv4_address ipv6_address link_local_ips mac_address"),
    **inside("service.networks.*", _NEW, "gw_priority interface_name"),
    **inside("service.ports", YES, "host_ip protocol published target"),
    **inside("service.secrets", _OWNER, "gid uid"),
    **inside("service.ulimits.*", YES, "hard soft"),
    "service.volumes.type": _THEIRS,
    **inside("service.volumes", YES, "consistency source target read_only tmpfs.mode tmpfs.size"),
    **inside("service.volumes.bind", YES, "create_host_path propagation recursive selinux"),
    **inside("service.volumes.volume", YES, "labels nocopy"),
    **inside("service.volumes", _NEW, "image.subpath volume.subpath"),
    "network.driver": _THEIRS,
    **inside("network", YES, "driver_opts enable_ipv6 internal labels"),
    "network.enable_ipv4": _NEW,
    "network.ipam.driver": _THEIRS,
    "network.ipam.options": YES,
    **inside("network.ipam.config", YES, "aux_addresses gateway ip_range subnet"),
    "volume.driver": _THEIRS,
    **inside("volume", YES, "driver_opts labels"),
}
