"""The request that creates a container: mounts, networks and files, as Docker Compose makes them."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from composer.backends.docker import creation
from composer.engine.wanted import ContainerSpec, EndpointSpec, FileSpec, MountSpec, NetworkSpec, VolumeSpec
from composer.errors import Unsupported

NEW, OLD = (1, 51), (1, 41)


def spec(**fields: Any) -> ContainerSpec:
    values = {"name": "app-web-1", "project": "app", "service": "web", "number": 1, "image": "nginx"}
    return ContainerSpec(**{**values, "labels": {"a": "b"}, "attributes": {}, **fields})


def host(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = creation.container(spec(**fields), NEW).body["HostConfig"]
    return found


@pytest.mark.parametrize(
    ("mount", "wanted"),
    [
        (MountSpec("bind", "/a", "/b"), {"Binds": ["/a:/b:rw"]}),
        (
            MountSpec("bind", "/a", "/b", True, {"selinux": "z", "propagation": "rslave"}),
            {"Binds": ["/a:/b:ro,z,rslave"]},
        ),
        (
            MountSpec("bind", "/a", "/b", options={"create_host_path": False}),
            {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": False}]},
        ),
        (
            MountSpec("bind", "/a:x", "/b"),
            {
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/a:x",
                        "Target": "/b",
                        "ReadOnly": False,
                        "BindOptions": {"CreateMountpoint": True},
                    }
                ]
            },
        ),
        (MountSpec("volume", "v", "/b", options={"nocopy": True}), {"Binds": ["v:/b:rw,nocopy"]}),
        (
            MountSpec("volume", "v", "/b", options={"subpath": "s"}),
            {
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": "v",
                        "Target": "/b",
                        "ReadOnly": False,
                        "VolumeOptions": {"Subpath": "s"},
                    }
                ]
            },
        ),
        (
            MountSpec("volume", None, "/b"),
            {"Mounts": [{"Type": "volume", "Target": "/b", "ReadOnly": False}]},
        ),
        (
            MountSpec("tmpfs", None, "/t", options={"size": "1m", "mode": 0o1777, "options": ("exec",)}),
            {"Tmpfs": {"/t": "size=1m,mode=1777,exec"}},
        ),
        (MountSpec("tmpfs", None, "/t", options={"size": "1.5mb"}), {"Tmpfs": {"/t": "size=1572864"}}),
        (
            MountSpec("image", "alpine", "/i", options={"subpath": "etc"}),
            {
                "Mounts": [
                    {
                        "Type": "image",
                        "Source": "alpine",
                        "Target": "/i",
                        "ReadOnly": False,
                        "ImageOptions": {"Subpath": "etc"},
                    }
                ]
            },
        ),
    ],
)
def test_a_mount_takes_the_form_that_docker_compose_gives_it(
    mount: MountSpec, wanted: dict[str, Any]
) -> None:
    assert host(mounts=(mount,)) == {**wanted, "NetworkMode": "none"}


ENDPOINTS = (
    EndpointSpec(
        "app_a", ("app-web-1", "web"), {"ipv4_address": "10.0.0.5", "mac_address": "02:00:00:00:00:01"}
    ),
    EndpointSpec("app_b", ("app-web-1", "web", "www"), {"gw_priority": 5, "interface_name": "eth9"}),
)


def test_a_new_engine_takes_all_networks_at_once() -> None:
    made = creation.container(spec(endpoints=ENDPOINTS), NEW)
    assert made.later == ()
    assert made.body["HostConfig"]["NetworkMode"] == "app_a"
    assert made.body["NetworkingConfig"]["EndpointsConfig"] == {
        "app_a": {
            "Aliases": ["app-web-1", "web"],
            "IPAMConfig": {"IPv4Address": "10.0.0.5"},
            "MacAddress": "02:00:00:00:00:01",
        },
        "app_b": {
            "Aliases": ["app-web-1", "web", "www"],
            "DriverOpts": {"com.docker.network.endpoint.ifname": "eth9"},
            "GwPriority": 5,
        },
    }


def test_an_old_engine_takes_the_first_and_the_others_later() -> None:
    made = creation.container(spec(endpoints=ENDPOINTS), OLD)
    assert made.later == ENDPOINTS[1:]
    assert list(made.body["NetworkingConfig"]["EndpointsConfig"]) == ["app_a"]
    assert made.body["MacAddress"] == "02:00:00:00:00:01"


def test_a_service_address_is_that_of_its_first_endpoint() -> None:
    made = creation.container(
        spec(endpoints=ENDPOINTS[1:], attributes={"mac_address": "02:00:00:00:00:02"}), NEW
    )
    assert made.body["NetworkingConfig"]["EndpointsConfig"]["app_b"]["MacAddress"] == "02:00:00:00:00:02"


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_a_network_mode_has_no_endpoints(mode: str) -> None:
    made = creation.container(spec(network_mode=mode), NEW)
    assert made.body["HostConfig"]["NetworkMode"] == mode
    assert "NetworkingConfig" not in made.body


def test_the_image_goes_by_name_and_the_platform_is_a_parameter() -> None:
    made = creation.container(spec(image_id="sha256:1", attributes={"platform": "linux/arm64"}), NEW)
    assert (made.body["Image"], made.platform) == ("nginx", "linux/arm64")
    assert made.body["Labels"] == {"a": "b"}


FILES = (
    FileSpec("secret", "key", "/run/secrets/key", source="/host/key"),
    FileSpec("config", "page", "/srv/page", content=b"text", uid="5", gid="6", mode=0o400),
)


def test_files_are_mounted_and_contents_are_copied() -> None:
    made = creation.container(spec(files=FILES), NEW)
    assert made.body["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/host/key", "Target": "/run/secrets/key", "ReadOnly": True}
    ]
    with tarfile.open(fileobj=io.BytesIO(made.archive)) as archive:
        (entry,) = archive.getmembers()
        assert (entry.name, entry.mode, entry.uid, entry.gid) == ("srv/page", 0o400, 5, 6)
        assert archive.extractfile(entry).read() == b"text"  # type: ignore[union-attr]


def test_contents_do_not_go_into_what_is_read_only() -> None:
    with pytest.raises(
        Unsupported, match="config 'page' into service 'web': its root file system is read-only"
    ):
        creation.container(spec(files=FILES, attributes={"read_only": True}), NEW)


def test_a_network_with_everything() -> None:
    attributes = {
        "driver": "macvlan",
        "driver_opts": {"parent": "eth0", "mtu": 1400},
        "internal": True,
        "attachable": True,
        "enable_ipv6": True,
        "enable_ipv4": False,
        "ipam": {
            "config": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "aux_addresses": {"a": "10.0.0.9"}}]
        },
    }
    assert creation.network(NetworkSpec("n", {"l": "1"}, attributes), NEW) == {
        "Name": "n",
        "Driver": "macvlan",
        "Options": {"parent": "eth0", "mtu": "1400"},
        "Labels": {"l": "1"},
        "Internal": True,
        "Attachable": True,
        "CheckDuplicate": True,
        "EnableIPv6": True,
        "EnableIPv4": False,
        "IPAM": {
            "Driver": "default",
            "Config": [
                {"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1", "AuxiliaryAddresses": {"a": "10.0.0.9"}}
            ],
        },
    }


def test_a_volume_with_options() -> None:
    made = creation.volume(VolumeSpec("v", {"l": "1"}, {"driver_opts": {"type": "nfs", "n": 1}}))
    assert made == {
        "Name": "v",
        "Driver": "local",
        "DriverOpts": {"type": "nfs", "n": "1"},
        "Labels": {"l": "1"},
    }
