"""Compose files of a repository that git's own server, or a web server that knows nothing of git, serves."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from composer.errors import ProjectError
from composer.runtime.build.context import git_program
from composer.session.remote import git as git_files
from composer.session.remote.fetching import Remotes
from tests.integration.build.servers import GitServer, git
from tests.unit.schema.project import write


class Repository:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bare = directory / "served/app.git"
        self.bare.parent.mkdir()
        git(directory, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(directory, "clone", "--quiet", str(self.bare), "work")
        self.work = directory / "work"

    def commit(self, files: dict[str, str]) -> str:
        write(self.work, files)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "-m", "change")
        git(self.work, "push", "--quiet", "--tags", "origin", "HEAD")
        return git(self.work, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit(
        {"compose.yaml": "services: {top: {image: one}}", "sub/compose.yaml": "services: {sub: {image: two}}"}
    )
    return made


@pytest.fixture
def server(repository: Repository) -> Iterator[GitServer]:
    running = GitServer(repository.directory / "served")
    yield running
    running.close()


def remotes(directory: Path) -> Remotes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return Remotes(environment, environment.get, str(directory / "cache"))


def text_of(found: Remotes, reference: str) -> str:
    return Path(found.fetch(reference).file).read_text()


def test_what_a_reference_names_is_what_comes(
    repository: Repository, server: GitServer, tmp_path: Path
) -> None:
    url = f"{server.url}/app.git"
    git(repository.work, "tag", "-a", "v1", "-m", "a tag with a message")
    first = git(repository.work, "rev-parse", "HEAD")
    git(repository.work, "checkout", "--quiet", "-b", "other")
    repository.commit({"compose.yaml": "services: {top: {image: other}}"})
    git(repository.work, "checkout", "--quiet", "main")
    second = repository.commit({"compose.yaml": "services: {top: {image: newest}}"})
    for ref, image in (
        ("", "newest"),
        ("main", "newest"),
        ("other", "other"),
        ("v1", "one"),
        (first, "one"),
        ("refs/tags/v1", "one"),
        ("refs/heads/other", "other"),
    ):
        assert image in text_of(remotes(tmp_path), f"{url}#{ref}"), ref
    assert "two" in text_of(remotes(tmp_path), f"{url}#main:sub")
    assert "two" in text_of(remotes(tmp_path), f"{url}#main:sub/compose.yaml")
    kept = sorted(os.listdir(tmp_path / "cache/remote/git"))
    assert {first, second} <= set(kept)
    assert len(kept) == 3
    with pytest.raises(ProjectError, match="repository does not contain ref none"):
        remotes(tmp_path).fetch(f"{url}#none")
    with pytest.raises(ProjectError, match="expected commit 1234567"):
        remotes(tmp_path).fetch(f"{url}?checksum=1234567")
    with pytest.raises(ProjectError, match=f"repository does not contain commit {'0' * 40}|cannot fetch"):
        remotes(tmp_path).fetch(f"{url}#{'0' * 40}")
    assert sorted(os.listdir(tmp_path / "cache/remote/git")) == kept


def test_a_repository_of_sha_256(tmp_path: Path) -> None:
    work = tmp_path / "served/app"
    write(work, {"compose.yaml": "services: {top: {image: long}}"})
    git(work, "init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "one")
    server = GitServer(tmp_path / "served")
    try:
        assert "long" in text_of(remotes(tmp_path), f"{server.url}/app")
        assert [len(name) for name in os.listdir(tmp_path / "cache/remote/git")] == [64]
    finally:
        server.close()


def test_a_branch_moves_and_a_commit_needs_no_network(repository: Repository, tmp_path: Path) -> None:
    server = GitServer(repository.directory / "served")
    url = f"{server.url}/app.git"
    first = git(repository.work, "rev-parse", "HEAD")
    try:
        assert "one" in text_of(remotes(tmp_path), f"{url}#main")
        repository.commit({"compose.yaml": "services: {top: {image: moved}}"})
        assert "moved" in text_of(remotes(tmp_path), f"{url}#main")
    finally:
        server.close()
    assert "one" in text_of(remotes(tmp_path), f"{url}#{first}")
    with pytest.raises(ProjectError, match="cannot fetch from the repository") as failure:
        remotes(tmp_path).fetch(f"{url}#main")
    assert "check the URL and the network" in str(failure.value.hint)


def test_a_web_server_that_knows_nothing_of_git(repository: Repository, tmp_path: Path) -> None:
    git(repository.bare, "update-server-info")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    handler = partial(Quiet, directory=str(repository.directory / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        url = f"http://me:hidden@127.0.0.1:{port}/app.git"
        found = remotes(tmp_path).fetch(f"{url}#main:sub")
        assert Path(found.file).read_text() == "services: {sub: {image: two}}"
        assert found.shown == f"http://127.0.0.1:{port}/app.git#main:sub/compose.yaml"
        with pytest.raises(ProjectError) as failure:
            remotes(tmp_path).fetch(f"http://me:hidden@127.0.0.1:{port}/none.git")
        assert "hidden" not in str(failure.value)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("form", ["git@host.test:{}#main:sub", "ssh://git@host.test{}#main:sub"])
def test_ssh_asks_nobody(repository: Repository, tmp_path: Path, form: str) -> None:
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\nfor command; do :; done\neval "$command"\n')
    ssh.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}
    found = Remotes(environment, environment.get, str(tmp_path / "cache")).fetch(form.format(repository.bare))
    assert Path(found.file).read_text() == "services: {sub: {image: two}}"
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked
    assert all("BatchMode=yes" in line and "git@host.test" in line for line in asked)


def test_no_links_out_no_submodules_no_hooks(
    repository: Repository, server: GitServer, tmp_path: Path
) -> None:
    template = tmp_path / "template/hooks"
    template.mkdir(parents=True)
    (template / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (template / "post-checkout").chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {tmp_path}/template\n[core]\n\thooksPath = {template}\n"
    )
    (repository.work / "compose.yaml").unlink()
    (repository.work / "compose.yaml").symlink_to("../../../../../../etc/hostname")
    git(repository.work, "submodule", "--quiet", "add", f"{server.url}/app.git", "module")
    repository.commit({"other/compose.yaml": "services: {}"})
    with pytest.raises(ProjectError, match="leads out of the repository"):
        remotes(tmp_path).fetch(f"{server.url}/app.git")
    root = remotes(tmp_path).fetch(f"{server.url}/app.git#main:other").root
    assert os.listdir(f"{root}/module") == []
    assert not (tmp_path / "ran").exists()


def test_a_repository_that_would_fill_the_disk(
    repository: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"zeros": "0" * 3_000_000})
    monkeypatch.setattr(git_files, "_MAX_BYTES", 2 << 20)
    with pytest.raises(ProjectError, match="the repository is too large: 3 files, 2 MiB"):
        remotes(tmp_path).fetch(f"{server.url}/app.git")
    assert os.listdir(tmp_path / "cache/remote/git") == []
    monkeypatch.setattr(git_files, "_MAX_BYTES", 16)  # of any file that git writes
    with pytest.raises(ProjectError):
        remotes(tmp_path).fetch(f"{server.url}/app.git")
    assert os.listdir(tmp_path / "cache/remote/git") == []


def test_several_commands_at_once_and_one_that_is_killed(
    repository: Repository, server: GitServer, tmp_path: Path
) -> None:
    repository.commit({f"files/{number}": "x" * 1000 for number in range(200)})
    command = [sys.executable, "-m", "composer", "-f", f"{server.url}/app.git#main:sub", "config", "--images"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMPOSER_ROOT": str(tmp_path / "root")}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    killed = start()
    try:
        killed.communicate(timeout=0.3)
    except subprocess.TimeoutExpired:
        killed.kill()
        killed.communicate()
    running = [start() for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["two\n"] * 3
    (commit,) = os.listdir(tmp_path / ".cache/composer/remote/git")
    assert commit == git(repository.work, "rev-parse", "HEAD")


def test_a_tree_that_is_small_and_lists_without_end_is_refused(
    repository: Repository, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nested trees with the same content ten times each: a few kilobytes are ten million files."""
    monkeypatch.setattr(git_program, "_MAX_OUTPUT", 1 << 20)
    work = repository.work
    (tmp_path / "file").write_text("x")
    entry = f"100644 blob {git(work, 'hash-object', '-w', str(tmp_path / 'file'))}"
    for _ in range(7):
        listed = "".join(f"{entry}\t{number}\n" for number in range(10))
        made = subprocess.run(
            ["git", "mktree"], cwd=work, input=listed, capture_output=True, text=True, check=True
        )
        entry = f"040000 tree {made.stdout.strip()}"
    commit = git(work, "commit-tree", "-m", "bomb", made.stdout.strip())
    git(work, "push", "--quiet", "origin", f"{commit}:refs/heads/bomb")
    with pytest.raises(ProjectError, match=r"the repository is too large: at least \d+ files") as refused:
        remotes(tmp_path).fetch(f"{server.url}/app.git#bomb")
    assert refused.value.hint
