"""Snapshots on the disk: never half of one, whenever what is killed; blocks shared where that can be; nothing left."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from composer.runtime.base import locking

from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

TWO = """
services:
  one: {image: host, command: [sleep, inf], init: true, volumes: ["first:/first", "/second"]}
  two: {image: host, command: [sleep, inf], init: true, volumes: ["first:/first:ro", "third:/third"]}
volumes: {first: {}, third: {}}
"""
FILES = 60


def write(stack: Stack, word: str) -> None:
    """Put the same word into many files of all volumes, and a file of its own name."""
    loop = f"for i in $(seq {FILES}); do echo {word} >$i; done; rm -f old new; echo {word} >{word}"
    stack.shell("one", f"cd /first && {loop}; cd /second && {loop}")
    stack.shell("two", f"cd /third && {loop}")


def words(stack: Stack) -> set[str]:
    """Return the words that are in the files of all volumes."""
    read = f"cat $(seq {FILES}); ls | grep -v '[0-9]'"
    text = stack.shell("one", f"cd /first && {read} && cd /second && {read}")
    return {*text.split(), *stack.shell("two", f"cd /third && {read}").split()}


def up(stack: Stack) -> None:
    """Start what is not running: also what goes only now, because a killed command had asked for it."""

    def runs() -> bool:
        stack.run("up", "-d")
        return len(stack.out("ps", "-q", "one", "two").split()) == 2

    wait_for(runs, what="both services")


def mounted(stack: Stack) -> list[str]:
    text = pathlib.Path("/proc/self/mountinfo").read_text()
    return sorted(line.split()[4] for line in text.splitlines() if f"{stack.state}/lib/volumes/" in line)


def half_made(stack: Stack) -> list[str]:
    """Return what is under a temporary name, or on its way."""
    places = ("snapshots/.*.tmp", "snapshots/placing/*", "snapshots/frozen/*", "volumes/*/over/.*")
    return [str(path) for place in places for path in stack.state.glob(f"lib/{place}")]


def test_a_kill_at_any_moment_of_a_restore_leaves_the_old_data_or_the_new(stack: Stack) -> None:
    stack.up(TWO)
    write(stack, "old")
    stack.run("snapshot", "save", "s")
    found, delay_s = [], 0.15
    for step in range(14):
        write(stack, "new")
        process = stack.popen("snapshot", "restore", "s", start_new_session=True)
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        up(stack)
        seen = words(stack)
        assert seen in ({"old"}, {"new"}), step
        found.append(seen.pop())
        # about the moment when one becomes the other, however busy the machine is
        delay_s *= 1.5 if found[-1] == "new" else 0.75
        assert half_made(stack) == []
    stack.run("snapshot", "restore", "s")
    assert words(stack) == {"old"}
    stack.run("down", "-v")
    assert mounted(stack) == []
    # it has been both: a kill that always came too late, or too early, shows nothing
    assert set(found) == {"old", "new"}, found


def test_a_kill_at_any_moment_of_a_save_leaves_no_half_and_nothing_frozen(stack: Stack) -> None:
    stack.up(TWO)
    write(stack, "old")
    started_s = time.monotonic()
    stack.run("snapshot", "save", "--freeze", "s")
    whole_s = time.monotonic() - started_s
    stack.run("snapshot", "rm", "s")
    for step in range(8):
        process = stack.popen("snapshot", "save", "--freeze", "s", "--replace", start_new_session=True)
        time.sleep(whole_s * (step + 2) / 10)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        stack.run("up", "-d")
        assert '"paused"' not in stack.out("ps", "-a", "--format", "json"), step
        assert half_made(stack) == []
        if stack.out("snapshot", "ls", "-q").split():
            write(stack, "new")
            stack.run("snapshot", "restore", "s")
            assert words(stack) == {"old"}, step
    stack.run("down", "-v")


def test_a_replacement_is_complete_though_a_service_does_not_become_healthy(stack: Stack) -> None:
    times = "interval: 1s, start_interval: 100ms, start_period: 1s, retries: 1"
    check = f"{{test: [CMD, test, '!', -e, /first/bad], {times}}}"
    stack.up(TWO.replace("image: host,", f"image: host, healthcheck: {check},", 1))
    write(stack, "old")
    stack.run("snapshot", "save", "--stop", "s")
    write(stack, "new")
    stack.shell("one", "touch /first/bad")
    assert stack.run("snapshot", "save", "--stop", "s", "--replace", check=False).returncode
    assert stack.out("snapshot", "ls", "-q").split() == ["s"]
    stack.run("stop", "-t", "0")
    stack.run("snapshot", "restore", "s")
    stack.run("start")
    assert words(stack) == {"new", "bad"}
    stack.run("down", "-v")
    stack.run("snapshot", "rm", "s")


def test_what_is_frozen_by_a_killed_save_goes_on(stack: Stack) -> None:
    stack.up(TWO)
    stack.run("pause", "one")
    notes = stack.state / "lib/snapshots/frozen"
    notes.mkdir(parents=True)
    (ids,) = (json.loads(line)["ID"] for line in stack.out("ps", "--format", "json", "one").splitlines())
    id = next(path.name for path in (stack.state / "lib/containers").iterdir() if path.name.startswith(ids))
    (notes / "abc.json").write_text(json.dumps({"containers": [id], "version": 2}))
    stack.run("up", "-d")
    assert '"paused"' not in stack.out("ps", "-a", "--format", "json")
    assert half_made(stack) == []
    stack.run("down", "-v")


def test_an_overlay_is_mounted_when_it_is_needed_and_goes_with_its_volume(stack: Stack) -> None:
    stack.up(TWO)
    write(stack, "old")
    assert "stopped, by copy" in stack.out("snapshot", "save", "s")
    write(stack, "new")
    assert "restored by overlay, started one, two" in stack.out("snapshot", "restore", "s")
    assert len(mounted(stack)) == 3
    stack.shell("one", "echo more >/first/more; rm /first/1")
    stack.run("stop", "-t", "0")
    assert mounted(stack) == []
    # who looks into a container that does not run sees the same
    (stack.directory / "seen").mkdir()
    stack.run("cp", "one:/first/.", "seen")
    assert (stack.directory / "seen/more").read_text() == "more\n"
    assert (stack.directory / "seen/2").read_text() == "old\n" and not (stack.directory / "seen/1").exists()
    assert len(stack.run("volume", "export", f"{stack.name}_first", "-o", "v.tar").stderr) == 0
    names = subprocess.run(
        ["tar", "tf", stack.directory / "v.tar"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert "volume/more" in names and "volume/old" in names and "volume/1\n" not in names
    stack.run("start")
    assert stack.shell("one", "cat /first/more /first/old; ls /first/1 2>&1 || true").split()[:2] == [
        "more",
        "old",
    ]
    assert [line.split()[:3] for line in stack.out("system", "df").splitlines() if "Snapshots" in line] == [
        ["Snapshots", "1", "1"]
    ]
    assert "Snapshots space usage:" in stack.out("system", "df", "-v")
    assert "1, restored by overlays" in stack.out("doctor")
    # its files are in use: the name goes, they stay
    removed = stack.run("snapshot", "rm", "s")
    assert "are kept until these volumes are removed" in removed.stderr
    assert stack.out("snapshot", "ls", "-q") == ""
    stack.run("restart", "-t", "0")
    assert stack.shell("one", "cat /first/old") == "old"
    kept = [path for path in (stack.state / "lib/snapshots").iterdir() if len(path.name) == 32]
    assert len(kept) == 1
    kept[0].rename(stack.directory / "aside")
    assert f"volume '{stack.name}_first' cannot be mounted" in stack.out("doctor")
    stack.run("stop", "-t", "0")
    assert "cannot mount volume" in stack.run("start", check=False).stderr
    (stack.directory / "aside").rename(kept[0])
    # a damaged record of the volume takes nothing away, and a repair knows where the data is
    record = stack.state / "lib/volumes" / f"{stack.name}_first/volume.json"
    record.write_text("{")
    stack.run("volume", "create", f"{stack.name}other")
    stack.run("volume", "rm", f"{stack.name}other")
    assert kept[0].exists()
    stack.run("doctor", "--repair")
    assert json.loads(record.read_text())["over"]["snapshot"] == kept[0].name
    stack.run("start")
    assert stack.shell("one", "cat /first/old /first/more").split() == ["old", "more"]
    stack.run("down", "-v")
    assert mounted(stack) == [] and kept[0].exists()
    stack.run("volume", "rm", f"{stack.name}_first")  # whose it was is not known any more
    assert not kept[0].exists()


def test_a_snapshot_of_what_lies_over_another_is_whole(stack: Stack) -> None:
    stack.up(TWO)
    write(stack, "old")
    stack.run("snapshot", "save", "s")
    stack.run("snapshot", "restore", "s")
    write(stack, "new")
    stack.run("stop", "-t", "0")
    assert "services idle" in stack.out("snapshot", "save", "t")
    assert mounted(stack) == []
    stack.run("snapshot", "restore", "s")
    stack.run("snapshot", "rm", "s")
    stack.run("snapshot", "restore", "t")
    stack.run("start")
    assert words(stack) == {"new"}
    assert len([path for path in (stack.state / "lib/snapshots").iterdir() if len(path.name) == 32]) == 1
    stack.run("down", "-v")


def test_a_start_waits_for_who_copies_its_data(stack: Stack) -> None:
    """Also one that takes no lock of the project, as the clients of the API."""
    stack.up(TWO)
    stack.run("snapshot", "save", "s", "--layers")
    stack.run("stop", "-t", "0")
    containers = {path.name: json.loads((path / "meta.json").read_text()) for path in _containers(stack)}
    one = next(id for id, meta in containers.items() if "-one-" in meta["name"])
    for source in (f"{stack.name}_first", one):
        note = stack.state / "lib/snapshots/frozen/abc"
        with locking.locked(str(note), removes=True):
            note.with_suffix(".json").write_text(json.dumps({"containers": [], "sources": [source]}))
            start = stack.popen("container", "start", f"{stack.name}-one-1")
            with pytest.raises(subprocess.TimeoutExpired):
                start.wait(1)
            assert stack.out("ps", "-q") == ""
            note.with_suffix(".json").unlink()
        assert start.wait(60) == 0, start.communicate()
        start.communicate()
        assert len(stack.out("ps", "-q").split()) == 1
        stack.run("container", "stop", "-t", "0", f"{stack.name}-one-1")
    assert half_made(stack) == []
    stack.run("snapshot", "rm", "s")


def test_starts_beside_saves_and_restores(stack: Stack) -> None:
    """Whoever comes first: nothing is torn, and nobody waits for ever."""
    stack.up(TWO)
    write(stack, "old")
    stack.run("snapshot", "save", "s", "--layers")
    for act in (("save", "t", "--layers", "--replace"), ("restore", "s")) * 3:
        other = stack.popen("snapshot", *act)
        while other.poll() is None:
            stack.run("container", "start", f"{stack.name}-one-1", f"{stack.name}-two-1", check=False)
        _, said = other.communicate()
        assert other.returncode == 0 or "is running" in said or "is in use" in said, said
        assert half_made(stack) == []
        stack.run("up", "-d")
        assert words(stack) == {"old"}
    stack.run("snapshot", "rm", "s")
    stack.run("snapshot", "rm", "t", check=False)


def _containers(stack: Stack) -> list[pathlib.Path]:
    return [path for path in (stack.state / "lib/containers").iterdir() if len(path.name) == 64]


def test_layers_come_back_where_they_are_asked_for(stack: Stack) -> None:
    stack.up("services: {one: {image: host, command: [sleep, inf], init: true}}")
    assert "add --layers" in stack.run("snapshot", "save", "s", check=False).stderr
    stack.shell(
        "one", "mkdir -p /made/sub; echo old >/made/sub/a; rm -r /etc/passwd; echo x >/usr/share/mine"
    )
    stack.run("snapshot", "save", "s", "--layers")
    stack.shell("one", "echo new >/made/sub/a; touch /made/b /etc/passwd; rm /usr/share/mine")
    stack.run("snapshot", "restore", "s")
    assert stack.shell(
        "one", "cat /made/sub/a /usr/share/mine; ls /made; test -e /etc/passwd || echo gone"
    ) == ("old\nx\nsub\ngone")
    stack.run("down", "-v")
    stack.run("snapshot", "rm", "s")


def test_what_cannot_be_in_a_snapshot_is_named(stack: Stack) -> None:
    stack.up(
        "services:\n  one: {image: host, command: [sleep, inf], init: true, volumes: ['tmp:/t', 'vol:/v', './:/b']}\n"
        "volumes: {vol: {}, tmp: {driver_opts: {type: tmpfs, device: tmpfs}}}\n"
    )
    saved = stack.run("snapshot", "save", "s")
    assert f"volume {stack.name}_tmp: its data is elsewhere" in saved.stderr
    assert f"{stack.directory}: a directory of the host" in saved.stderr
    disk = stack.state / "lib/volumes" / f"{stack.name}_vol/_data"
    (disk / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk / "sub"], check=True)
    try:
        (disk / "sub/theirs").write_text("kept")
        failed = stack.run("snapshot", "save", "u", check=False)
        assert failed.returncode and "another file system is mounted there" in failed.stderr
        assert half_made(stack) == [] and stack.out("snapshot", "ls", "-q").split() == ["s"]
    finally:
        subprocess.run(["umount", disk / "sub"], check=True)
    stack.run("down", "-v")
    stack.run("snapshot", "rm", "s")


# ------------------------------------------------------------------ where blocks can be shared


@pytest.fixture
def btrfs(stack: Stack, tmp_path: pathlib.Path) -> Iterator[Stack]:
    """The stack, with its state on a file system that shares blocks."""
    image, place = tmp_path / "btrfs.img", tmp_path / "btrfs"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    before, stack.state = stack.state, place / "state"
    try:
        yield stack
    finally:
        stack.run("down", "-v", check=False)
        stack.state = before
        subprocess.run(["umount", str(place)], check=True)


def test_blocks_are_shared_where_the_file_system_can(btrfs: Stack) -> None:
    btrfs.up(TWO)
    write(btrfs, "old")
    btrfs.shell(
        "one",
        "dd if=/dev/urandom of=/first/big bs=1M count=100 2>/dev/null; sync; md5sum /first/big >/second/sum",
    )
    used = _used(btrfs)
    for name in ("s", "t", "u"):
        assert "services frozen, by reflink" in btrfs.out("snapshot", "save", name)
    write(btrfs, "new")
    btrfs.shell("one", "echo changed >>/first/big")
    assert "restored by reflink" in btrfs.out("snapshot", "restore", "s")
    assert words(btrfs) - {"big", "sum"} == {"old"}
    btrfs.shell("one", "cd / && md5sum -c /second/sum")
    assert mounted(btrfs) == []
    assert _used(btrfs) - used < 50 << 20  # three snapshots and a restore of 100 MB
    btrfs.run("snapshot", "rm", "s", "t", "u")
    assert [path for path in (btrfs.state / "lib/snapshots").iterdir() if len(path.name) == 32] == []


def _used(stack: Stack) -> int:
    os.sync()
    found = os.statvfs(stack.state)
    return (found.f_blocks - found.f_bfree) * found.f_frsize
