"""What tests of builds share: servers, and what is needed to fetch from them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from composer.registry.settings import Settings
from composer.registry.transport import Transport
from composer.runtime.build.context.adding import Fetching
from composer.runtime.build.context.git import Git
from tests.integration.build.places import write
from tests.integration.build.servers import GitServer, Repositories, Server, commit, git


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(Settings())
    yield made
    made.close()


@pytest.fixture
def fetching(tmp_path: Path, transport: Transport) -> Iterator[Fetching]:
    """What is fetched is in ``scratch``, and nothing of it stays."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    yield Fetching(
        str(scratch),
        lambda: transport,
        lambda: Git(str(tmp_path / "git"), {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}),
        lambda seconds: None,
    )
    assert os.listdir(scratch) == []
    transport.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    if not shutil.which("git"):
        pytest.skip("needs git")
    directory = tmp_path_factory.mktemp("repositories")
    main = directory / "main.git"
    main.mkdir()
    git(main, "init", "-q", "-b", "trunk")
    first = commit(main, "Dockerfile", "FROM scratch\n")
    git(main, "tag", "-a", "-m", "one", "v1")
    git(main, "branch", "both")
    commit(main, "sub/dir/Dockerfile", "FROM scratch AS sub\n")
    (main / "run.sh").write_text("#!/bin/sh\n")
    (main / "run.sh").chmod(0o755)
    (main / "out").symlink_to("/etc")
    last = commit(main, "file", "last")
    git(main, "tag", "both")
    server = GitServer(directory)
    below = directory / "below.git"
    below.mkdir()
    git(below, "init", "-q", "-b", "trunk")
    commit(below, "inner", "of the submodule")
    above = directory / "above.git"
    above.mkdir()
    git(above, "init", "-q", "-b", "trunk")
    git(above, "submodule", "add", "-q", f"{server.url}/below.git", "mod")
    commit(above, "outer", "of the repository")
    for name, url in (("local", str(main)), ("program", "ext::sh -c touch% /tmp/never")):
        evil = directory / f"{name}.git"
        evil.mkdir()
        git(evil, "init", "-q", "-b", "trunk")
        git(evil, "submodule", "add", "-q", f"{server.url}/below.git", "mod")
        (evil / ".gitmodules").write_text(f'[submodule "mod"]\n\tpath = mod\n\turl = {url}\n')
        commit(evil, "file", "x")
    yield Repositories(server, main, first, last)
    server.close()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that nothing may be read from and nothing written to."""
    made = tmp_path / "outside"
    made.mkdir()
    write(made / "secret", "secret")
    return made
