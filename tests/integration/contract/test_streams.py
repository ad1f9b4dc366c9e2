"""Output, events and commands inside a container, the same on every backend."""

from __future__ import annotations

import threading
import time

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import Health, LogPiece, lines
from composer.engine.wanted import ExecSpec
from composer.errors import BackendError
from tests.integration.contract.conftest import Place, eventually, until


def _text(lines: list[LogPiece]) -> str:
    return b"".join(line.data for line in lines).decode()


def _lines(place: Place, *ids: str, **options: object) -> list[LogPiece]:
    """Return the lines, each as a piece of its own."""
    stream = place.backend.logs(list(ids), **options)  # type: ignore[arg-type]
    try:
        return [piece._replace(data=line) for piece in stream for line in lines((piece,))]
    finally:
        stream.close()


def _ended(place: Place, service: str = "web", shell: str = "echo one; echo two", *output: str) -> str:
    does = Behaviour(exits=(0,), output=output or ("one", "two"))
    id = place.start(service, shell, does)
    place.backend.wait_container(id)
    return id


def test_output_is_kept_line_by_line(place: Place) -> None:
    id = _ended(place)
    lines = _lines(place, id)
    assert [line.data for line in lines] == [b"one\n", b"two\n"]
    assert {line.container_id for line in lines} == {id}
    assert lines[0].time_ns <= lines[1].time_ns
    started = place.backend.container(id).started_ns
    assert lines[0].time_ns >= started - 1_000_000_000


def test_the_tail_counts_lines_of_each_container(place: Place) -> None:
    ids = [_ended(place, "a"), _ended(place, "b")]
    found = _lines(place, *ids, tail=1)
    assert sorted((line.container_id, line.data) for line in found) == sorted((id, b"two\n") for id in ids)
    assert _lines(place, *ids, tail=0) == []


def test_lines_of_several_containers_are_merged_by_time(place: Place) -> None:
    ids = [_ended(place, "a"), _ended(place, "b")]
    times = [line.time_ns for line in _lines(place, *ids)]
    assert times == sorted(times)
    assert len(times) == 4


def test_output_can_be_limited_by_time(place: Place) -> None:
    id = _ended(place, "web", "echo one; sleep 1; echo two")
    first, second = _lines(place, id)
    assert _text(_lines(place, id, since_ns=second.time_ns)).endswith("two\n")
    if place.is_real:
        assert _text(_lines(place, id, since_ns=second.time_ns)) == "two\n"
        assert _text(_lines(place, id, until_ns=first.time_ns + 500_000_000)) == "one\n"


@pytest.mark.real
def test_streams_are_told_apart(place: Place) -> None:
    id = _ended(place, "web", "echo good; echo bad >&2")
    assert {(line.stream, line.data) for line in _lines(place, id)} == {
        ("stdout", b"good\n"),
        ("stderr", b"bad\n"),
    }


def test_following_ends_with_the_container(place: Place) -> None:
    id = place.start(shell="echo one; sleep 0.5; echo two", does=Behaviour(exits=(0,), output=("one", "two")))
    assert _text(_lines(place, id, follow=True)) == "one\ntwo\n"


def test_following_goes_on_over_restarts(place: Place) -> None:
    shell = "echo run; exit 3"
    id = place.start(shell=shell, does=Behaviour(exits=(3, 3, 3), output=("run",)), restart="on-failure:2")
    assert _text(_lines(place, id, follow=True)) == "run\n" * 3


def test_following_can_be_stopped_from_outside(place: Place) -> None:
    id = place.start(shell="echo one; sleep 600", does=Behaviour(output=("one",)))
    stream = place.backend.logs([id], follow=True)
    found: list[LogPiece] = []
    thread = threading.Thread(target=lambda: found.extend(stream))
    thread.start()
    eventually(lambda: found or _lines(place, id), what="the first line")
    stream.close()
    thread.join(10)
    assert not thread.is_alive()


def test_events_tell_a_life(place: Place) -> None:
    events = place.backend.events(place.project)
    try:
        id = place.start(shell="exit 3", does=Behaviour(exits=(3,)))
        place.backend.wait_container(id)
        place.backend.remove_container(id)
        found = [e for e in until(events, "destroy") if e.kind == "container"]
    finally:
        events.close()
    kept = [e for e in found if e.action in ("create", "start", "die", "destroy")]
    assert [e.action for e in kept] == ["create", "start", "die", "destroy"]
    assert {e.id for e in kept} == {id}
    death = kept[2].attributes
    assert (death["exitCode"], death["willRestart"], death["name"]) == ("3", "false", place.name("web"))
    assert [e.time_ns for e in kept] == sorted(e.time_ns for e in kept)


def test_a_death_says_whether_the_policy_starts_it_again(place: Place) -> None:
    events = place.backend.events(place.project)
    try:
        place.start(shell="exit 3", does=Behaviour(exits=(3, 3)), restart="on-failure:1")
        first = until(events, "die")[-1]
        second = until(events, "die")[-1]
    finally:
        events.close()
    assert first.attributes["willRestart"] == "true"
    assert second.attributes["willRestart"] == "false"


def test_health_is_an_event(place: Place) -> None:
    events = place.backend.events(place.project)
    check = {"test": ["CMD", "true"], "interval": "100ms", "timeout": "5s", "retries": 1}
    try:
        id = place.start(healthcheck=check, does=Behaviour(health=(Health.HEALTHY,)))
        found = until(events, "health_status")[-1]
    finally:
        events.close()
    assert (found.id, found.attributes["health_status"]) == (id, "healthy")


def test_another_projects_events_are_not_ours(place: Place) -> None:
    events = place.backend.events(f"{place.project}x")
    try:
        place.create()
        assert events.next(0.3) is None
    finally:
        events.close()


def test_closing_the_events_wakes_who_waits(place: Place) -> None:
    events = place.backend.events(place.project)
    found: list[object] = ["waiting"]
    thread = threading.Thread(target=lambda: found.append(events.next(None)))
    thread.start()
    events.close()
    thread.join(10)
    assert found == ["waiting", None]


def test_a_command_has_output_and_an_exit_code(place: Place) -> None:
    id = place.start(does=Behaviour(exec=lambda spec: (7, b"hello\n")))
    session = place.backend.exec(id, ExecSpec(["sh", "-c", "echo hello; exit 7"], interactive=False))
    try:
        output = b""
        while (chunk := session.read()) is not None:
            output += chunk[1]
        assert (output, session.wait()) == (b"hello\n", 7)
    finally:
        session.close()


@pytest.mark.real
def test_a_command_reads_what_is_written_to_it(place: Place) -> None:
    session = place.backend.exec(place.start(), ExecSpec(["cat"]))
    try:
        data = bytes(range(256)) * 4096
        thread = threading.Thread(target=lambda: (session.write(data), session.close_stdin()))
        thread.start()
        output = b""
        while (chunk := session.read()) is not None:
            output += chunk[1]
        thread.join()
        assert output == data
        assert session.wait() == 0
    finally:
        session.close()


@pytest.mark.real
def test_a_terminal_has_a_size(place: Place) -> None:
    command = [
        "sh",
        "-c",
        "while [ \"$(stty size 2>/dev/null)\" != '33 77' ]; do sleep 0.05; done; stty size",
    ]
    session = place.backend.exec(place.start(), ExecSpec(command, tty=True))
    try:
        session.resize(33, 77)
        output = b""
        while (chunk := session.read()) is not None:
            output += chunk[1]
        assert output.split() == [b"33", b"77"]
    finally:
        session.close()


@pytest.mark.real
def test_environment_user_and_directory_of_a_command(place: Place) -> None:
    command = ("sh", "-c", "echo $MARK; id -u; pwd")
    spec = ExecSpec(command, environment=("MARK=here",), user="65534", working_dir="/tmp", interactive=False)
    session = place.backend.exec(place.start(), spec)
    try:
        output = b""
        while (chunk := session.read()) is not None:
            output += chunk[1]
        assert output.decode().split() == ["here", "65534", "/tmp"]
    finally:
        session.close()


def test_a_command_needs_a_container_that_runs(place: Place) -> None:
    with pytest.raises(BackendError):
        place.backend.exec(place.create(), ExecSpec(["true"]))


def test_many_commands_at_once_keep_their_own(place: Place) -> None:
    id = place.start(
        does=Behaviour(exec=lambda spec: (int(spec.command[-1]), spec.command[-1].encode() + b"\n"))
    )
    found: dict[int, tuple[bytes, int]] = {}

    def run(number: int) -> None:
        script = "echo $0; exit $0"
        session = place.backend.exec(id, ExecSpec(["sh", "-c", script, str(number)], interactive=False))
        try:
            output = b""
            while (chunk := session.read()) is not None:
                output += chunk[1]
            found[number] = (output, session.wait())
        finally:
            session.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: (f"{number}\n".encode(), number) for number in range(12)}


def test_events_of_the_past_are_told_and_end(place: Place) -> None:
    before_ns = time.time_ns()
    id = place.start(shell="exit 3", does=Behaviour(exits=(3,)))
    place.backend.wait_container(id)
    eventually(lambda: place.state(id).value == "exited", what="its end")
    events = place.backend.events(place.project, since_ns=before_ns, until_ns=time.time_ns() + 1_000_000_000)
    try:
        found = []
        while (event := events.next(None)) is not None:
            found.append(event)
    finally:
        events.close()
    kept = [e.action for e in found if e.kind == "container" and e.action in ("create", "start", "die")]
    assert kept[-2:] == ["start", "die"], "its creation may have been before anything was written down"
    later = place.backend.events(place.project, since_ns=time.time_ns(), until_ns=time.time_ns())
    try:
        assert later.next(None) is None
    finally:
        later.close()
