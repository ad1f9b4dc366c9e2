"""URLs, git repositories and inline files as sources, and contexts of each kind, from servers of this machine."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from composer.errors import BuildFailed
from composer.registry.transport import Transport
from composer.runtime.build.context.adding import Fetching, copy_parts, digest_parts, gathered
from composer.runtime.build.context.contexts import Context, open_context
from composer.runtime.build.context.downloads import Downloads
from composer.runtime.build.context.fetching import Fetched, fetch
from composer.runtime.build.context.git import Git
from composer.runtime.build.context.git_references import GitReference, parse_git_reference
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.dockerfile.instructions import Add, Copy, Heredoc, Place
from tests.integration.build.places import opened, things, write
from tests.integration.build.servers import Answer, Repositories, Server, commit, git, packed

pytestmark = pytest.mark.root

HERE = Place(1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


def fetched(
    url: str, place: Path, transport: Transport, *, limit_bytes: int = 1 << 30, checksum: str = ""
) -> Fetched:
    with opened(place) as fd:
        return fetch(
            url, fd, transport, wait=lambda seconds: None, limit_bytes=limit_bytes, checksum=checksum
        )


# ---------------------------------------------------------------------------- URLs


def test_a_file_is_fetched(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/d/a%20b.txt?x=1"] = [
        Answer(b"text", headers={"Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"})
    ]
    found = fetched(f"{server.url}/d/a%20b.txt?x=1", place, transport)
    assert found == Fetched("a b.txt", f"sha256:{hashlib.sha256(b'text').hexdigest()}", 4)
    state = os.stat(place / "a b.txt")
    assert (state.st_mode & 0o7777, state.st_mtime) == (0o600, 1_500_000_000)


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/", {}, "__unnamed__"),
        ("", {}, "__unnamed__"),
        ("/", {"Content-Disposition": 'attachment; filename="b.txt"'}, "b.txt"),
        ("/", {"Content-Disposition": 'attachment; filename="../../etc/b.txt"'}, "b.txt"),
        ("/", {"Content-Disposition": 'attachment; filename=".."'}, "__unnamed__"),
        ("/", {"Content-Disposition": "attachment"}, "__unnamed__"),
        ("/a", {"Content-Disposition": 'attachment; filename="b.txt"'}, "a"),
        ("/d/named/", {}, "named"),
        ("/%2e%2e", {}, "__unnamed__"),
        ("/x%2fy", {}, "y"),
        ("/a%00b", {}, "__unnamed__"),
        ("/" + "n" * 300, {}, "__unnamed__"),
    ],
)
def test_names(
    path: str, headers: Mapping[str, str], name: str, server: Server, place: Path, transport: Transport
) -> None:
    server.answers["*"] = [Answer(b"x", headers=headers)]
    assert fetched(server.url + path, place, transport).name == name
    assert os.listdir(place) == [name]


@pytest.mark.parametrize(
    "text", ["", "never", "Fri, 99 Jul 2017 02:40:00 GMT", "Thu, 01 Jan 1960 00:00:00 GMT"]
)
def test_no_date_is_1970(text: str, server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(b"x", headers={"Last-Modified": text})]
    fetched(f"{server.url}/f", place, transport)
    assert os.stat(place / "f").st_mtime == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_checksums(algorithm: str, server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(b"text")]
    right = f"{algorithm}:{hashlib.new(algorithm, b'text').hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    with pytest.raises(BuildFailed) as caught:
        fetched(f"{server.url}/f", place, transport, checksum=wrong)
    assert str(caught.value) == f"digest mismatch for '{server.url}/f': {right} (expected: {wrong})"
    assert os.listdir(place) == []
    assert fetched(f"{server.url}/f", place, transport, checksum=right).size_bytes == 4


@pytest.mark.parametrize("text", ["sha256:abc", "md5:" + "0" * 32, "0" * 64, "sha256:" + "G" * 64])
def test_what_is_no_checksum(text: str, server: Server, place: Path, transport: Transport) -> None:
    with pytest.raises(BuildFailed, match="invalid checksum"):
        fetched(f"{server.url}/f", place, transport, checksum=text)
    assert server.asked == []


def test_redirects_are_followed(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/a"] = [Answer(status=302, headers={"Location": "/d/b"})]
    server.answers["/d/b"] = [Answer(b"there")]
    assert fetched(f"{server.url}/a", place, transport).name == "a"
    assert (place / "a").read_bytes() == b"there"


def test_a_login_is_for_the_place_alone(server: Server, place: Path, transport: Transport) -> None:
    other = Server()
    try:
        server.answers["/a"] = [Answer(status=302, headers={"Location": f"{other.url}/b"})]
        other.answers["/b"] = [Answer(b"there")]
        fetched(f"{server.url}/a".replace("//", "//me:s%40cret@"), place, transport)
        assert server.asked[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:s@cret").decode()
        assert "Authorization" not in other.asked[0][1]
    finally:
        other.close()


def test_another_try_after_what_passes(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [
        Answer(status=503),
        Answer(b"sh", promised=5),
        Answer(status=429),
        Answer(b"whole"),
    ]
    fetched(f"{server.url}/f", place, transport)
    assert (place / "f").read_bytes() == b"whole"
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_no_other_try_after_what_stays(
    status: int, server: Server, place: Path, transport: Transport
) -> None:
    server.answers["/f"] = [Answer(status=status)]
    with pytest.raises(BuildFailed) as caught:
        fetched(f"{server.url}/f".replace("//", "//me:secret@"), place, transport)
    assert str(caught.value) == f"cannot fetch '{server.url}/f': invalid response status {status}"
    assert len(server.asked) == 1
    assert os.listdir(place) == []


def test_what_is_too_large(server: Server, place: Path, transport: Transport) -> None:
    server.answers["/f"] = [Answer(bytes(3 << 20))]
    with pytest.raises(BuildFailed, match="it is too large"):
        fetched(f"{server.url}/f", place, transport, limit_bytes=1 << 20)
    assert os.listdir(place) == []


# ---------------------------------------------------------------------------- what is kept of URLs


class Kept(NamedTuple):
    """Downloads that are kept, and the fetching of one URL with them."""

    downloads: Downloads
    server: Server
    transport: Transport
    place: Path

    def fetch(self, where: str, *, name: str = "", checksum: str = "") -> Path:
        directory = self.place / where
        directory.mkdir()
        with opened(directory) as fd:
            found = fetch(
                f"{self.server.url}/f",
                fd,
                self.transport,
                wait=lambda seconds: None,
                downloads=self.downloads,
                name=name,
                checksum=checksum,
            )
        return directory / found.name

    def conditions(self) -> list[str | None]:
        return [headers.get("If-None-Match") for _, headers in self.server.asked]


@pytest.fixture
def kept(server: Server, transport: Transport, place: Path, tmp_path: Path) -> Kept:
    headers = {"ETag": '"one"', "Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"}
    server.answers["/f"] = [Answer(b"first", headers=headers), Answer(status=304, headers={"ETag": '"one"'})]
    return Kept(Downloads(str(tmp_path / "downloads")), server, transport, place)


def test_what_has_not_changed_is_not_fetched_again(kept: Kept) -> None:
    kept.fetch("a")
    again = kept.fetch("b")
    assert again.read_bytes() == b"first"
    assert (os.stat(again).st_mode & 0o777, os.stat(again).st_mtime) == (0o600, 1_500_000_000)
    assert kept.fetch("c", name="context").name == "context"
    assert kept.fetch("d").name == "f"
    assert kept.conditions() == [None, '"one"', '"one"', '"one"']


def test_what_has_changed_replaces_what_is_kept(kept: Kept, tmp_path: Path) -> None:
    kept.fetch("a")
    kept.server.answers["/f"] = [Answer(b"second", headers={"ETag": '"two"'}), Answer(status=304)]
    assert kept.fetch("b").read_bytes() == b"second"
    assert kept.fetch("c").read_bytes() == b"second"
    assert (kept.place / "a/f").read_bytes() == b"first"
    assert kept.conditions() == [None, '"one"', '"two"']
    assert len(os.listdir(tmp_path / "downloads")) == 2


def test_a_checksum_that_is_known_asks_nobody(kept: Kept) -> None:
    kept.fetch("a")
    right = f"sha256:{hashlib.sha256(b'first').hexdigest()}"
    assert kept.fetch("b", checksum=right).read_bytes() == b"first"
    assert len(kept.server.asked) == 1
    with pytest.raises(BuildFailed, match="digest mismatch"):
        kept.fetch("c", checksum=f"sha256:{'0' * 64}")
    kept.server.answers["/f"] = [Answer(b"first")]
    kept.fetch("d", checksum=f"sha512:{hashlib.sha512(b'first').hexdigest()}")
    assert kept.conditions() == [None, '"one"', None]


def test_without_an_etag_nothing_is_kept(kept: Kept, tmp_path: Path) -> None:
    kept.server.answers["/f"] = [Answer(b"first")]
    kept.fetch("a")
    kept.fetch("b")
    assert kept.conditions() == [None, None]
    assert not (tmp_path / "downloads").exists()


def _damaged(directory: Path) -> None:
    next(directory.glob("*.json")).write_text('{"etag": 1}')


def _other_digest(directory: Path) -> None:
    path = next(directory.glob("*.json"))
    path.write_text(path.read_text().replace("sha256:", "sha256:../../../"))


def _short(directory: Path) -> None:
    path = next(path for path in directory.iterdir() if path.suffix != ".json")
    path.unlink()
    path.write_bytes(b"fir")


def _gone(directory: Path) -> None:
    next(path for path in directory.iterdir() if path.suffix != ".json").unlink()


@pytest.mark.parametrize("damage", [_damaged, _other_digest, _short, _gone, shutil.rmtree])
def test_what_is_damaged_is_fetched_again(
    damage: Callable[[Path], object], kept: Kept, tmp_path: Path
) -> None:
    kept.fetch("a")
    damage(tmp_path / "downloads")
    kept.server.answers["/f"] = [Answer(b"first", headers={"ETag": '"one"'}), Answer(status=304)]
    assert kept.fetch("b").read_bytes() == b"first"
    assert kept.fetch("c").read_bytes() == b"first"
    assert kept.conditions() == [None, None, '"one"']


def test_what_goes_while_the_server_is_asked(kept: Kept, tmp_path: Path) -> None:
    kept.fetch("a")
    kept.server.answers["/f"] = [Answer(status=304), Answer(b"first", headers={"ETag": '"one"'})]
    plain = kept.transport.request

    def request(*arguments: object, **options: object) -> object:
        response = plain(*arguments, **options)  # type: ignore[arg-type]
        if len(kept.server.asked) == 2:
            _gone(tmp_path / "downloads")
        return response

    kept.transport.request = request  # type: ignore[method-assign, assignment]
    assert kept.fetch("b").read_bytes() == b"first"
    assert kept.conditions() == [None, '"one"', None]


# ---------------------------------------------------------------------------- git


@pytest.fixture
def program(tmp_path: Path) -> Git:
    return Git(str(tmp_path / "git"), {"PATH": os.environ["PATH"]})


def reference_of(repositories: Repositories, rest: str) -> GitReference:
    found = parse_git_reference(f"{repositories.server.url}/{rest}")
    assert found is not None
    return found


def test_the_default_branch(repositories: Repositories, program: Git, place: Path) -> None:
    old = os.umask(0o077)
    try:
        found = program.check_out(reference_of(repositories, "main.git"), str(place))
    finally:
        os.umask(old)
    assert found == repositories.last
    made = things(place)
    assert sorted(made) == ["Dockerfile", "file", "out", "run.sh", "sub", "sub/dir", "sub/dir/Dockerfile"]
    assert (made["run.sh"].mode, made["file"].mode, made["sub"].mode) == (0o755, 0o644, 0o755)
    assert made["out"].what == "/etc"


@pytest.mark.parametrize(
    "rest", ["#v1", "#refs/tags/v1", "?tag=v1", "#both", "?branch=both", "#refs/heads/both"]
)
def test_branches_and_tags(rest: str, repositories: Repositories, program: Git, place: Path) -> None:
    """A branch comes before a tag of its name, and a tag stands for its commit."""
    assert program.check_out(reference_of(repositories, f"main.git{rest}"), str(place)) == repositories.first
    assert sorted(things(place)) == ["Dockerfile"]


def test_a_tag_that_is_asked_for(repositories: Repositories, program: Git, place: Path) -> None:
    assert program.check_out(reference_of(repositories, "main.git?tag=both"), str(place)) == repositories.last


def test_a_commit(repositories: Repositories, program: Git, tmp_path: Path) -> None:
    for number, ref in enumerate((repositories.last, repositories.first, repositories.first)):
        place = tmp_path / str(number)
        place.mkdir()
        assert program.check_out(reference_of(repositories, f"main.git#{ref}"), str(place)) == ref


def test_checksums_of_commits(repositories: Repositories, program: Git, place: Path, tmp_path: Path) -> None:
    good = reference_of(repositories, f"main.git?ref=v1&checksum={repositories.first[:12]}")
    assert program.check_out(good, str(place)) == repositories.first
    with pytest.raises(
        BuildFailed, match=f"expected checksum to match {repositories.first}, got {repositories.last}"
    ):
        program.check_out(good._replace(ref="", checksum=repositories.first), str(tmp_path / "none"))


def test_the_git_directory_is_kept_on_demand(repositories: Repositories, program: Git, place: Path) -> None:
    program.check_out(reference_of(repositories, "main.git"), str(place), keeps_git_dir=True)
    assert git(place, "-c", "safe.directory=*", "rev-parse", "HEAD") == repositories.last
    assert git(place, "-c", "safe.directory=*", "status", "--porcelain") == ""
    assert git(place, "remote", "get-url", "origin") == f"{repositories.server.url}/main.git"


def test_submodules(repositories: Repositories, program: Git, place: Path, tmp_path: Path) -> None:
    program.check_out(reference_of(repositories, "above.git"), str(place))
    assert (place / "mod/inner").read_text() == "of the submodule"
    assert not [path for path in place.rglob("*") if path.name == ".git"]
    (tmp_path / "without").mkdir()
    program.check_out(reference_of(repositories, "above.git?submodules=false"), str(tmp_path / "without"))
    assert os.listdir(tmp_path / "without/mod") == []


@pytest.mark.parametrize("name", ["local", "program"])
def test_submodules_of_this_machine_are_refused(
    name: str, repositories: Repositories, program: Git, place: Path
) -> None:
    with pytest.raises(BuildFailed) as caught:
        program.check_out(reference_of(repositories, f"{name}.git"), str(place))
    assert "not allowed" in str(caught.value)
    assert not os.path.exists("/tmp/never")


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("none.git", "access denied or repository not exported: /none.git"),
        ("main.git#none", "repository does not contain ref none"),
        (f"main.git#{'0' * 40}", None),
    ],
)
def test_what_is_not_there(
    rest: str, message: str | None, repositories: Repositories, program: Git, place: Path
) -> None:
    with pytest.raises(BuildFailed) as caught:
        program.check_out(reference_of(repositories, rest), str(place))
    assert str(caught.value).startswith(f"cannot fetch '{repositories.server.url}/")
    assert message is None or message in str(caught.value)
    assert caught.value.hint is not None


def test_a_new_commit_is_fetched(repositories: Repositories, program: Git, tmp_path: Path) -> None:
    main = repositories.server.directory / "moving.git"
    shutil.copytree(repositories.main, main, symlinks=True)
    try:
        for number in range(2):
            place = tmp_path / f"p{number}"
            place.mkdir()
            wanted = commit(main, "more", "more" * (number + 1))
            assert program.check_out(reference_of(repositories, "moving.git"), str(place)) == wanted
            assert (place / "more").read_text() == "more" * (number + 1)
        git(main, "commit", "-q", "--amend", "-m", "history is rewritten")
        (tmp_path / "p2").mkdir()
        assert program.check_out(reference_of(repositories, "moving.git"), str(tmp_path / "p2")) == git(
            main, "rev-parse", "HEAD"
        )
    finally:
        shutil.rmtree(main)


def test_a_half_made_cache_is_made_anew(repositories: Repositories, tmp_path: Path, place: Path) -> None:
    reference = reference_of(repositories, "main.git")
    cache = tmp_path / "git"
    kept = cache / hashlib.sha256(reference.remote.encode()).hexdigest()
    kept.mkdir(parents=True)
    (kept / "HEAD").write_text("")
    assert Git(str(cache), {"PATH": os.environ["PATH"]}).check_out(reference, str(place)) == repositories.last


def test_configuration_and_hooks_are_not_read(
    repositories: Repositories, tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[core]\n\thooksPath = {home}\n[init]\n\ttemplateDir = {home}\n")
    for name in ("post-checkout", "reference-transaction"):
        (home / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (home / name).chmod(0o755)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_TEMPLATE_DIR": str(home),
        "GIT_DIR": "/nonexistent",
    }
    Git(str(tmp_path / "git"), variables).check_out(reference_of(repositories, "main.git"), str(place))
    assert not (tmp_path / "ran").exists()


def test_without_git(repositories: Repositories, tmp_path: Path, place: Path) -> None:
    with pytest.raises(BuildFailed, match="git is not installed") as caught:
        Git(str(tmp_path / "git"), {"PATH": str(place)}).check_out(
            reference_of(repositories, "main.git"), str(place)
        )
    assert caught.value.hint is not None


# ---------------------------------------------------------------------------- instructions


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


# ---------------------------------------------------------------------------- contexts


def shown(context: Context) -> tuple[list[str], bytes, str]:
    return sorted(os.listdir(context.tree.fd)), context.dockerfile, context.name


def test_a_directory(place: Path, fetching: Fetching) -> None:
    write(place / "Dockerfile", "FROM a\n")
    write(place / ".dockerignore", "Dockerfile\n.dockerignore\nx\n")
    with open_context(str(place), fetching) as context:
        assert shown(context) == ([".dockerignore", "Dockerfile"], b"FROM a\n", "Dockerfile")
        assert context.tree.ignore.excludes("x")
        assert context.tree.owner == (0, 0)


@pytest.mark.parametrize(
    ("dockerfile", "text", "ignored"),
    [
        ("sub/Other", b"other", "of-other"),
        ("./sub/../sub/Other", b"other", "of-other"),
        ("../beside/Dockerfile", b"beside", "of-beside"),
        ("/ABSOLUTE", b"beside", "of-beside"),
        ("link", b"other", "of-all"),
        ("lower/Dockerfile", b"lower", "of-all"),
    ],
)
def test_places_of_a_dockerfile(
    dockerfile: str, text: bytes, ignored: str, place: Path, tmp_path: Path, fetching: Fetching
) -> None:
    write(place / ".dockerignore", "of-all")
    write(place / "sub/Other", "other")
    write(place / "sub/Other.dockerignore", "of-other")
    write(place / "lower/dockerfile", "lower")
    (place / "link").symlink_to("sub/Other")
    write(tmp_path / "beside/Dockerfile", "beside")
    write(tmp_path / "beside/Dockerfile.dockerignore", "of-beside")
    name = dockerfile.replace("/ABSOLUTE", str(tmp_path / "beside/Dockerfile"))
    with open_context(str(place), fetching, dockerfile=name) as context:
        assert context.dockerfile == text
        assert context.tree.ignore.excludes(ignored)


def test_inline_text(place: Path, fetching: Fetching) -> None:
    write(place / ".dockerignore", "x")
    with open_context(str(place), fetching, inline="FROM ü\n") as context:
        assert (context.dockerfile, context.name) == ("FROM ü\n".encode(), "dockerfile_inline")
        assert context.tree.ignore.excludes("x")


def _out(place: Path) -> None:
    (place / "Dockerfile").symlink_to("/etc/hostname")


def _fifo(place: Path) -> None:
    os.mkfifo(place / "Dockerfile")


def _huge(place: Path) -> None:
    with open(place / "Dockerfile", "wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: None, "failed to read dockerfile: open Dockerfile: no such file or directory"),
        (_out, "failed to read dockerfile: open Dockerfile: no such file or directory"),
        (_fifo, "failed to read dockerfile: Dockerfile is no regular file"),
        (
            lambda place: (place / "Dockerfile").mkdir(),
            "failed to read dockerfile: Dockerfile is no regular file",
        ),
        (_huge, "Dockerfile is too large for a Dockerfile (limit: 16 MiB)"),
        (
            lambda place: place.rmdir(),
            "unable to prepare context: path 'PLACE' cannot be opened: no such file",
        ),
    ],
)
def test_dockerfiles_that_cannot_be_read(
    make: Callable[[Path], object], message: str, place: Path, fetching: Fetching
) -> None:
    make(place)
    with pytest.raises(BuildFailed) as caught, open_context(str(place), fetching):
        pass
    assert message.replace("PLACE", str(place)) in str(caught.value)


def test_an_additional_context_needs_no_dockerfile(place: Path, fetching: Fetching) -> None:
    write(place / "f")
    with open_context(str(place), fetching, needs_dockerfile=False) as context:
        assert shown(context) == (["f"], b"", "Dockerfile")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_at_a_url(pack: Callable[[bytes], bytes], server: Server, fetching: Fetching) -> None:
    server.answers["/c"] = [Answer(pack(packed("Dockerfile", ".dockerignore", "d/f")))]
    with open_context(f"{server.url}/c", fetching) as context:
        assert shown(context) == ([".dockerignore", "Dockerfile", "d"], b"Dockerfile", "Dockerfile")
        assert not context.tree.ignore
    with open_context(f"{server.url}/c", fetching, dockerfile="d/f") as context:
        assert context.dockerfile == b"d/f"


def test_an_additional_context_is_not_unpacked(server: Server, fetching: Fetching) -> None:
    server.answers["/c"] = [Answer(packed("f"))]
    with open_context(f"{server.url}/c", fetching, needs_dockerfile=False) as context:
        assert shown(context) == (["context"], b"", "context")


def test_a_dockerfile_at_a_url(server: Server, fetching: Fetching) -> None:
    server.answers["/c"] = [Answer(b"FROM scratch\n")]
    with open_context(f"{server.url}/c", fetching) as context:
        assert shown(context) == (["context"], b"FROM scratch\n", "context")


def test_standard_input(fetching: Fetching) -> None:
    with open_context("-", fetching, standard_input=io.BytesIO(packed("Dockerfile", "f"))) as context:
        assert shown(context) == (["Dockerfile", "f"], b"Dockerfile", "Dockerfile")
    with open_context("-", fetching, standard_input=io.BytesIO(b"FROM scratch\n")) as context:
        assert context.dockerfile == b"FROM scratch\n"


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08damaged", packed("../../out"), packed("Dockerfile")[:515]])
def test_archives_that_are_none(data: bytes, fetching: Fetching) -> None:
    with (
        pytest.raises(BuildFailed, match="cannot use standard input as a build context"),
        open_context("-", fetching, standard_input=io.BytesIO(data)),
    ):
        pass


def test_a_repository(repositories: Repositories, fetching: Fetching) -> None:
    url = f"{repositories.server.url}/main.git"
    with open_context(url, fetching) as context:
        assert context.commit == repositories.last
        assert context.dockerfile == b"FROM scratch\n"
    with (
        pytest.raises(BuildFailed, match="has no directory 'sub/dir'"),
        open_context(f"{url}#both:sub/dir", fetching),
    ):
        pass


def test_a_directory_of_a_repository_as_context(repositories: Repositories, fetching: Fetching) -> None:
    url = f"{repositories.server.url}/main.git"
    with open_context(f"{url}#:sub/dir", fetching) as context:
        assert shown(context) == (["Dockerfile"], b"FROM scratch AS sub\n", "Dockerfile")
    for subdir in ("none", "out", "file", "sub/none"):
        with (
            pytest.raises(BuildFailed, match=f"has no directory '{subdir}'"),
            open_context(f"{url}#:{subdir}", fetching),
        ):
            pass


@pytest.mark.parametrize("text", ["target:base", "docker-image://alpine", "-"])
def test_contexts_of_others(text: str, fetching: Fetching) -> None:
    with (
        pytest.raises(BuildFailed, match=f"cannot use '{text}' as a build context"),
        open_context(text, fetching),
    ):
        pass
