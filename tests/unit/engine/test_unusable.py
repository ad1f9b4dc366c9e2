"""Values that the loader lets pass, as Compose does, are refused before any effect, with their place."""

from __future__ import annotations

import re

import pytest

from composer import unusable
from composer.engine.options import Options
from composer.errors import Unsupported
from composer.runtime.base.capabilities import NAMES
from tests.unit.engine.stage import Stage

CASES = {
    "restart: sometimes": "invalid restart policy 'sometimes'",
    "restart: 'on-failure:abc'": "invalid restart policy 'on-failure:abc'",
    "ulimits: {foo: 1}": "unknown ulimit 'foo'",
    "dns: [foo]": "invalid IP address 'foo'",
    "extra_hosts: ['fine=1.2.3.4', 'db=nowhere']": "invalid IP address 'nowhere'",
    "extra_hosts: {db: ''}": "invalid IP address ''",
    "tmpfs: relative": "'relative' must be an absolute path",
    "tmpfs: [/fine, 'relative:size=1m']": "'relative:size=1m' must be an absolute path",
    "cap_add: [NET_ADMIN, FLY]": "invalid capability 'FLY'",
    "cap_drop: [CAP_FLY]": "invalid capability 'CAP_FLY'",
    "stop_signal: SIGNONE": "invalid signal 'SIGNONE'",
    "stop_signal: '65'": "invalid signal '65'",
    "healthcheck: {test: [CMD, a], start_interval: 1s}": (
        "healthcheck.start_interval requires healthcheck.start_period to be set"
    ),
}
FINE = (
    "restart: 'no'",
    "restart: 'on-failure:3'",
    "restart: any",
    "restart: sometimes, deploy: {restart_policy: {condition: none}}",
    "ulimits: {NOFILE: 10, as: 1000000}",
    "ulimits: {nofile: 10, rttime: {soft: 1, hard: 2}}",
    "dns: ['9.9.9.9', '2620:fe::fe', 'fe80::1%eth0']",
    "extra_hosts: ['a=1.2.3.4', 'a:host-gateway', 'b=[::1]', 'c=fe80::1%eth0']",
    "tmpfs: ['/run:size=64m', /tmp]",
    "cap_add: [ALL, net_admin, CAP_SYS_TIME]",
    "stop_signal: sigrtmin+3",
    "stop_signal: '9'",
    "stop_signal: RTMAX-2",
    "healthcheck: {test: [CMD, a], start_interval: 1s, start_period: 5s}",
    "healthcheck: {disable: true}",
)


@pytest.mark.parametrize(("text", "reason"), CASES.items(), ids=CASES)
def test_it_is_refused_with_its_place(stage: Stage, text: str, reason: str) -> None:
    project = f"services:\n  good: {{image: i}}\n  bad:\n    image: i\n    {text}\n"
    with pytest.raises(
        Unsupported, match=rf"compose\.yaml:5:\d+: services\.bad\..*{re.escape(reason)}"
    ) as caught:
        stage.up(project)
    assert caught.value.hint
    assert not stage.backend.calls
    stage.up(project, Options(services=("good",)))


@pytest.mark.parametrize("text", FINE)
def test_what_can_be_used_is(stage: Stage, text: str) -> None:
    stage.up(f"services: {{a: {{image: i, {text}}}}}")


@pytest.mark.parametrize("image", ["UPPER", "a b", "i:tag:tag", "i@sha256:short"])
def test_an_image_that_cannot_be_named(stage: Stage, image: str) -> None:
    with pytest.raises(Unsupported, match=r"compose\.yaml:1:\d+: services\.a\.image"):
        stage.up(f"services: {{a: {{image: '{image}'}}}}")
    assert not stage.backend.calls


def test_two_services_with_one_port(stage: Stage) -> None:
    text = "services: {a: {image: i, ports: ['80:80']}, b: {image: i, ports: ['81:81', '127.0.0.1:80:80']}}"
    with pytest.raises(
        Unsupported, match=r":1:\d+: services.b.ports\[1\]: host port 80 is also published by service 'a'"
    ):
        stage.up(text)
    assert not stage.backend.calls
    stage.up(text, Options(services=("a",)))
    stage.up(text.replace("b: {image: i,", "b: {image: i, scale: 0,"))


@pytest.mark.parametrize("other", ["80/udp", "81:80", "80", "80-90:80"])
def test_ports_that_are_not_the_same(stage: Stage, other: str) -> None:
    one = "127.0.0.1:80:80"
    other = "80:80/udp" if other == "80/udp" else other
    # planned, not carried out: who starts first may take any port of a range
    assert stage.plan(
        f"services: {{a: {{image: i, ports: ['{one}']}}, b: {{image: i, ports: ['{other}']}}}}"
    ).steps


def test_addresses_of_the_host_are_told_apart() -> None:
    def of(*addresses: str) -> list[str]:
        services = {
            name: {"ports": [{"published": "80", "target": 80, "host_ip": address}]}
            for name, address in zip("ab", addresses, strict=True)
        }
        return [service for service, _ in unusable.conflicts(services, lambda service: True)]

    assert of("127.0.0.1", "127.0.0.2") == []
    assert of("127.0.0.1", "127.0.0.1") == of("", "127.0.0.1") == of("::", "") == ["b"]
    assert of("0.0.0.0", "::") == of("127.0.0.1", "::") == of("::1", "0.0.0.0") == []
    assert of("::1", "::") == of("0.0.0.0", "127.0.0.1") == ["b"]


@pytest.mark.parametrize(
    "b",
    [
        "ports: ['80:80'], depends_on: {a: {condition: service_completed_successfully}}",
        "ports: ['80:80'], network_mode: host",
        "ports: ['80:80'], scale: 0, restart: sometimes",
    ],
)
def test_what_is_no_conflict(stage: Stage, b: str) -> None:
    text = f"services: {{a: {{image: i, ports: ['80:80']}}, b: {{image: i, {b}}}}}"
    assert stage.plan(text).steps


def test_what_is_not_started_publishes_nothing(stage: Stage) -> None:
    text = "services: {a: {image: i, ports: ['80:80']}, b: {image: i, ports: ['80:80']}}"
    stage.up(text, Options(start=False))


def test_the_capabilities_are_those_of_the_runtime() -> None:
    assert {*NAMES, "ALL"} == unusable.CAPABILITIES


def test_a_private_ipc_namespace_is_not_joined(stage: Stage) -> None:
    text = "services: {web: {image: i, ipc: 'service:db'}, db: {image: i, ipc: MODE}}"
    for mode in ("private", "none", '""'):
        with pytest.raises(Unsupported, match=r":1:\d+: services.web.ipc: the IPC namespace of service 'db'"):
            stage.up(text.replace("MODE", mode))
    assert not stage.backend.calls
    for mode in ("shareable", "host"):
        assert stage.plan(text.replace("MODE", mode)).has_changes
