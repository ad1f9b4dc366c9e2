"""Trees that clients send and take: what they are, what hostile ones try, and what breaks off."""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from composer.api.buildkit import filesync, grpc
from composer.api.buildkit.filesync import DATA, ERROR, FIN, REQUEST, STAT
from composer.errors import BuildFailed

DIRECTORY, LINK, PIPE, SOCKET, SETUID = 1 << 31, 1 << 27, 1 << 25, 1 << 24, 1 << 23


def entry(path: str, mode: int = 0o644, **more: Any) -> dict[str, Any]:
    base = {"size": 0, "modTime": 1_700_000_000_123_456_789, "linkname": "", "xattrs": {}}
    return {**base, "path": path, "mode": mode, **more}


def packet(kind: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "stat": None, "ID": 0, "data": b"", **more}


class Sender:
    """A client that sends these entries, and the contents that are asked for, ``order`` by ``order``."""

    def __init__(self, entries: list[dict[str, Any]], contents: dict[str, list[bytes]]) -> None:
        self._names = [one["path"] for one in entries]
        self._contents = contents
        self._packets = [packet(STAT, stat=one) for one in entries] + [packet(STAT)]
        self.has_ended = False
        self.asked: set[str] = set()

    def send(self, value: dict[str, Any]) -> None:
        if value["type"] == REQUEST:
            self.asked.add(self._names[value["ID"]])
            pieces = self._contents.get(self._names[value["ID"]], [])
            new = [packet(DATA, ID=value["ID"], data=piece) for piece in (*pieces, b"")]
            # as clients do that send several at once: piece by piece in turn
            waiting, self._packets = self._packets, []
            while waiting or new:
                self._packets += waiting[:1] + new[:1]
                waiting, new = waiting[1:], new[1:]
        elif value["type"] == FIN:
            self._packets.append(packet(FIN))

    def receive(self) -> dict[str, Any] | None:
        return self._packets.pop(0) if self._packets else None

    def end(self) -> None:
        self.has_ended = True


def receive(
    directory: pathlib.Path, entries: list[dict[str, Any]], contents: dict[str, list[bytes]]
) -> Sender:
    directory.mkdir(exist_ok=True)
    sender = Sender(entries, contents)
    filesync.receive(cast("grpc.Call", sender), str(directory))
    return sender


def test_a_tree_arrives_as_it_is(tmp_path: pathlib.Path) -> None:
    many = [entry(f"d/many{number:03}") for number in range(200)]
    entries = [
        entry("d", DIRECTORY | 0o750),
        entry("d/hard", linkname="d/many000"),
        *many,
        entry("empty", 0o600),
        entry("link", LINK | 0o777, linkname="/etc/passwd"),
        entry("pipe", PIPE | 0o640),
        entry("program", SETUID | 0o755),
        entry("socket", SOCKET | 0o755),
    ]
    contents = {one["path"]: [one["path"].encode(), b"!"] for one in many}
    sender = receive(tmp_path / "out", entries, {**contents, "program": [b"x" * 100_000]})
    out = tmp_path / "out"
    assert sender.has_ended
    for one in many:
        assert (out / one["path"]).read_text() == one["path"] + "!"
    assert (out / "d").stat().st_mode & 0o7777 == 0o750
    assert (out / "d").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert (out / "d/hard").samefile(out / "d/many000")
    assert (out / "empty").read_bytes() == b"" and (out / "empty").stat().st_mode & 0o7777 == 0o600
    assert os.readlink(out / "link") == "/etc/passwd" and (out / "pipe").is_fifo()
    assert (out / "program").stat().st_mode & 0o7777 == 0o4755
    assert (out / "program").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert not (out / "socket").exists()


@pytest.mark.parametrize(
    "path", ["../out", "/../out", "a/../../out", "", ".", "a//b", "a/./b", "a\0b", "link/out"]
)
def test_a_name_never_leads_out(tmp_path: pathlib.Path, path: str) -> None:
    entries = [
        entry("a", DIRECTORY | 0o755),
        entry("link", LINK | 0o777, linkname=str(tmp_path)),
        entry(path),
    ]
    with pytest.raises(BuildFailed):
        receive(tmp_path / "in", entries, {path: [b"out"]})
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_what_is_there_already_is_not_sent_again(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    names = ["changed", "d/same", "gone", "later", "same", "shorter"]
    entries = [entry("d", DIRECTORY | 0o755), *(entry(name, size=3) for name in names if name != "shorter")]
    contents = {name: [b"old"] for name in names}
    receive(out, [*entries, entry("link", LINK | 0o777, linkname="same"), entry("shorter", size=3)], contents)
    (out / "later").write_bytes(b"new")  # half written, and a kill before it got its time
    new = [
        entry("changed", size=3, modTime=1_800_000_000_000_000_000),
        entry("d", DIRECTORY | 0o700),
        entry("d/same", size=3),
        entry("later", size=3),
        entry("link", LINK | 0o777, linkname="changed"),
        entry("same", 0o755, size=3),
        entry("shorter", size=2),
    ]
    sender = receive(out, new, {**{name: [b"new"] for name in names}, "shorter": [b"ne"]})
    assert sender.asked == {"changed", "later", "same", "shorter"}
    for name, data in (
        ("changed", b"new"),
        ("later", b"new"),
        ("same", b"new"),
        ("shorter", b"ne"),
        ("d/same", b"old"),
    ):
        assert (out / name).read_bytes() == data
    assert os.readlink(out / "link") == "changed" and not (out / "gone").exists()
    assert (out / "d").stat().st_mode & 0o7777 == 0o700


def test_one_kind_takes_the_place_of_another(tmp_path: pathlib.Path) -> None:
    out, secret = tmp_path / "out", tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("kept")
    first = [
        entry("a", LINK | 0o777, linkname=str(secret)),
        entry("b", DIRECTORY | 0o755),
        entry("b/deep", DIRECTORY | 0o755),
        entry("b/deep/file"),
        entry("c"),
        entry("pipe", PIPE | 0o644),
    ]
    receive(out, first, {"b/deep/file": [b"x"], "c": [b"c"]})
    second = [
        entry("a", DIRECTORY | 0o755),
        entry("a/file"),
        entry("b"),
        entry("c", DIRECTORY | 0o755),
        entry("hard", linkname="b"),
        entry("pipe", PIPE | 0o644),
    ]
    for _ in range(2):
        receive(out, second, {"a/file": [b"new"], "b": [b"b"]})
    assert (out / "a/file").read_bytes() == b"new" and (out / "b").samefile(out / "hard")
    assert (out / "c").is_dir() and (out / "pipe").is_fifo()
    assert (secret / "file").read_text() == "kept"
    receive(out, [], {})
    assert os.listdir(out) == [] and (secret / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("entries", "contents"),
    [
        ([entry("a"), entry("a")], {"a": [b"x"]}),
        ([entry("hard", linkname="../secret")], {}),
        ([entry("link", LINK, linkname=".."), entry("hard", linkname="link/secret")], {}),
        ([entry("missing/file")], {"missing/file": [b"x"]}),
        ([entry("hard", linkname="missing")], {}),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: pathlib.Path, entries: list[dict[str, Any]], contents: dict[str, list[bytes]]
) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(BuildFailed):
        receive(tmp_path / "in", entries, contents)
    assert (tmp_path / "secret").stat().st_nlink == 1


class Scripted:
    """A client that sends what it likes."""

    def __init__(self, *packets: dict[str, Any]) -> None:
        self._packets = list(packets)

    def send(self, value: dict[str, Any]) -> None:
        """Hear nothing."""

    def receive(self) -> dict[str, Any] | None:
        return self._packets.pop(0) if self._packets else None

    def end(self) -> None:
        """Say no more."""


@pytest.mark.parametrize(
    "packets",
    [
        [],
        [packet(DATA, ID=1, data=b"x")],
        [packet(STAT), packet(STAT)],
        [packet(STAT, stat=entry("a")), packet(STAT), packet(DATA, ID=5, data=b"x")],
        [packet(STAT, stat=entry("a")), packet(STAT), packet(DATA, ID=0, data=b"x")],
        [packet(STAT, stat=entry("a")), packet(ERROR, data=b"no such directory")],
        [packet(9)],
    ],
)
def test_who_does_not_keep_to_the_protocol_is_told(
    tmp_path: pathlib.Path, packets: list[dict[str, Any]]
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BuildFailed):
        filesync.receive(cast("grpc.Call", Scripted(*packets)), str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


class Pipe:
    """Two ends of a stream of packets, for a sender and a receiver of ours."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: tuple[list[Any], list[Any]] = ([], [])

    def end_of(self, side: int) -> Any:
        owner = self

        class End:
            def send(self, value: dict[str, Any]) -> None:
                with owner._changed:
                    owner._queues[1 - side].append({**packet(0), **value})
                    owner._changed.notify_all()

            def receive(self) -> dict[str, Any] | None:
                with owner._changed:
                    owner._changed.wait_for(lambda: owner._queues[side])
                    return cast("dict[str, Any] | None", owner._queues[side].pop(0))

            def end(self) -> None:
                with owner._changed:
                    owner._queues[1 - side].append(None)
                    owner._changed.notify_all()

        return End()


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    place = tmp_path / "tree"
    (place / "a/b").mkdir(parents=True)
    (place / "a/b/file").write_bytes(b"x" * 100_000)
    (place / "a.txt").write_text("beside")
    (place / "link").symlink_to("a.txt")
    (place / "run").write_text("#!")
    (place / "run").chmod(0o4755)
    yield place


def test_what_is_sent_is_received(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pipe, failures = Pipe(), []

    def sent(send: Callable[[], None]) -> None:
        try:
            send()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=sent, args=(lambda: filesync.send(pipe.end_of(0), str(tree)),))
    thread.start()
    (tmp_path / "out").mkdir()
    filesync.receive(pipe.end_of(1), str(tmp_path / "out"))
    thread.join(30)
    assert not thread.is_alive() and not failures
    out = tmp_path / "out"
    assert (out / "a/b/file").read_bytes() == b"x" * 100_000 and os.readlink(out / "link") == "a.txt"
    assert (out / "run").stat().st_mode & 0o7777 == 0o4755
    assert (out / "a.txt").stat().st_mtime_ns == (tree / "a.txt").stat().st_mtime_ns


@pytest.mark.parametrize("number", [0, 99])
def test_a_file_that_there_is_not_is_not_sent(tree: pathlib.Path, number: int) -> None:
    call = Scripted(packet(REQUEST, ID=number))  # 0 is a directory
    with pytest.raises(BuildFailed):
        filesync.send(cast("grpc.Call", call), str(tree))


def test_patterns_that_are_no_ascii_are_encoded() -> None:
    found = filesync.metadata(
        "context", {"exclude-patterns": ["a b", "ä"], "followpaths": ["x y"], "none": []}
    )
    assert found == {
        "dir-name": ["context"],
        "exclude-patterns": ["a+b", "%C3%A4"],
        "exclude-patterns-encoded": ["1"],
        "followpaths": ["x y"],
    }
