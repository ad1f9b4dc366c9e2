"""Options of Docker's bridge driver: honoured, refused by name, or nobody's."""

from __future__ import annotations

import pytest

from composer.backends.namespace import networkoptions
from composer.engine.wanted import NetworkSpec
from composer.errors import BackendError, Unsupported
from composer.runtime.objects import specs

_BRIDGE = "com.docker.network.bridge"


def read(options: dict[str, str]) -> specs.Network:
    return networkoptions.spec_of(NetworkSpec("net", {}, {"driver_opts": options}))


def test_defaults_are_dockers() -> None:
    assert read({}) == specs.Network("net", attributes={"driver_opts": {}})


def test_what_is_said_is_read() -> None:
    options = {
        f"{_BRIDGE}.enable_icc": "false",
        f"{_BRIDGE}.enable_ip_masquerade": "0",
        f"{_BRIDGE}.host_binding_ipv4": "127.0.0.1",
        f"{_BRIDGE}.gateway_mode_ipv4": "nat",
        "com.docker.network.driver.mtu": "1400",
        "somebody.else": "anything",
    }
    assert read(options) == specs.Network(
        "net",
        mtu=1400,
        masquerade=False,
        isolated=True,
        host_bindings=("127.0.0.1",),
        attributes={"driver_opts": options},
    )


def test_what_would_change_something_and_cannot_is_refused_by_its_name() -> None:
    with pytest.raises(Unsupported, match="gateway_mode_ipv4=routed"):
        read({f"{_BRIDGE}.gateway_mode_ipv4": "routed"})


def test_a_flag_is_true_or_false() -> None:
    with pytest.raises(BackendError, match="must be a boolean, not 'maybe'"):
        read({f"{_BRIDGE}.enable_icc": "maybe"})
