"""Contexts, Dockerfiles and images that are up to no good: a clear error or a right image, and nothing else touched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import socket
import tarfile
import threading

import pytest

from composer.runtime.base import syscalls, trees
from tests.integration.namespace.building.conftest import SECRET, SmallDisk, Workshop, untouched

pytestmark = pytest.mark.root


def archive(path: pathlib.Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o755
    return info


# ------------------------------------------------------------------ out of the context


@pytest.mark.parametrize(
    "link",
    ["{outside}", "../outside", "/{up}..{outside}", "chain1"],
    ids=["absolute", "dots", "many dots", "chain"],
)
def test_links_of_the_context_lead_to_nothing_outside(
    shop: Workshop, outside: pathlib.Path, link: str
) -> None:
    for number in range(1, 50):
        os.symlink(f"chain{number + 1}", shop.directory / f"chain{number}")
    os.symlink(outside, shop.directory / "chain50")
    os.symlink(link.format(outside=outside, up="../" * 40), shop.directory / "out")
    for line in ("COPY out/secret /s", "COPY out/ /s", "ADD out/secret /s"):
        assert "Dockerfile:2" in shop.refuse(f"FROM base\n{line}\n")
    shop.build("FROM scratch\nCOPY o*/secret *t/* /s/\n")  # patterns may match nothing
    assert not [path for path in shop.image()[0] if path.startswith("s/")]
    for mount in ("source=out", "source=out/secret", "source=/out", "source=../outside"):
        said = shop.refuse(f"FROM base\nRUN --mount={mount},target=/m cat /m /m/* > /s; false\n")
        assert SECRET not in said
    # a link that is copied itself stays one
    shop.build("FROM base\nCOPY . /all\n")
    files = shop.image()[0]
    assert files["all/out"].kind == "link"
    assert not [path for path in files if path.endswith("secret")]
    assert untouched(outside)


@pytest.mark.parametrize("path", ["../outside/secret", "/../../outside/secret", "x/../../outside/secret"])
def test_dots_stay_in_the_context(shop: Workshop, outside: pathlib.Path, path: str) -> None:
    shop.write("x/y", "y")
    for word in ("COPY", "ADD"):
        said = shop.refuse(f"FROM base\n{word} {path} /s\n")
        assert "Dockerfile:2" in said
        assert "not found" in said


def test_a_dockerfile_that_is_a_link_out_is_not_read(shop: Workshop, outside: pathlib.Path) -> None:
    (outside / "Dockerfile").write_text(f"FROM base\nLABEL x={SECRET}\n")
    os.symlink(outside / "Dockerfile", shop.directory / "Linked")
    done = shop.stack.run("image", "build", "-f", "Linked", ".", check=False)
    assert done.returncode == 1
    assert "failed to read dockerfile" in done.stderr
    os.symlink(outside / "secret", shop.directory / ".dockerignore")
    shop.build("FROM base\nCOPY . /all\n")
    (outside / "Dockerfile").unlink()
    assert untouched(outside)


# ------------------------------------------------------------------ out of the root


@pytest.mark.parametrize("link", ["{outside}", "../../../../../../../../../..{outside}"])
def test_links_of_the_image_lead_to_nothing_outside(shop: Workshop, outside: pathlib.Path, link: str) -> None:
    shop.write("f", "f")
    target = link.format(outside=outside)
    archive(shop.directory / "a.tar", (entry("unpacked"), b"u"))
    shop.build(
        f"FROM base\nRUN ln -s {target} /out && ln -s out /chain\n"
        "COPY f /out/copied\nCOPY f /chain/\nADD a.tar /out/\nCOPY <<EOF /out/inline\nx\nEOF\n"
        "WORKDIR /out/work\nRUN --mount=type=cache,target=/out/cache --mount=type=tmpfs,target=/chain/tmp "
        "echo x > made; mkdir -p /out/cache/d\nVOLUME /out/volume\n"
        "COPY --link f /out/linked\n"
    )
    assert untouched(outside)
    inside = str(outside).lstrip("/")
    files = shop.image()[0]
    for name in ("copied", "f", "unpacked", "inline", "work/made"):
        assert files[f"{inside}/{name}"].kind == "file"
    assert files["out/linked"].kind == "file"  # over nothing: the link is not there


def test_dots_in_targets_stay_in_the_root(shop: Workshop, outside: pathlib.Path) -> None:
    shop.write("f", "f")
    dots = "../" * 30
    shop.build(
        f"FROM base\nCOPY f /{dots}up\nCOPY f {dots}upper\nWORKDIR {dots}w\nRUN pwd > /pwd\n"
        f"RUN --mount=type=tmpfs,target={dots}t --mount=type=cache,target=/x/{dots}c echo > {dots}made\n"
        f"COPY --from=base {dots}bin/cat {dots}cat\n"
    )
    files = shop.image()[0]
    assert {"up", "upper", "w", "made", "cat"} <= files.keys()
    assert shop.text("/pwd") == "/w\n"


def test_a_mount_does_not_leave_through_a_link_of_the_image(shop: Workshop, outside: pathlib.Path) -> None:
    shop.write("d/f", "f")
    shop.write("token", "t")
    links = f"FROM base\nRUN ln -s {outside} /out && ln -s / /d && ln -s /proc/1/root /p && mkdir -p {outside}/in\n"
    for mount in (
        "type=secret,id=t,target=/out/secret",
        "type=secret,id=t,target=/out/new",
        "source=d,target=/out/bound",
        "from=base,target=/p/x",
        "type=cache,target=/out/in",
        "type=tmpfs,target=/d/tmp",
    ):
        shop.write(
            "Dockerfile", f"{links}RUN --mount={mount} ls -lR /out /p/x > /dev/null; echo x > /out/made\n"
        )
        done = shop.stack.run("image", "build", "--secret", "id=t,src=token", "-t", "built", ".", check=False)
        assert "bug in composer" not in done.stderr
        assert untouched(outside)


@pytest.mark.parametrize(
    "link", ["{outside}", "../../../../../../../../../..{outside}", "/proc/1/root{outside}"]
)
def test_sources_in_a_stage_do_not_leave_it_through_links(
    shop: Workshop, outside: pathlib.Path, link: str
) -> None:
    evil = (
        f"FROM base AS evil\nRUN ln -s {link.format(outside=outside)} /out && ln -s out /chain\nFROM base\n"
    )
    for line in (
        "COPY --from=evil /out/secret /s",
        "COPY --from=evil /chain/ /s",
        "RUN --mount=from=evil,source=/out,target=/m cat /m/secret && false",
        "RUN --mount=from=evil,source=/out/secret,target=/m cat /m && false",
        "RUN --mount=from=evil,source=chain,target=/m,rw cp -r /m /s; test ! -e /s/secret && false",
        "RUN --mount=type=cache,target=/c,id=evil,from=evil,source=/out cat /c/secret && false",
        "RUN --mount=from=evil,source=../../../../../..{outside},target=/m cat /m/secret && false",
    ):
        assert SECRET not in shop.refuse(f"{evil}{line.format(outside=outside)}\n")
    assert untouched(outside)


def test_an_output_does_not_leave_its_directory(shop: Workshop, outside: pathlib.Path) -> None:
    place = shop.directory / "out"
    place.mkdir()
    os.symlink(outside, place / "d")
    os.symlink(outside / "secret", place / "f")
    dockerfile = "FROM scratch\nCOPY <<E /{}\nwritten\nE\n"
    assert "non-directory" in shop.refuse(dockerfile.format("d/f"), "--output", "out")
    shop.write("Dockerfile", dockerfile.format("f"))
    shop.stack.run("image", "build", "--output", "out", ".")
    assert (place / "f").read_text() == "written\n"
    assert not (place / "f").is_symlink()
    assert untouched(outside)


# ------------------------------------------------------------------ what contexts can have in them


def test_devices_sockets_and_fifos_of_the_context(shop: Workshop) -> None:
    os.mkfifo(shop.directory / "fifo")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(shop.directory):
        listening.bind("socket")
        os.mknod(shop.directory / "zero", 0o20666, os.makedev(1, 5))
        shop.build("FROM base\nCOPY fifo socket zero /d/\nADD fifo zero /a/\nCOPY . /all\n")
    files = shop.image()[0]
    for top in ("d", "a", "all"):
        assert (files[f"{top}/fifo"].kind, files[f"{top}/zero"].kind) == ("fifo", "char")
    assert files["d/socket"].kind == "file"
    for name in ("fifo", "zero", "socket"):
        done = shop.stack.run("image", "build", "-f", name, ".", check=False, timeout_s=30)
        assert done.returncode == 1
        assert "is no regular file" in done.stderr
    os.unlink(shop.directory / "zero")
    os.mknod(shop.directory / "gone", 0o20666, 0)
    assert "stands for a removed file" in shop.refuse("FROM base\nCOPY gone /x\n")


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "large"])
def test_a_secret_is_a_small_file(shop: Workshop, kind: str) -> None:
    path = shop.directory / "token"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, 0o20666, os.makedev(1, 5))
    elif kind == "directory":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    shop.write("Dockerfile", "FROM base\nRUN --mount=type=secret,id=t true\n")
    shop.stack.write("services: {a: {build: {context: ., secrets: [t]}}}\nsecrets: {t: {file: ./token}}\n")
    done = shop.stack.run("build", check=False, timeout_s=30)
    assert done.returncode == 1
    assert "bug in composer" not in done.stderr
    assert "secret" in done.stderr
    shop.stack.write("services: {}\n")


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_key_for_ssh_is_a_file(shop: Workshop, kind: str) -> None:
    path = shop.directory / "key"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    said = shop.refuse("FROM base\nRUN --mount=type=ssh true\n", "--ssh", f"default={path}")
    assert "for SSH" in said


def test_names_of_every_kind_arrive(shop: Workshop) -> None:
    names = [b"\xff\xfe", b"new\nline", b"tab\tquote\"'\\", b"x" * 255, b"-rf", b"\x01\x1b[31m", b"*", b"a b"]
    top = os.fsencode(shop.directory) + b"/names"
    os.mkdir(top)
    for name in names:
        with open(top + b"/" + name, "wb") as file:
            file.write(name)
    shop.build("FROM base\nCOPY names /names\nRUN cd /names && ls | wc -l > /count && cp -r /names /again\n")
    found = {path for path in shop.image()[0] if path.startswith("names/")}
    assert {os.fsencode(path) for path in found} == {b"names/" + name for name in names}
    shop.build((shop.directory / "Dockerfile").read_text())


def test_a_path_of_four_thousand_bytes(shop: Workshop) -> None:
    depth = 15
    fd = os.open(shop.directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("n" * 250, dir_fd=fd)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
    os.close(fd)
    shop.build("FROM base\nCOPY . /all\n")
    assert len([path for path in shop.image()[0] if path.endswith("leaf")]) == 1


def test_directories_as_deep_as_it_goes(shop: Workshop) -> None:
    fd = os.open(shop.directory, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    try:
        said = shop.refuse("FROM base\nCOPY . /all\n")
    finally:
        trees.remove_tree(str(shop.directory / "d"))
    assert "deep" in said or "too long" in said


def test_a_file_with_a_hole_of_a_terabyte(shop: Workshop) -> None:
    with (shop.directory / "sparse").open("wb") as file:
        file.write(b"head")
        file.truncate(1 << 40)
    said = shop.refuse("FROM base\nCOPY sparse /\n")
    assert "sparse" in said
    said = shop.refuse("FROM base\nRUN truncate -s 1T /sparse\n")
    assert "sparse" in said


def test_a_context_that_changes_meanwhile(shop: Workshop, outside: pathlib.Path) -> None:
    """Directories become links, and back, as fast as it goes: nothing of outside is ever in an image."""
    place = shop.directory / "d"
    os.symlink(outside, shop.directory / "link")
    place.mkdir()
    (place / "secret").write_text("own")
    other = shop.directory / "link"
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            syscalls.exchange(str(place), str(other))

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for number in range(10):
            shop.write(
                "Dockerfile", "FROM base\nCOPY d/secret /one\nCOPY d /two/\nRUN --mount=target=/m ls -R /m\n"
            )
            done = shop.stack.run("image", "build", "-t", "built", "--no-cache", ".", check=False)
            assert "bug in composer" not in done.stderr, number
            if done.returncode:
                assert "Dockerfile:" in done.stderr
                continue
            own = {one.contents for path, one in shop.image()[0].items() if path.endswith(("one", "secret"))}
            assert len(own) <= 1
            assert shop.text("/one") == "own"
    finally:
        ended.set()
        swapping.join()
    assert untouched(outside)


def test_contents_that_change_between_the_key_and_the_copy(shop: Workshop) -> None:
    """What the cache has under a key is what the key was made of."""
    path = shop.write("counter", "0")
    ended = threading.Event()

    def count() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            path.write_text(str(number))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        for _ in range(10):
            shop.write("Dockerfile", "FROM base\nCOPY counter /counter\n")
            done = shop.stack.run("image", "build", "-t", "built", ".", check=False)
            assert "bug in composer" not in done.stderr
            if done.returncode:
                assert "changed" in done.stderr
    finally:
        ended.set()
        counting.join()
    for text in ("1", "2", "17"):
        path.write_text(text)
        shop.build("FROM base\nCOPY counter /counter\n")
        assert shop.text("/counter") == text


# ------------------------------------------------------------------ Dockerfiles


def test_dockerfiles_without_measure(shop: Workshop) -> None:
    shop.build("FROM base\nLABEL a=" + "x" * (10 << 20) + "\n")
    assert "too large" in shop.refuse("FROM base\n" + "# comment\n" * (2 << 20))
    many = "".join(f"ENV N{number}=$N{number - 1}x\nLABEL l{number}=x\n" for number in range(20000))
    shop.build(f"FROM base\n{many}")
    environment = shop.image()[1]["config"]["Env"]
    assert len(environment) == 20001
    stages = "".join(f"FROM s{number} AS s{number + 1}\nENV N={number}\n" for number in range(2000))
    shop.build(f"FROM base AS s0\n{stages}")
    assert "N=1999" in shop.image()[1]["config"]["Env"]


def test_more_layers_than_the_kernel_can_lay_over_each_other(shop: Workshop) -> None:
    said = shop.refuse(
        "FROM base\n" + "".join(f"COPY <<E /f{number}\n{number}\nE\n" for number in range(600))
    )
    assert "layers" in said
    assert "Dockerfile:" in said
    said = shop.refuse(
        "FROM base\nCOPY <<E /a\na\nE\n" + "".join("COPY --link <<E /b\nb\nE\n" for _ in range(600))
    )
    assert "layers" in said


def test_a_stage_or_an_image_that_is_built_from_itself(shop: Workshop) -> None:
    assert "need each other" in shop.refuse(
        "FROM base AS a\nCOPY --from=b /x /\nFROM base AS b\nCOPY --from=a /x /\n"
    )
    for number in range(3):
        shop.build(f"FROM {'built' if number else 'base'}\nRUN echo {number} >> /log\n")
    assert shop.text("/log") == "0\n1\n2\n"


def test_triggers_of_triggers(shop: Workshop) -> None:
    assert "ONBUILD" in shop.refuse("FROM base\nONBUILD ONBUILD RUN true\n")
    assert "ONBUILD" in shop.refuse("FROM base\nONBUILD FROM x\n")
    shop.write("config.json", json.dumps({}))
    shop.stack.run(
        "image", "import", "-c", "ONBUILD RUN echo once >> /log", "root.tar", "trigger", check=False
    )
    shop.build("FROM base\nONBUILD RUN echo once >> /log\n", tag="trigger")
    shop.build("FROM trigger\n", tag="one")
    shop.build("FROM one\n", tag="two")
    assert shop.text("/log", "two") == "once\n"


def test_control_characters_stay_out_of_names_and_messages(shop: Workshop) -> None:
    for tag in ("a\x1b[31mb", "a\nb", "A", "../x", "x" * 300, "a:b:c"):
        done = shop.stack.run("image", "build", "-t", tag, ".", check=False)
        assert done.returncode in (1, 2, 14)
        assert "\x1b[31m" not in done.stderr
        assert "bug in composer" not in done.stderr
    output = shop.build(
        'FROM base\nLABEL "a\x1b[31m"="b\x1b[2J"\nRUN echo "\x1b[31mred"; printf "\\033]0;title\\007"\n'
    )
    assert "\x1b" not in output and "\x07" not in output
    assert shop.image()[1]["config"]["Labels"] == {"a\x1b[31m": "b\x1b[2J"}


# ------------------------------------------------------------------ archives


def test_archives_stay_below_their_target(shop: Workshop, outside: pathlib.Path) -> None:
    archive(
        shop.directory / "a.tar",
        (entry("../../../../../../../../up"), b"u"),
        (entry("/absolute"), b"a"),
        (entry("out", tarfile.SYMTYPE, str(outside)), b""),
        (entry("out/through"), b"t"),
        (entry("hard", tarfile.SYMTYPE, "../" * 30 + str(outside)), b""),
        (entry("hard/through"), b"t"),
        (entry("device", tarfile.CHRTYPE), b""),
    )
    shop.write("Dockerfile", "FROM base\nADD a.tar /t/\n")
    done = shop.stack.run("image", "build", "-t", "built", ".", check=False)
    assert "bug in composer" not in done.stderr
    if done.returncode == 0:
        assert {path.split("/")[0] for path in shop.image()[0]} <= {
            "bin",
            "t",
            "etc",
            "tmp",
            "usr",
            "lib",
        } | {path.split("/")[0] for path in shop.image("base")[0]}
    archive(shop.directory / "a.tar", (entry("link", tarfile.LNKTYPE, str(outside / "secret")), b""))
    assert "a.tar" in shop.refuse("FROM base\nADD a.tar /t/\n")
    assert untouched(outside)


def test_whiteouts_of_an_archive_of_the_user(shop: Workshop) -> None:
    archive(shop.directory / "a.tar", (entry(".wh.bin"), b""), (entry("bin/.wh..wh..opq"), b""))
    shop.write("Dockerfile", "FROM base\nADD a.tar /\n")
    done = shop.stack.run("image", "build", "-t", "built", ".", check=False)
    assert "bug in composer" not in done.stderr
    if done.returncode == 0:
        assert "bin/sh" in shop.image()[0]


def test_an_archive_that_never_ends(shop: Workshop) -> None:
    """A gigabyte of zeros in a megabyte, on a disk of little room."""
    import gzip

    path = shop.directory / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        info = entry("zeros")
        info.size = 1 << 30
        file.write(info.tobuf())
        for _ in range(64):
            file.write(bytes(16 << 20))
    with SmallDisk(shop):
        said = shop.refuse("FROM base\nADD bomb.tar.gz /\n")
        assert "space" in said
