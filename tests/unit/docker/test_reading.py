"""The engine's JSON, read."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.backends.docker import reading
from composer.engine.observed import ContainerState, Health, ObservedPort


@given(
    st.datetimes(
        datetime.datetime(1, 1, 2),
        timezones=st.timezones() | st.just(datetime.UTC),
    ).filter(lambda moment: moment.year > 1 and not (moment.utcoffset() or datetime.timedelta()).seconds % 60)
)
def test_times_are_those_of_datetime(moment: datetime.datetime) -> None:
    exact = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(
        microseconds=1
    )
    assert reading.time_ns(moment.isoformat()) == exact * 1000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0001-01-01T00:00:00Z", 0),
        ("", 0),
        (None, 0),
        ("nonsense", 0),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
    ],
)
def test_times_at_the_edges(text: str | None, wanted: int) -> None:
    assert reading.time_ns(text) == wanted


def listed(**fields: Any) -> dict[str, Any]:
    return {
        "Id": "1" * 64,
        "Names": ["/other/alias", "/app-web-1"],
        "State": "running",
        "Status": "Up",
        **fields,
    }


@pytest.mark.parametrize(
    ("state", "status", "health", "code"),
    [
        ("running", "Up 3 minutes", Health.NONE, None),
        ("running", "Up 3 minutes (healthy)", Health.HEALTHY, None),
        ("running", "Up 3 minutes (unhealthy)", Health.UNHEALTHY, None),
        ("running", "Up 3 minutes (health: starting)", Health.STARTING, None),
        ("exited", "Exited (137) 2 hours ago", Health.NONE, 137),
        ("restarting", "Restarting (1) 2 seconds ago", Health.NONE, 1),
        ("created", "Created", Health.NONE, None),
    ],
)
def test_the_list_tells_state_health_and_code(
    state: str, status: str, health: Health, code: int | None
) -> None:
    found = reading.from_list(listed(State=state, Status=status))
    assert (found.state, found.health, found.exit_code) == (ContainerState(state), health, code)
    assert found.name == "app-web-1"


def inspected(**state: Any) -> dict[str, Any]:
    return {
        "Id": "1" * 64,
        "Name": "/app-web-1",
        "Created": "1970-01-01T00:00:01Z",
        "Path": "sleep",
        "Args": ["1"],
        "Image": "sha256:2",
        "RestartCount": 2,
        "State": {
            "Status": "exited",
            "ExitCode": 3,
            "OOMKilled": True,
            "StartedAt": "1970-01-01T00:00:02Z",
            "FinishedAt": "1970-01-01T00:00:03Z",
            **state,
        },
        "Config": {"Image": "busybox", "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}, "90/udp": {}}},
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
            "Networks": {"n": {"NetworkID": "3", "IPAddress": "10.0.0.2", "Aliases": ["web"]}},
        },
        "Mounts": [{"Type": "volume", "Name": "v", "Source": "/x", "Destination": "/d", "RW": False}],
    }


def test_an_inspection_tells_everything() -> None:
    found = reading.from_inspection(inspected())
    assert (found.name, found.exit_code, found.oom_killed, found.restarts) == ("app-web-1", 3, True, 2)
    assert (found.created_ns, found.started_ns, found.finished_ns) == (10**9, 2 * 10**9, 3 * 10**9)
    assert found.command == ("sleep", "1")
    assert found.ports == (ObservedPort("tcp", 80, "0.0.0.0", 8080), ObservedPort("udp", 90))
    assert (found.endpoints[0].aliases, found.endpoints[0].network_id) == (("web",), "3")
    assert (found.mounts[0].name, found.mounts[0].read_only) == ("v", True)


def test_what_runs_has_no_exit_code_and_what_never_ran_neither() -> None:
    for status in ("running", "created", "paused"):
        found = reading.from_inspection(inspected(Status=status))
        assert (found.exit_code, found.finished_ns) == (None, 0)


def test_a_state_of_the_future_is_nothing_to_rely_on() -> None:
    assert reading.from_list(listed(State="stopping")).state is ContainerState.DEAD


def test_an_image_without_a_name_has_none() -> None:
    found = reading.image({"Id": "sha256:1", "RepoTags": ["<none>:<none>"], "Created": 0})
    assert (found.references, found.created) == ((), "1970-01-01T00:00:00Z")


def test_a_network_can_be_made_again_from_what_is_read() -> None:
    from composer.backends.docker import creation
    from composer.engine.wanted import NetworkSpec

    wanted = {
        "driver": "bridge",
        "driver_opts": {"mtu": "1400"},
        "internal": True,
        "ipam": {
            "driver": "default",
            "config": [{"subnet": "10.1.0.0/24", "aux_addresses": {"a": "10.1.0.9"}}],
        },
    }
    made = creation.network(NetworkSpec("n", {"l": "1"}, wanted), (1, 51))
    found = reading.network({"Id": "1", **made})
    assert (found.name, dict(found.labels), found.attributes) == ("n", {"l": "1"}, wanted)
