"""RUN: where commands run, what they have, what they leave, and what is said when they fail."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.integration.namespace.building.conftest import Workshop, cached, containers
from tests.integration.namespace.conftest import COMMAND, wait_for

pytestmark = pytest.mark.root


def test_a_command_has_dockers_rights_and_no_more(shop: Workshop) -> None:
    shop.build("FROM base\nRUN grep -e CapBnd -e Seccomp: /proc/self/status > /rights; hostname >> /rights\n")
    assert shop.text("/rights").split() == ["CapBnd:", "00000000a80425fb", "Seccomp:", "2", "buildkitsandbox"]


def test_what_is_not_entitled_is_refused(shop: Workshop) -> None:
    said = shop.refuse("FROM base\nRUN --security=insecure true\n")
    assert "security.insecure is not among the entitlements" in said
    assert "build.privileged: true" in said
    assert "Dockerfile:2:" in said
    assert "network.host is not among" in shop.refuse("FROM base\nRUN --network=host true\n")
    shop.build(
        "FROM base\nRUN --security=insecure grep CapEff /proc/self/status > /caps\n",
        "--allow",
        "security.insecure",
    )
    assert shop.text("/caps").split()[1] != "00000000a80425fb"


def test_networks(shop: Workshop) -> None:
    shop.build("FROM base\nRUN --network=none ls /sys/class/net > /none\nRUN ls /sys/class/net > /own\n")
    assert shop.text("/none").split() == ["lo"]
    assert sorted(shop.text("/own").split()) == ["eth0", "lo"]
    shop.build("FROM base\nRUN ls /sys/class/net > /flag\n", "--network", "none")
    assert shop.text("/flag").split() == ["lo"]


def test_a_secret_is_nowhere_but_in_the_command(shop: Workshop) -> None:
    secret = "very-secret-" + os.urandom(8).hex()
    shop.write("token", secret)
    output = shop.build(
        "FROM base\nRUN --mount=type=secret,id=t wc -c < /run/secrets/t > /length\n"
        "RUN --mount=type=secret,id=t,env=TOKEN test -n \"$TOKEN\" && stat -c '%a %u' /run 2>/dev/null | wc -l\n",
        "--secret",
        "id=t,src=token",
    )
    assert shop.text("/length").strip() == str(len(secret))
    assert secret not in output
    image = pathlib.Path(shop.directory.parent / "image.tar")
    shop.image()
    assert secret.encode() not in image.read_bytes()
    kept = subprocess.run(
        ["grep", "-rlF", secret, str(shop.stack.state)], capture_output=True, text=True, check=False
    )
    assert kept.stdout == ""
    shop.write("token", "another one")
    assert cached(
        shop.build((shop.directory / "Dockerfile").read_text(), "--secret", "id=t,src=token"), "wc -c"
    )


def test_a_required_secret_that_is_missing(shop: Workshop) -> None:
    said = shop.refuse("FROM base\nRUN --mount=type=secret,id=t,required true\n")
    assert "secret 't' is required" in said
    assert "add it to build.secrets, or give --secret id=t" in said


def test_cache_mounts_are_kept_and_are_not_in_the_image(shop: Workshop) -> None:
    step = "RUN --mount=type=cache,target=/cache echo {n} >> /cache/log; wc -l < /cache/log > /lines\n"
    shop.build(f"FROM base\n{step.format(n=1)}")
    assert shop.text("/lines") == "1\n"
    shop.build(f"FROM base\n{step.format(n=2)}")
    assert shop.text("/lines") == "2\n"
    assert not [path for path in shop.image()[0] if path.startswith("cache")]
    shop.stack.run("builder", "prune", "-af")
    shop.build(f"FROM base\n{step.format(n=3)}")
    assert shop.text("/lines") == "1\n"


def test_what_is_written_to_a_bind_mount_is_thrown_away(shop: Workshop) -> None:
    shop.write("d/f", "f\n")
    shop.build("FROM base\nRUN --mount=source=d,target=/m,rw echo new > /m/new && ls /m > /seen\n")
    assert shop.text("/seen").split() == ["f", "new"]
    assert os.listdir(shop.directory / "d") == ["f"]
    assert "cannot" in shop.refuse(
        "FROM base\nRUN --mount=source=d,target=/m echo x > /m/x || (echo cannot; exit 1)\n"
    )


def test_a_bind_mount_shows_nothing_that_is_ignored(shop: Workshop) -> None:
    shop.write(".dockerignore", "secret*\n")
    shop.write("secret.txt", "s")
    shop.write("shown.txt", "s")
    shop.build("FROM base\nRUN --mount=target=/m ls -A /m > /seen\n")
    assert "secret.txt" not in shop.text("/seen").split()
    assert "shown.txt" in shop.text("/seen").split()


def test_a_failure_shows_the_step_its_output_and_its_line(shop: Workshop) -> None:
    said = shop.refuse("FROM base\nRUN true\nRUN echo before the end; echo to stderr >&2; exit 3\n")
    assert "Dockerfile:3:1" in said
    assert "exit code: 3" in said
    assert "3 | RUN echo before the end" in said
    assert "> before the end" in said
    assert "> to stderr" in said


def test_a_failed_container_can_be_kept(shop: Workshop) -> None:
    said = shop.refuse("FROM base\nRUN echo said; exit 1\n", "--keep-failed")
    name = said.partition("look into container ")[2].split(",")[0]
    assert name.startswith("build-")
    logs = shop.stack.out("container", "logs", name)
    assert logs == "said\n"
    shop.build("FROM base\nRUN true\n")
    assert name in shop.stack.out("container", "ls", "-a")
    shop.stack.run("container", "rm", name)


def test_two_builds_of_one_step_run_it_once(shop: Workshop) -> None:
    shop.write(
        "Dockerfile",
        "FROM base\nRUN --mount=type=cache,id=once,target=/c echo x >> /c/ran; sleep 1; cp /c/ran /ran\n",
    )
    command = [COMMAND, "--backend", "namespace", "image", "build", "-q", "-t"]
    running = [
        subprocess.Popen(
            [*command, f"built{number}", "."],
            cwd=shop.directory,
            env=shop.stack.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    ids = set()
    for one in running:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
        ids.add(out.strip())
    assert len(ids) == 1
    assert shop.text("/ran", "built0") == "x\n"


def test_a_builder_that_is_killed_takes_its_command_along(shop: Workshop) -> None:
    shop.write("Dockerfile", "FROM base\nRUN echo started; sleep 1000\n")
    builder = subprocess.Popen(
        [COMMAND, "--backend", "namespace", "image", "build", "--progress", "plain", "-t", "x", "."],
        cwd=shop.directory,
        env=shop.stack.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert builder.stdout is not None
    for line in builder.stdout:
        if line.rstrip().endswith("started") and "RUN" not in line:
            break
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    builder.stdout.close()
    wait_for(lambda: not containers(shop), what="the end of the command")
    shop.build("FROM base\nRUN echo well > /well\n")
    assert shop.text("/well") == "well\n"
    assert shop.stack.out("container", "ls", "-aq") == ""


# A builder that is killed once it has sent a request, before it reads the answer.
_DIES_AT = """
import os, signal, sys
from composer.cli.main import main
from composer.runtime.base import wire
from composer.runtime.objects.client import Client

moment, really = sys.argv.pop(), Client.ask

def ask(self, request, **more):
    if request["op"] != moment:
        return really(self, request, **more)
    if moment == "start":
        wire.send(self.take(), request)
    os.kill(os.getpid(), signal.SIGKILL)

Client.ask = ask
sys.argv[1:] = ["--backend", "namespace", "image", "build", "-q", "."]
main()
"""


def build_and_die(shop: Workshop, moment: str) -> None:
    """Build, and kill the builder where it asks the supervisor for something: ``start``, ``wait`` or ``remove``."""
    builder = subprocess.run(
        [sys.executable, "-c", _DIES_AT, moment],
        cwd=shop.directory,
        env=shop.stack.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert builder.returncode == -signal.SIGKILL, builder.stderr


@pytest.mark.parametrize("moment", ["start", "wait"])
def test_a_builder_that_is_killed_while_it_starts_a_command_takes_it_along(
    shop: Workshop, moment: str
) -> None:
    shop.write("Dockerfile", "FROM base\nRUN sleep 1000\n")
    build_and_die(shop, moment)
    wait_for(lambda: not containers(shop), what="the end of the command")


def test_pruning_removes_the_container_of_a_killed_builder(shop: Workshop) -> None:
    shop.write("Dockerfile", "FROM base\nRUN true\n")
    build_and_die(shop, "remove")
    assert containers(shop)
    shop.stack.run("builder", "prune", "-f")
    assert not containers(shop)


def test_stages_from_this_machine_in_parallel_end(shop: Workshop) -> None:
    # each holds mounts in a process of its own, which must not keep the other's
    shop.build(
        "FROM host AS a\nRUN sleep 0.2; echo a > /a\nFROM host AS b\nRUN sleep 0.3; echo b > /b\nFROM host AS c\n"
        "RUN echo c > /c\nFROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n"
    )
    assert set(shop.image()[0]) == {"a", "b", "c"}


def test_one_stage_fails_while_another_runs(shop: Workshop) -> None:
    said = shop.refuse(
        "FROM base AS slow\nRUN sleep 2; echo 1 > /1\nRUN echo never > /2\nFROM base AS bad\nRUN exit 9\n"
        "FROM scratch\nCOPY --from=slow /2 /\nCOPY --from=bad /bin/sh /\n"
    )
    assert "exit code: 9" in said
    assert said.count("error:") == 1


def test_a_device_is_refused_by_name(shop: Workshop) -> None:
    assert "RUN --device is not supported" in shop.refuse(
        "FROM base\nRUN --device=vendor.com/device=x true\n"
    )


@pytest.mark.parametrize("kind", ["bind", "cache", "tmpfs"])
def test_a_mount_without_a_target_is_refused_where_it_is_written(shop: Workshop, kind: str) -> None:
    message = shop.refuse(f"FROM base\nRUN --mount=type={kind} true\n")
    assert f"Dockerfile:2:1: RUN --mount of type {kind} has no target" in message


def test_links_of_a_stage_lead_to_where_they_do_in_it(shop: Workshop) -> None:
    shop.build(
        "FROM base AS a\nRUN mkdir -p /deep/er && echo here > /deep/er/f && ln -s /deep/er /link\n"
        "FROM base\nRUN --mount=type=bind,from=a,source=/link,target=/m cat /m/f > /one\n"
        "RUN --mount=type=bind,from=a,source=../../../deep,target=/m cat /m/er/f > /two\n"
    )
    assert shop.text("/one") == shop.text("/two") == "here\n"


def test_a_stage_that_is_written_wrong_is_not_a_name_on_the_network(shop: Workshop) -> None:
    message = shop.refuse("FROM base AS build\nFROM scratch\nCOPY --from=bild /x /\n")
    assert "Dockerfile:3:1: " in message
    assert "did you mean 'build'?" in message
    message = shop.refuse("FROM base\nCOPY --chown=nobody-here --from=base /bin/sh /x\n")
    assert "Dockerfile:2:1: unable to find user 'nobody-here'" in message
