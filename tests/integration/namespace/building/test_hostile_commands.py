"""Commands of builds that are up to no good: they harm neither the machine nor what later steps see."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from tests.integration.namespace.building.conftest import SmallDisk, Workshop, cached, untouched

pytestmark = pytest.mark.root


def test_commands_that_leave_processes_running(shop: Workshop) -> None:
    shop.build(
        "FROM base\nRUN sleep 1000 & (setsid sleep 1000 >/dev/null 2>&1 </dev/null &) ; echo well > /well\n"
    )
    assert shop.text("/well") == "well\n"


def test_forks_without_end(shop: Workshop) -> None:
    said = shop.refuse(
        "FROM base\nRUN i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; exit 4\n",
        "--ulimit",
        "nproc=100000",
    )
    assert "exit code: 4" in said


def test_output_without_end(shop: Workshop) -> None:
    command = [*_command(), "image", "build", "-q", "-t", "built", "."]
    shop.write("Dockerfile", "FROM base\nRUN yes | head -c 300000000; head -c 100000000 /dev/zero\n")
    done = subprocess.run(
        ["prlimit", "--as=1500000000", *command],
        cwd=shop.directory,
        env=shop.stack.environment(),
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_full_disk(shop: Workshop) -> None:
    with SmallDisk(shop):
        said = shop.refuse("FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=500\n")
        assert "no space left on the disk" in said
        with (shop.directory / "big").open("wb") as file:
            for _ in range(450):
                file.write(b"x" * (1 << 20))
        said = shop.refuse("FROM base\nCOPY big /\n")
        assert "no space left on device" in said
        shop.build("FROM base\nRUN echo well > /well\n")
        assert shop.text("/well") == "well\n"


def test_reserved_names_of_a_command(shop: Workshop) -> None:
    for command in ("touch /.wh.x", "mkdir -p /d/.wh.y", "touch /bin/.wh..wh..opq"):
        said = shop.refuse(f"FROM base\nRUN {command}\n")
        assert "reserved" in said
        assert f"RUN /bin/sh -c {command}" in said
    assert "exit code" in shop.refuse("FROM base\nRUN mknod /whiteout c 0 0\n")


def test_attributes_of_overlays_are_nothing_that_a_command_can_set(shop: Workshop) -> None:
    shop.write("Dockerfile", "FROM base\n")
    for name, value in (
        ("trusted.overlay.opaque", b"y"),
        ("trusted.overlay.redirect", b"/etc"),
        ("user.kept", b"v"),
    ):
        os.setxattr(shop.directory / "Dockerfile", name, value)
    shop.build("FROM base\nCOPY Dockerfile /d\nRUN cat /d\n")
    assert shop.text("/d").startswith("FROM base")


def test_commands_that_change_the_root(shop: Workshop) -> None:
    shop.build(
        "FROM base\nRUN mkdir -p /a/b/c && echo x > /a/b/c/f && ln /a/b/c/f /a/hard && chmod 4711 /a/hard\n"
        "RUN mv /a /renamed && rm -rf /tmp && ln -s /renamed /tmp\n"
        "RUN rm -rf /etc /dev/* /home 2>/dev/null; mkdir /etc2; true\n"
        "RUN mv /renamed/b /bb && ln /bb/c/f /across && mv /bb /renamed/b && chmod 700 / && chown 3:4 /\n"
        "RUN echo still > /still\n"
    )
    files = shop.image()[0]
    assert files["renamed/hard"].mode == 0o4711
    assert files["across"].contents == files["renamed/b/c/f"].contents
    assert files["tmp"].link == "/renamed"
    assert files["still"].kind == "file"
    said = shop.refuse("FROM base\nRUN rm -rf /bin; echo gone\nRUN true\n")
    assert "Dockerfile:3" in said
    assert "exit code" in shop.refuse("FROM base\nRUN mount -t tmpfs x /proc\n")
    shop.build(
        "FROM base\nRUN --security=insecure mount -t tmpfs x /proc && mkdir /mnt && "
        "mount -t tmpfs y /mnt && touch /mnt/x\n",
        "--allow",
        "security.insecure",
    )
    assert "mnt/x" not in shop.image()[0]


def test_a_target_that_is_where_the_runtime_mounts(shop: Workshop) -> None:
    shop.write("f", "f")
    for target in ("/proc", "/sys", "/dev", "/", "/etc/resolv.conf"):
        shop.write(
            "Dockerfile",
            f"FROM base\nRUN --mount=type=tmpfs,target={target} true\nRUN --mount=source=f,target=/proc/1 true\n",
        )
        done = shop.stack.run("image", "build", "-t", "x", ".", check=False)
        assert done.returncode == 1
        assert "bug in composer" not in done.stderr
    shop.build(
        "FROM base\nCOPY f /proc/1/f\nCOPY f /dev/null\nCOPY f /etc/resolv.conf\nRUN test -c /dev/null\n"
    )
    assert shop.image()[0]["dev/null"].kind == "file"


def test_a_cache_mount_that_was_replaced_by_a_link(shop: Workshop, outside: pathlib.Path) -> None:
    dockerfile = "FROM base\nRUN --mount=type=cache,target=/c echo {} > /c/f; ls /c > /seen\n"
    shop.build(dockerfile.format(1))
    [place] = [path for path in (shop.stack.state / "lib/build/mounts").iterdir() if path.suffix != ".lock"]
    place.rename(place.with_name("moved"))
    os.symlink(outside, place)
    said = shop.refuse(dockerfile.format(2))
    assert "cache" in said
    assert untouched(outside)
    shop.stack.run("builder", "prune", "-af")
    assert untouched(outside)
    shop.build(dockerfile.format(3))
    assert shop.text("/seen") == "f\n"


def test_steps_that_come_from_the_cache_after_a_hostile_one(shop: Workshop) -> None:
    dockerfile = "FROM base\nRUN echo 1 > /one\nRUN exit 3\n"
    shop.refuse(dockerfile)
    assert cached(shop.build("FROM base\nRUN echo 1 > /one\nRUN true\n"), "RUN echo 1")


def _command() -> list[str]:
    from tests.integration.namespace.conftest import COMMAND

    return [COMMAND, "--backend", "namespace"]
