"""A compose file from containers: what of them it says, and what is left to the image."""

from __future__ import annotations

from typing import Any

import pytest

from composer.engine.inspected import Settings
from composer.engine.observed import (
    ContainerState,
    ObservedContainer,
    ObservedEndpoint,
    ObservedImage,
    ObservedMount,
    ObservedPort,
)
from composer.engine.resolving.generating import Made, project

IMAGE = ObservedImage(
    "sha256:1",
    config={
        "Entrypoint": ["/run"],
        "Cmd": ["serve"],
        "Env": ["PATH=/bin", "MODE=image"],
        "User": "app",
        "WorkingDir": "/srv",
        "Healthcheck": {"Test": ["CMD", "check"]},
    },
    labels={"from": "image"},
)
OF_IMAGE = Settings(
    environment={"PATH": "/bin", "MODE": "image"},
    healthcheck={"test": ["CMD", "check"]},
    user="app",
    working_dir="/srv",
)


def made(settings: Settings = OF_IMAGE, image: ObservedImage | None = IMAGE, **fields: Any) -> Made:
    base = ObservedContainer(
        id="c" * 64,
        name="app-web-1",
        labels={"com.docker.compose.service": "web", "from": "image"},
        state=ContainerState.RUNNING,
        image="nginx",
        command=("/run", "serve"),
        endpoints=(ObservedEndpoint("app_default", "1"),),
    )
    return Made(base._replace(**fields), settings, image)


def service(one: Made) -> dict[str, Any]:
    found: dict[str, Any] = project([one])["services"]["web"]
    return found


def test_what_the_image_says_is_left_out() -> None:
    assert project([made()]) == {
        "services": {"web": {"image": "nginx", "networks": {"app_default": {}}}},
        "networks": {"app_default": {"external": True}},
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"environment": {"PATH": "/bin", "MODE": "mine", "B": "1"}}, {"environment": {"B": "1", "MODE": "mine"}}),
        ({"healthcheck": {"test": ["x"], "interval": "5s"}}, {"healthcheck": {"test": ["x"], "interval": "5s"}}),
        ({"user": "1:2"}, {"user": "1:2"}),
        ({"working_dir": "/other"}, {"working_dir": "/other"}),
        ({"restart": "on-failure:3"}, {"restart": "on-failure:3"}),
        ({"privileged": True, "tty": True}, {"privileged": True, "tty": True}),
    ],
)  # fmt: skip
def test_what_differs_is_said(settings: dict[str, Any], said: dict[str, Any]) -> None:
    found = service(made(OF_IMAGE._replace(**settings)))
    assert {key: value for key, value in found.items() if key not in ("image", "networks")} == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/run", "serve"), {}),
        (("/run", "other", "words"), {"command": ["other", "words"]}),
        (("sh", "-c", "x"), {"entrypoint": ["sh", "-c", "x"]}),
        (("/run",), {"entrypoint": ["/run"]}),
    ],
)
def test_a_command_is_what_the_image_has_not(command: tuple[str, ...], said: dict[str, Any]) -> None:
    found = service(made(command=command))
    assert {key: value for key, value in found.items() if key in ("command", "entrypoint")} == said


def test_of_an_image_that_is_gone_everything_is_said() -> None:
    found = service(made(image=None))
    assert found["entrypoint"] == ["/run", "serve"]
    assert found["environment"] == {"PATH": "/bin", "MODE": "image"}
    assert found["labels"] == {"from": "image"}


def test_mounts_ports_and_secrets() -> None:
    mounts = (
        ObservedMount("volume", "/data", "app_data"),
        ObservedMount("bind", "/src", source="/home/me/app/src", read_only=True),
        ObservedMount("bind", "/etc/x", source="/etc/x"),
        ObservedMount("tmpfs", "/t"),
        ObservedMount("bind", "/run/secrets/key", source="/home/me/app/key.txt", read_only=True),
    )
    ports = (
        ObservedPort("tcp", 80, "0.0.0.0", 8080),
        ObservedPort("tcp", 80, "::", 8080),
        ObservedPort("udp", 53, "127.0.0.1", 5353),
        ObservedPort("tcp", 9000),
    )
    found = project([made(mounts=mounts, ports=ports)], name="new", directory="/home/me/app")
    assert found["name"] == "new"
    assert found["services"]["web"]["volumes"] == [
        {"type": "volume", "source": "app_data", "target": "/data"},
        {"type": "bind", "source": "/etc/x", "target": "/etc/x"},
        {"type": "bind", "source": "./src", "target": "/src", "read_only": True},
        {"type": "tmpfs", "target": "/t"},
    ]
    assert found["services"]["web"]["ports"] == [
        {"target": 80, "published": "8080", "protocol": "tcp"},
        {"host_ip": "127.0.0.1", "target": 53, "published": "5353", "protocol": "udp"},
    ]
    assert found["services"]["web"]["secrets"] == [{"source": "key", "target": "/run/secrets/key"}]
    assert found["volumes"] == {"app_data": {"external": True}}
    assert found["secrets"] == {"key": {"file": "./key.txt"}}


@pytest.mark.parametrize(
    ("mode", "endpoints", "said"),
    [
        ("host", (), {"network_mode": "host"}),
        ("container:" + "d" * 64, (), {"network_mode": "service:db"}),
        ("container:" + "e" * 64, (), {"network_mode": "container:" + "e" * 64}),
        ("", (), {"network_mode": "none"}),
        ("", (ObservedEndpoint("bridge", "1"),), {"network_mode": "bridge"}),
        (
            "",
            (ObservedEndpoint("n", "1", aliases=("app-web-1", "c" * 12, "web", "www")),),
            {"networks": {"n": {"aliases": ["www"]}}},
        ),
    ],
)
def test_networks(mode: str, endpoints: tuple[ObservedEndpoint, ...], said: dict[str, Any]) -> None:
    db = made(id="d" * 64, name="app-db-1", labels={"com.docker.compose.service": "db"})
    one = made(OF_IMAGE._replace(network_mode=mode), endpoints=endpoints)
    found = project([one, db])["services"]["web"]
    assert {key: value for key, value in found.items() if "network" in key} == said


def test_replicas_are_one_service_and_others_have_their_names() -> None:
    alone = made(id="1" * 64, name="lonely", labels={})
    found = project([made(), made(id="2" * 64, name="app-web-2"), alone])["services"]
    assert list(found) == ["lonely", "web"]
    assert found["web"]["scale"] == 2
    assert "scale" not in found["lonely"]
