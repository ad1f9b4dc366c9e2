"""The small texts of tables, as Docker writes them."""

from __future__ import annotations

import pytest

from composer.cli import table
from composer.cli.changes import apply_changes
from composer.engine.observed import ContainerState, Health, ObservedContainer, ObservedPort

S = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"),
        (3600 * 47, "47 hours"),
        (86400 * 13, "13 days"),
        (86400 * 59, "8 weeks"),
        (86400 * 90, "3 months"),
        (86400 * 729, "24 months"),
        (86400 * 365 * 6, "6 years"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert table.duration(seconds) == text


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"state": ContainerState.RUNNING, "started_ns": S}, "Up 9 seconds"),
        ({"state": ContainerState.RUNNING, "started_ns": S, "health": Health.HEALTHY}, "Up 9 seconds (healthy)"),
        ({"state": ContainerState.RUNNING, "started_ns": S, "health": Health.STARTING}, "Up 9 seconds (health: starting)"),  # noqa: E501
        ({"state": ContainerState.PAUSED, "started_ns": S}, "Up 9 seconds (Paused)"),
        ({"state": ContainerState.EXITED, "finished_ns": 5 * S, "exit_code": 1}, "Exited (1) 5 seconds ago"),
        ({"state": ContainerState.EXITED, "finished_ns": 5 * S}, "Exited (unknown) 5 seconds ago"),
        ({"state": ContainerState.RESTARTING, "finished_ns": 5 * S, "exit_code": 1}, "Restarting (1) 5 seconds ago"),
        ({"state": ContainerState.CREATED}, "Created"),
        ({"state": ContainerState.REMOVING}, "Removal In Progress"),
    ],
)  # fmt: skip
def test_status(container: dict[str, object], text: str) -> None:
    found = ObservedContainer("id", "name", {}, **container)  # type: ignore[arg-type]
    assert table.status(found, 10 * S) == text


@pytest.mark.parametrize(
    ("words", "width", "text"),
    [
        (("sh", "-c", 'trap "exit 3" TERM; sleep 1'), 20, '"sh -c \'trap \\"exit 3…"'),
        (("sh", "-c", "a\tb\\c\n"), None, '"sh -c a\\tb\\\\c\\n"'),
        (("sleep", "1000"), 20, '"sleep 1000"'),
        ((), 20, '""'),
    ],
)
def test_a_command_is_quoted_as_docker_quotes_it(
    words: tuple[str, ...], width: int | None, text: str
) -> None:
    assert table.command_line(words, width) == text


def test_ports_are_joined_where_they_are_the_same_inside_and_follow_each_other() -> None:
    ports = [
        ObservedPort("tcp", 80, "0.0.0.0", 8000),
        ObservedPort("tcp", 81, "0.0.0.0", 8001),
        ObservedPort("tcp", 83, "0.0.0.0", 8003),
        ObservedPort("udp", 53, "::", 53),
        ObservedPort("udp", 54, "::", 54),
        ObservedPort("tcp", 5432),
        ObservedPort("tcp", 5433),
    ]
    assert table.ports(ports) == (
        "[::]:53-54->53-54/udp, 5432-5433/tcp, "
        "0.0.0.0:8000->80/tcp, 0.0.0.0:8001->81/tcp, 0.0.0.0:8003->83/tcp"
    )


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("nginx", ("nginx", "latest")),
        ("localhost:5000/a/b:1.2", ("localhost:5000/a/b", "1.2")),
        ("nginx@sha256:abc", ("nginx", "<none>")),
        ("", ("<none>", "<none>")),
    ],
)
def test_references(reference: str, parts: tuple[str, str]) -> None:
    assert table.split_reference(reference) == parts


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (999, "999B"), (7_050_000, "7.05MB"), (3 * 10**12, "3TB")]
)
def test_size(count: int, text: str) -> None:
    assert table.size(count) == text


def test_changes_set_an_image() -> None:
    config = apply_changes(
        {"Env": ["A=0", "B=1"]},
        [
            'CMD ["sh", "-c", "x"]',
            "ENTRYPOINT run it",
            "ENV A=1 C='two words'",
            "ENV D some text",
            "EXPOSE 80 53/udp",
            "VOLUME /data",
            "LABEL k=v",
            "USER nobody",
            "workdir /srv",
        ],
    )
    assert config == {
        "Cmd": ["sh", "-c", "x"],
        "Entrypoint": ["/bin/sh", "-c", "run it"],
        "Env": ["B=1", "A=1", "C=two words", "D=some text"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "Labels": {"k": "v"},
        "User": "nobody",
        "WorkingDir": "/srv",
    }
