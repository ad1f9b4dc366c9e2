"""Where mounts may go, what they hide, and what of the image is below them."""

from __future__ import annotations

import os
import pathlib

import pytest

from tests.archives import directory, file, symlink
from tests.integration.namespace.conftest import Stack
from tests.integration.namespace.test_escapes import IDLE, hostile, make_image, rootfs

pytestmark = pytest.mark.root

RUNS = "command: sleep 1000\n    stop_grace_period: 0s"
APP = (
    directory("app"),
    directory("app/node_modules", mode=0o750, uid=1000, gid=1001),
    file("app/node_modules/left-pad", b"of the image", uid=1000, gid=1001),
    directory("app/node_modules/deep"),
    file("app/node_modules/deep/er", b"deeper"),
    file("app/index.js", b"of the image"),
)


# ------------------------------------------------------------------ what must not be hidden


@pytest.mark.parametrize("place", ["/proc", "/proc/", "/./proc", "/proc/sys", "/", "/.."])
@pytest.mark.parametrize("kind", ["declared", "volume", "bind", "tmpfs"])
def test_nothing_takes_the_place_of_procfs_or_of_the_root(stack: Stack, place: str, kind: str) -> None:
    """In words of the image or of the project; without procfs the masks and the checks of what is written are void."""
    options: tuple[str, ...] = ()
    extra = ""
    if kind == "declared":
        options = ("--volume", place)
    elif kind == "tmpfs":
        extra = f"    tmpfs: ['{place}']\n"
    else:
        source = "vol" if kind == "volume" else "./there"
        (stack.directory / "there").mkdir()
        extra = f"    volumes: ['{source}:{place}']\n"
        extra += "volumes: {vol: }\n" if kind == "volume" else ""
    said = hostile(stack, rootfs(), *options, extra=extra)
    assert "cannot" in said and ("/proc" in said or "root" in said), said
    assert "Traceback" not in said and "bug" not in said
    stack.write("services: {}\n")


@pytest.mark.parametrize("link", ["proc", "dev", "root"])
def test_a_link_of_the_image_leads_no_mount_to_a_forbidden_place(stack: Stack, link: str) -> None:
    """It is compared what was opened: the name says nothing of /proc."""
    target = {"proc": "/proc", "dev": "../proc/sys", "root": "/"}[link]
    said = hostile(
        stack, rootfs(symlink("way", target)), extra="    volumes: ['vol:/way']\nvolumes: {vol: }\n"
    )
    assert "cannot mount" in said and "way" in said
    stack.write("services: {}\n")


def test_files_of_proc_that_lxcfs_replaces_may_be_mounted_over(stack: Stack) -> None:
    (stack.directory / "up").write_text("12345.00 1.00\n")
    stack.up(f"services:\n  a:\n    {IDLE}\n    volumes: ['./up:/proc/uptime:ro']\n")
    assert stack.shell("a", "cat /proc/uptime") == "12345.00 1.00"


def test_the_hosts_procfs_may_be_mounted_over_the_containers(stack: Stack) -> None:
    stack.up(f"services:\n  a:\n    {IDLE}\n    pid: host\n    volumes: ['/proc:/proc']\n")
    assert stack.shell("a", "cat /proc/1/comm") == pathlib.Path("/proc/1/comm").read_text().strip()
    said = stack.run("exec", "-T", "a", "head", "-c1", "/proc/kcore", check=False)
    assert said.stdout == "", "what is masked of ours is masked of this one"


def test_a_dev_of_the_host_stays_as_it_is(stack: Stack, tmp_path: pathlib.Path) -> None:
    """No device is replaced, no link made, in a directory that was bound at /dev."""
    dev = stack.directory / "dev"
    dev.mkdir()
    for name, number in (("null", (1, 3)), ("zero", (1, 7))):
        os.mknod(dev / name, 0o20600, os.makedev(*number))
    (dev / "fd").mkdir()
    (dev / "ptmx").write_text("of the host")
    stack.write(
        f"services:\n  a:\n    {IDLE}\n    devices: ['/dev/full:/dev/zero', '/dev/full:/dev/new']\n"
        "    volumes: ['./dev:/dev']\n"
    )
    stack.run("up", "-d", check=False)
    assert sorted(os.listdir(dev)) == ["fd", "null", "ptmx", "zero"]
    assert os.stat(dev / "null").st_mode & 0o777 == 0o600
    assert os.stat(dev / "zero").st_rdev == os.makedev(1, 7)
    assert (dev / "ptmx").read_text() == "of the host"


def test_a_device_replaces_nothing_in_a_directory_of_the_host(stack: Stack) -> None:
    shared = stack.directory / "shared"
    shared.mkdir()
    (shared / "data").write_text("precious")
    stack.write(
        f"services:\n  a:\n    {IDLE}\n    volumes: ['./shared:/shared']\n"
        "    devices: ['/dev/null:/shared/data']\n"
    )
    done = stack.run("up", "-d", check=False)
    assert done.returncode != 0 and "another file exists in its place" in done.stderr
    assert (shared / "data").read_text() == "precious"


# ------------------------------------------------------------------ the image below mounts of the user


# A mount point cannot be made in what is read-only, as with Docker.
@pytest.mark.parametrize(
    ("access", "exists"), [("", "exists on the host"), (":ro", "exists on the host"), ("", "is made there")]
)
def test_a_volume_beneath_a_bind_mount_is_filled_from_the_image(
    stack: Stack, access: str, exists: str
) -> None:
    """The pattern of Node, PHP and Ruby projects: sources of the host, dependencies of the image."""
    image = make_image(stack, rootfs(*APP))
    source = stack.directory / "src"
    source.mkdir()
    (source / "index.js").write_text("of the host")
    if exists == "exists on the host":
        (source / "node_modules").mkdir()
        (source / "node_modules" / "of-the-host").write_text("not for others")
    stack.up(
        f"services:\n  web:\n    image: {image}\n    {RUNS}\n"
        f"    volumes: ['./src:/app{access}', '/app/node_modules']\n"
    )
    assert stack.shell("web", "cat /app/index.js") == "of the host"
    assert (
        stack.shell("web", "cat /app/node_modules/left-pad /app/node_modules/deep/er") == "of the imagedeeper"
    )
    assert stack.shell("web", "ls /app/node_modules").split() == ["deep", "left-pad"]
    assert stack.shell("web", "stat -c %u:%g:%a /app/node_modules") == "1000:1001:750"
    assert sorted(os.listdir(source)) == ["index.js", "node_modules"]
    on_host = [] if exists == "is made there" else ["of-the-host"]
    assert os.listdir(source / "node_modules") == on_host


def test_volumes_nested_twice_beneath_a_bind_mount_have_the_images_files(stack: Stack) -> None:
    image = make_image(stack, rootfs(*APP))
    (stack.directory / "src").mkdir()
    stack.up(
        f"services:\n  web:\n    image: {image}\n    {RUNS}\n"
        "    volumes: ['./src:/app', 'one:/app/node_modules', 'two:/app/node_modules/deep']\n"
        "volumes: {one: , two: }\n"
    )
    assert (
        stack.shell("web", "cat /app/node_modules/left-pad /app/node_modules/deep/er") == "of the imagedeeper"
    )
    two = stack.state / "lib" / "volumes" / f"{stack.name}_two" / "_data"
    assert os.listdir(two) == ["er"]


def test_a_link_that_hides_a_nested_mount_does_not_mix_volumes(stack: Stack) -> None:
    """The volume of the shorter name is made first; by a link of the image it lies inside the other one."""
    image = make_image(
        stack, rootfs(directory("x"), directory("x/y"), directory("x/y/z"), *inner(), symlink("l", "x/y/z"))
    )
    stack.up(
        f"services:\n  web:\n    image: {image}\n    {RUNS}\n    volumes: ['small:/l', 'big:/x/y']\n"
        "volumes: {small: , big: }\n"
    )
    volumes = stack.state / "lib" / "volumes"
    assert sorted(p.name for p in (volumes / f"{stack.name}_small" / "_data").iterdir()) == ["file"]
    big = volumes / f"{stack.name}_big" / "_data"
    assert (big / "z" / "file").read_text() == "inner"


def inner() -> tuple[bytes, ...]:
    return (file("x/y/z/file", b"inner"),)


def test_a_tmpfs_beneath_a_bind_mount_has_the_mode_of_the_images_directory(stack: Stack) -> None:
    image = make_image(stack, rootfs(directory("app"), directory("app/cache", mode=0o711)))
    source = stack.directory / "src"
    (source / "cache").mkdir(parents=True)
    (source / "cache").chmod(0o777)
    (source / "other").mkdir(mode=0o700)
    stack.up(
        f"services:\n  web:\n    image: {image}\n    {RUNS}\n    volumes: ['./src:/app']\n"
        "    tmpfs: ['/app/cache', '/app/other']\n"
    )
    assert stack.shell("web", "stat -c %a /app/cache /app/other").split() == ["711", "1777"]


# ------------------------------------------------------------------ sources that became links


@pytest.mark.parametrize("what", ["bind", "parent of a bind", "secret"])
def test_a_source_that_became_a_link_is_not_followed_at_a_restart(
    stack: Stack, tmp_path: pathlib.Path, what: str
) -> None:
    """A container that can write beside it would choose what the next start shows it of the host."""
    secret = tmp_path / "secret"
    (secret / "sub").mkdir(parents=True)
    (secret / "key").write_text("of the host")
    (secret / "sub" / "key").write_text("of the host")
    data = stack.directory / "data"
    (data / "inner" / "sub").mkdir(parents=True)
    (data / "key").write_text("mine")
    mount = {
        "bind": "    volumes: ['./data:/data', './data/inner:/shown']\n",
        "parent of a bind": "    volumes: ['./data:/data', './data/inner/sub:/shown']\n",
        "secret": "    volumes: ['./data:/data']\n    secrets: [{source: s, target: /shown/key}]\n"
        "secrets: {s: {file: ./data/key}}\n",
    }[what]
    stack.up(f"services:\n  a:\n    {IDLE}\n{mount}")
    if what == "secret":
        stack.shell("a", f"rm /data/key; ln -s {secret}/key /data/key")
    else:
        stack.shell("a", f"mv /data/inner /data/aside; ln -s {secret} /data/inner")
    done = stack.run("restart", "-t", "0", "a", check=False)
    assert done.returncode != 0 and "symbolic link" in done.stderr, done.stderr
    shown = stack.run("exec", "-T", "a", "cat", "/shown/key", check=False)
    assert "of the host" not in shown.stdout


def test_a_project_behind_a_link_restarts(stack: Stack, tmp_path: pathlib.Path) -> None:
    """Links that were there when the container was made are the user's, and resolved once."""
    (tmp_path / "real" / "data").mkdir(parents=True)
    (tmp_path / "real" / "data" / "file").write_text("text")
    (stack.directory / "current").symlink_to(tmp_path / "real")
    stack.up(f"services:\n  a:\n    {IDLE}\n    volumes: ['./current/data:/data']\n")
    stack.run("restart", "-t", "0", "a")
    assert stack.shell("a", "cat /data/file") == "text"


def test_a_state_directory_behind_a_link_works(stack: Stack, tmp_path: pathlib.Path) -> None:
    stack.state.mkdir()
    (tmp_path / "link").symlink_to(stack.state)
    real, stack.state = stack.state, tmp_path / "link"
    try:
        stack.up(
            f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:/v']\n    configs: [c]\n"
            "configs: {c: {content: text}}\nvolumes: {vol: }\n"
        )
        stack.run("restart", "-t", "0", "a")
        assert stack.shell("a", "cat /c") == "text"
        stack.run("down", "-v", "-t", "0")
    finally:
        stack.state = real


def test_no_mount_of_a_container_is_left_in_its_own_view(stack: Stack) -> None:
    """The copy of the root that content is read from is nowhere in the container, and goes with its first process."""
    stack.up(f"services:\n  a:\n    {IDLE}\n    volumes: ['vol:/etc/alternatives']\nvolumes: {{vol: }}\n")
    shown = stack.shell("a", "cat /proc/self/mountinfo")
    assert sum(line.split()[4] == "/" for line in shown.splitlines()) == 1


@pytest.mark.parametrize("verb", [("plan",), ("up", "-d"), ("create",), ("run", "--rm", "a", "true")])
def test_a_mount_that_cannot_be_is_refused_with_its_place_before_any_effect(
    stack: Stack, verb: tuple[str, ...]
) -> None:
    stack.write(
        f"services:\n  a:\n    {IDLE}\n    volumes:\n      - ./x:/data\n      - vol:/proc/sys\nvolumes: {{vol: }}\n"
    )
    done = stack.run(*verb, check=False)
    assert done.returncode != 0
    assert "compose.yaml:8:9: " in done.stderr and "cannot mount at /proc/sys" in done.stderr
    assert not (stack.directory / "x").exists()
    assert list(stack.state.glob("lib/containers/*")) == list(stack.state.glob("lib/volumes/*")) == []
    stack.write("services: {}\n")


def test_a_tmpfs_has_the_same_mode_at_every_start(stack: Stack) -> None:
    """Also where the image has no directory in its place, and the first start made one."""
    stack.up(
        """
        services:
          a:
            image: host
            command: [sleep, inf]
            stop_signal: SIGKILL
            tmpfs: [/made/for/it, '/given:mode=700']
            volumes: [{type: tmpfs, target: /another}, {type: tmpfs, target: /mnt}]
        """
    )

    def modes() -> list[str]:
        return stack.inside(
            "a", "stat", "-c", "%a", "/made/for/it", "/made", "/given", "/another", "/mnt"
        ).split()

    first = modes()
    assert first[:4] == ["1777", "755", "700", "1777"]
    for _ in range(2):
        stack.run("restart", "-t", "0")
        assert modes() == first


def test_a_source_that_was_missing_is_the_likely_cause(stack: Stack) -> None:
    """Docker makes a directory of it, too; then it does not fit over a file, and nobody sees why."""
    stack.write("services: {a: {image: host, command: ['true'], volumes: ['./typo.conf:/etc/passwd']}}\n")
    said = stack.run("up", "-d", check=False).stderr
    assert "at /etc/passwd: the source is a directory, but the image has a file there" in said
    assert "if it did not exist on this machine, it was created as an empty directory" in said
