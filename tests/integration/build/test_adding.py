"""Instructions with URLs, git repositories, archives and inline files as sources."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.adding import Fetching, copy_parts, digest_parts, gathered
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.dockerfile.instructions import Add, Copy, Heredoc, Place
from tests.integration.build.places import opened, things, write
from tests.integration.build.servers import Answer, Repositories, Server, packed

pytestmark = pytest.mark.root

HERE = Place(1)


def added(
    instruction: Add | Copy, context: Path, root: Path, fetching: Fetching, *, workdir: str = "/"
) -> tuple[str, Mapping[str, object]]:
    """Carry an instruction out; return the digest, which is the same before and after, and what was made."""
    with opened(context) as tree_fd, opened(root) as root_fd:
        tree = Tree(tree_fd, owner=(0, 0))
        with gathered(instruction, tree, fetching, workdir=workdir, step="Dockerfile:1: X") as parts:
            before = digest_parts(parts)
            after = copy_parts(parts, root_fd).digest
    assert before == after
    return after, things(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


def add(*sources: str, target: str = "/x/", **options: object) -> Add:
    return Add(HERE, "ADD", sources, target, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unpack", "made"), [(None, ["x", "x/a.tar"]), (False, ["x", "x/a.tar"]), (True, ["x", "x/f"])]
)
def test_archives_of_urls(
    unpack: bool | None, made: list[str], server: Server, place: Path, root: Path, fetching: Fetching
) -> None:
    server.answers["/a.tar"] = [Answer(packed("f"))]
    _, found = added(add(f"{server.url}/a.tar", unpack=unpack), place, root, fetching)
    assert sorted(found) == made


def test_a_url_onto_a_file(server: Server, place: Path, root: Path, fetching: Fetching) -> None:
    server.answers["/a[1].txt"] = [Answer(b"one")]
    _, found = added(add(f"{server.url}/a[1].txt", target="/etc/one"), place, root, fetching)
    assert (root / "etc/one").read_text() == "one"
    assert sorted(found) == ["etc", "etc/one"]
    added(add(f"{server.url}/a[1].txt", target="/etc/"), place, root, fetching)
    assert (root / "etc/a[1].txt").read_text() == "one"


def test_sources_of_every_sort(
    server: Server, repositories: Repositories, place: Path, root: Path, fetching: Fetching
) -> None:
    server.answers["/u"] = [Answer(b"of a URL")]
    write(place / "local", "of the context")
    (place / "a.tar").write_bytes(packed("packed"))
    heredocs = (Heredoc("inline", "of the Dockerfile\n"), Heredoc("d/inline", "the last one\n"))
    sources = ("local", f"{server.url}/u", f"{repositories.server.url}/main.git#v1", "a.tar")
    digest, found = added(add(*sources, heredocs=heredocs), place, root, fetching)
    assert sorted(found) == ["x", "x/Dockerfile", "x/inline", "x/local", "x/packed", "x/u"]
    assert (root / "x/inline").read_text() == "the last one\n"
    server.answers["/u"] = [Answer(b"of another")]
    assert added(add(*sources, heredocs=heredocs), place, root, fetching)[0] != digest


def test_a_directory_of_a_repository(
    repositories: Repositories, place: Path, root: Path, fetching: Fetching
) -> None:
    _, found = added(add(f"{repositories.server.url}/main.git#:sub"), place, root, fetching)
    assert sorted(found) == ["x", "x/dir", "x/dir/Dockerfile"]


@pytest.mark.parametrize("keep", [None, False, True])
def test_keep_git_dir(
    keep: bool | None, repositories: Repositories, place: Path, root: Path, fetching: Fetching
) -> None:
    instruction = add(f"{repositories.server.url}/main.git", keep_git_dir=keep)
    with (
        opened(place) as tree_fd,
        gathered(instruction, Tree(tree_fd), fetching) as parts,
        opened(root) as fd,
    ):
        copy_parts(parts, fd)
    assert (root / "x/.git").exists() is bool(keep)


def test_inline_files(place: Path, root: Path, fetching: Fetching) -> None:
    heredoc = Heredoc("a b", "text\n")
    old = os.umask(0o077)
    try:
        added(Copy(HERE, "COPY", (), "w", (heredoc,)), place, root, fetching, workdir="/d")
    finally:
        os.umask(old)
    assert (root / "d/w").read_text() == "text\n"
    found = things(root)["d/w"]
    assert (found.mode, found.owner) == (0o644, (0, 0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda url: Copy(HERE, "COPY", (f"{url}/f",), "/x"), "source can't be a URL for COPY"),
        (lambda url: Copy(HERE, "COPY", ("https://h/a.git",), "/x"), "source can't be a git ref for COPY"),
        (lambda url: add("a", "b", checksum="sha256:0"), "checksum can't be specified for multiple sources"),
        (lambda url: add("a", checksum="sha256:0"), "checksum requires HTTP(S) or Git sources"),
        (lambda url: add(f"{url}/none"), "invalid response status 404"),
        (
            lambda url: add("https://h/a.git?keep-git-dir=1", keep_git_dir=False),
            "keep-git-dir of the instruction",
        ),
        (
            lambda url: add("https://h/a.git", checksum="sha256:0"),
            "invalid checksum 'sha256:0' for a git repository",
        ),
        (lambda url: add("git@h:a.git?what=1"), "unexpected query 'what'"),
        (lambda url: add("none"), '"/none": not found'),
        (lambda url: add(heredocs=(Heredoc("..", ""),)), "invalid name for an inline file"),
    ],
)
def test_what_an_instruction_may_not_say(
    make: Callable[[str], Add | Copy],
    message: str,
    server: Server,
    place: Path,
    root: Path,
    fetching: Fetching,
) -> None:
    with pytest.raises(BuildFailed) as caught:
        added(make(server.url), place, root, fetching)
    assert str(caught.value).startswith("Dockerfile:1: X: ")
    assert message in str(caught.value)


def test_a_damaged_archive(place: Path, root: Path, fetching: Fetching) -> None:
    (place / "a.tgz").write_bytes(gzip.compress(packed(*map(str, range(2000))), mtime=0)[:-500])
    with pytest.raises(BuildFailed, match=r"Dockerfile:1: X: '/a\.tgz': .*unexpected end"):
        added(add("a.tgz"), place, root, fetching)


@pytest.mark.parametrize("name", ["d/.wh.gone", ".wh..wh..opq"])
def test_an_archive_takes_nothing_away(name: str, place: Path, root: Path, fetching: Fetching) -> None:
    (place / "a.tar").write_bytes(packed("ok", name))
    with pytest.raises(BuildFailed, match="stands for a removed file"):
        added(add("a.tar"), place, root, fetching)


def test_an_archive_leads_nowhere_else(place: Path, root: Path, tmp_path: Path, fetching: Fetching) -> None:
    write(tmp_path / "outside/secret", "secret")
    (root / "x").mkdir()
    (root / "x/out").symlink_to(tmp_path / "outside")
    (place / "a.tar").write_bytes(packed("out/secret"))
    with pytest.raises(BuildFailed, match="a parent directory is a dangling symlink"):
        added(add("a.tar"), place, root, fetching)
    (root / "x" / str(tmp_path / "outside").lstrip("/")).mkdir(parents=True)
    added(add("a.tar"), place, root, fetching)
    assert (tmp_path / "outside/secret").read_text() == "secret"
    assert (root / "x" / str(tmp_path / "outside/secret").lstrip("/")).read_text() == "out/secret"
