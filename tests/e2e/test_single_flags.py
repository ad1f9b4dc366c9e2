"""The flags of commands on single objects do what they say, on both real backends."""

from __future__ import annotations

import json
import pathlib
import tarfile

import pytest

from tests.e2e.test_single_containers import LABEL, Place, place
from tests.integration.contract.conftest import IMAGE
from tests.integration.namespace.conftest import wait_for

__all__ = ["place"]


def inspect(place: Place, name: str, template: str) -> str:
    return place("container", "inspect", "-f", template, name).strip()


def make(place: Place, name: str, *flags: str, command: tuple[str, ...] = ("sleep", "600")) -> str:
    """Run a container in the background and return its name."""
    full = f"{place.mark}-{name}"
    place.run("-d", "--name", full, "--stop-timeout", "0", *flags, IMAGE, *command)
    return full


def inside(place: Place, name: str, script: str) -> str:
    return place("container", "exec", name, "sh", "-c", script).strip()


def test_what_the_process_sees(place: Place) -> None:
    (place.directory / "env").write_text("A=1\nB=two words\n# no\n")
    name = make(
        place, "a", "--env-file", "env", "-e", "C=3", "--user", "1000:1001", "--group-add", "7", "-w", "/tmp",
        "-h", "box", "--add-host", "foo:1.2.3.4", "--ulimit", "stack=4194304:8388608", "--init", "--cap-drop", "ALL",
        "--read-only", "--tmpfs", "/t:size=1m", "--shm-size", "2m", "--oom-score-adj", "300",
    )  # fmt: skip
    assert inside(place, name, "echo $A,$B,$C; id -u; id -g; id -G; pwd; hostname; ulimit -s").splitlines() == [
        "1,two words,3", "1000", "1001", "1001 7", "/tmp", "box", "4096",
    ]  # fmt: skip
    assert "1.2.3.4" in inside(place, name, "grep foo /etc/hosts")
    assert inside(place, name, "grep CapBnd /proc/1/status | tr -d '\\t '") == "CapBnd:0000000000000000"
    assert inside(place, name, "cat /proc/1/oom_score_adj") == "300"
    assert inside(place, name, "df -k /t | tail -1").split()[1] == "1024"
    assert inside(place, name, "df -k /dev/shm | tail -1").split()[1] == "2048"
    assert "Read-only" in inside(place, name, "touch /etc/x 2>&1 || true")
    assert inside(place, name, "cat /proc/1/cmdline | tr '\\0' ' '") != "sleep 600"  # init is the first


def test_mounts_of_every_kind(place: Place) -> None:
    (place.directory / "here").mkdir()
    (place.directory / "here/file").write_text("mine\n")
    volume = place("volume", "create", f"{place.mark}-v").strip()
    try:
        name = make(
            place, "m",
            "--mount", "type=bind,src=here,dst=/bound,readonly",
            "--mount", f"type=volume,source={volume},target=/kept",
            "--mount", "type=tmpfs,destination=/fast,tmpfs-size=1m,tmpfs-mode=700",
            "-v", "./here:/again:ro", "--tmpfs", "/more",
        )  # fmt: skip
        assert inside(place, name, "cat /bound/file /again/file") == "mine\nmine"
        assert "Read-only" in inside(place, name, "touch /bound/x 2>&1 || true")
        assert inside(place, name, "echo 1 > /kept/x; echo 2 > /more/y; stat -c %a /fast") == "700"
        other = make(place, "o", "--volumes-from", f"{name}:ro")
        assert inside(place, other, "cat /kept/x /bound/file") == "1\nmine"
        assert "Read-only" in inside(place, other, "touch /kept/z 2>&1 || true")
    finally:
        for name in place.names():
            place("container", "rm", "-f", name)
        place("volume", "rm", volume)


@pytest.mark.parametrize(
    "text",
    [
        "type=bind,dst=/x",
        "type=none,src=a,dst=/x",
        "type=bind,src=nowhere,dst=/x",
        "type=volume,src=a",
        "type=volume,src=a,dst=/x,tmpfs-size=1m",
        "type=tmpfs,dst=/x,tmpfs-mode=9",
        "type=volume,src=a,dst=/x,speed=high",
    ],
)
def test_a_mount_that_means_nothing_is_refused(place: Place, text: str) -> None:
    place.run("--mount", text, IMAGE, "true", code=1)
    assert place.names() == []


def test_networks_and_ports(place: Place) -> None:
    nets = [f"{place.mark}-{name}" for name in ("one", "two")]
    place("network", "create", nets[0], "--subnet", "10.214.3.0/24")
    place("network", "create", nets[1])
    try:
        name = make(
            place, "w", "--network", f"name={nets[0]},alias=web,ip=10.214.3.7", "--network", nets[1],
            "--mac-address", "02:11:22:33:44:55", "--expose", "81/udp", "-p", "127.0.0.1::80", "-P",
            command=("sh", "-c", "mkdir /www; echo hello > /www/index; exec httpd -f -p 80 -h /www"),
        )  # fmt: skip
        address = inspect(place, name, f'{{{{(index .NetworkSettings.Networks "{nets[0]}").IPAddress}}}}')
        assert address == "10.214.3.7"
        assert inspect(place, name, f'{{{{(index .NetworkSettings.Networks "{nets[1]}").IPAddress}}}}')
        client = make(place, "c", "--network", nets[0], "--link", f"{name}:alias")
        fetch = f"for n in web alias {name}; do wget -qO- http://$n/index; done || true"
        wait_for(lambda: inside(place, client, fetch).split() == ["hello"] * 3, what="an answer")
        lines = place("container", "port", name).splitlines()
        assert [line.partition(" -> ")[0] for line in lines if "[" not in line] == ["80/tcp", "81/udp"]
        assert place("container", "port", name, "80").startswith("127.0.0.1:")
        number = place("container", "port", name, "80").strip().rpartition(":")[2]
        assert place("container", "ls", "-q", "--filter", f"publish={number}").strip() in inspect(
            place, name, "{{.Id}}"
        )
        place("container", "port", name, "99", code=1)
    finally:
        for name in place.names():
            place("container", "rm", "-f", name)
        for net in nets:
            place("network", "rm", net)


def test_flags_of_networks_are_refused_without_one(place: Place) -> None:
    place.run("--ip", "10.0.0.1", IMAGE, "true", code=1)
    place.run("--network", "host", "--network-alias", "x", IMAGE, "true", code=1)
    place.run("--network", "host", "--network", "other", IMAGE, "true", code=1)
    assert place.names() == []


def test_health_and_restart_flags(place: Place) -> None:
    name = make(
        place, "h", "--health-cmd", "test -e /tmp/ok", "--health-interval", "200ms", "--health-retries", "1",
        "--restart", "on-failure:2",
    )  # fmt: skip
    wait_for(lambda: inspect(place, name, "{{.State.Health.Status}}") == "unhealthy", what="unhealthy")
    assert place("container", "ls", "--filter", "health=unhealthy", "--filter", f"name={name}", "-q")
    inside(place, name, "touch /tmp/ok")
    wait_for(lambda: inspect(place, name, "{{.State.Health.Status}}") == "healthy", what="healthy")
    assert inspect(place, name, "{{.HostConfig.RestartPolicy}}") == "map[MaximumRetryCount:2 Name:on-failure]"
    place.run("--no-healthcheck", "--health-cmd", "true", IMAGE, "true", code=1)


def test_streams_of_run_and_start(place: Place) -> None:
    script = ("sh", "-c", "echo out; echo err >&2")
    assert place.run("--rm", "-a", "stderr", IMAGE, *script) == ""
    assert place.run("--rm", "-a", "stdout", IMAGE, *script) == "out\n"
    place.run("-d", "-a", "stdout", IMAGE, "true", code=1)
    place.run("--rm", "-a", "nowhere", IMAGE, "true", code=1)
    name = f"{place.mark}-s"
    place(
        "container",
        "create",
        "-l",
        f"{LABEL}={place.mark}",
        "--name",
        name,
        IMAGE,
        "sh",
        "-c",
        "echo hi; exit 4",
    )
    assert place("container", "start", "-a", name, code=4) == "hi\n"
    assert place("container", "start", name) == f"{name}\n"
    assert place("container", "wait", name) == "4\n"
    place("container", "start", "-a", name, "other", code=1)


def test_the_id_goes_to_a_new_file(place: Place) -> None:
    id = place.run("-d", "--cidfile", "cid", IMAGE, "true").strip()
    assert (place.directory / "cid").read_text() == id
    place.run("--cidfile", "cid", IMAGE, "true", code=1)
    place.run("--cidfile", "other", "--name", "no/name", IMAGE, "true", code=1)
    assert not (place.directory / "other").exists()
    assert len(place.names()) == 1


def test_a_flag_that_cannot_be_honoured_is_refused_by_name(place: Place) -> None:
    for flags in (["--kernel-memory", "1m"], ["--volume-driver", "x"], ["--cpuset-mems", "0"]):
        place.run(*flags, IMAGE, "true", code=1)
    assert place.names() == []


def test_filters_and_columns_of_a_list(place: Place) -> None:
    one, two = make(place, "one", "-l", "kind=a"), make(place, "two", "--tmpfs", "/t", "-l", "kind=b")
    place("container", "stop", "-s", "KILL", "-t", "5", two)
    mine = ("--filter", f"label={LABEL}={place.mark}", "--format", "{{.Names}}")

    def listed(*flags: str) -> list[str]:
        return place("container", "ls", *mine, *flags).split()

    assert listed() == [one]
    assert listed("-a") == [two, one]
    assert listed("-n", "1") == listed("-l") == [two]
    assert listed("--filter", "status=exited") == [two]
    assert listed("-a", "--filter", "exited=137") == [two]
    assert listed("-a", "--filter", f"before={two}") == [one]
    assert listed("-a", "--filter", f"since={one}") == [two]
    assert listed("-a", "--filter", f"name=^{one}$", "--filter", f"name={two}") == [two, one]
    assert listed("-a", "--filter", f"ancestor={IMAGE}", "--filter", "label=kind=a") == [one]
    assert listed("-a", "--filter", "ancestor=nothing") == []
    assert listed("--filter", "network=bridge") == [one]
    assert listed("--filter", "is-task=true") == []
    assert listed("--filter", f"id={inspect(place, one, '{{.Id}}')[:20]}") == [one]
    for wrong in ("status=odd", "speed=1", "exited=x", "health=fine", "expose=a", "name", "is-task=2"):
        place("container", "ls", "--filter", wrong, code=1)
    size = place("container", "ls", "-s", "--filter", f"name={one}", "--format", "{{.Size}}")
    assert "(virtual " in size
    shown = json.loads(place("container", "inspect", "-s", one))[0]
    assert shown["SizeRootFs"] > shown["SizeRw"] >= 0


def test_stop_by_a_signal(place: Place) -> None:
    script = ("sh", "-c", "trap 'exit 9' USR1; trap : TERM; while :; do sleep 0.05; done")
    name = make(place, "s", command=script)
    wait_for(
        lambda: inside(place, name, "grep SigCgt /proc/1/status").split()[1].strip("0"), what="the traps"
    )
    place("container", "stop", "-s", "USR1", "-t", "30", name)
    assert inspect(place, name, "{{.State.ExitCode}}") == "9"
    place("container", "restart", "-s", "KILL", "-t", "-1", name)
    assert inspect(place, name, "{{.State.Status}}") == "running"


def test_update_of_limits_and_policy(place: Place) -> None:
    name = make(place, "u", "-m", "64m", "--memory-swap", "64m", "--restart", "always")
    place("container", "update", name, code=1)
    place("container", "update", "--memory", "96m", name, code=1)
    place("container", "update", "--memory", "96m", "--memory-swap", "96m", "--restart", "no", name)
    usage = place("container", "stats", "--no-stream", "--format", "{{.MemUsage}}", name)
    assert usage.strip().endswith("/ 96MiB")
    assert inspect(place, name, "{{.HostConfig.RestartPolicy.Name}}") == "no"


def test_files_of_a_container(place: Place) -> None:
    name = make(place, "f")
    (place.directory / "mine").write_text("mine\n")
    place("container", "cp", "mine", f"{name}:/srv/mine")
    assert inside(place, name, "cat /srv/mine; rm /bin/true; echo > /etc/new; sleep 0") == "mine"
    changes = place("container", "diff", name).splitlines()
    for line in ("A /srv/mine", "D /bin/true", "A /etc/new", "C /etc", "C /srv", "C /bin"):
        assert line in changes
    place("container", "cp", "-q", f"{name}:/srv/mine", "back")
    assert (place.directory / "back").read_text() == "mine\n"
    place("container", "cp", f"{name}:/a", f"{name}:/b", code=1)
    place("container", "export", "-o", "files.tar", name)
    with tarfile.open(place.directory / "files.tar") as archive:
        assert "srv/mine" in archive.getnames()
    image = f"{place.mark}-image"
    place("container", "commit", "--pause=false", "-m", "why", "-c", 'CMD ["cat", "/srv/mine"]', name, image)
    try:
        assert place.run("--rm", image) == "mine\n"
        assert place("container", "ls", "-q", "--filter", f"ancestor={IMAGE}", "--filter", f"name={name}")
    finally:
        place("image", "rm", image)


def test_prune_by_age_and_label(place: Place) -> None:
    place.run("--name", f"{place.mark}-p", IMAGE, "true")
    place("container", "prune", "-f", "--filter", f"label={LABEL}={place.mark}", "--filter", "until=1h")
    assert place.names() == [f"{place.mark}-p"]
    told = place(
        "container", "prune", "-f", "--filter", f"label={LABEL}={place.mark}", "--filter", "until=0s"
    )
    assert place.names() == []
    assert "Total reclaimed space: " in told


def test_exec_takes_variables_of_a_file(place: Place) -> None:
    name = make(place, "e")
    (place.directory / "env").write_text("LEVEL=high\n")
    assert (
        place("container", "exec", "--env-file", "env", "-e", "X=1", name, "sh", "-c", "echo $LEVEL$X")
        == "high1\n"
    )
    assert pathlib.Path(place.directory / "env").exists()
