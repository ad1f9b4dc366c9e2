"""What builds fetch from URLs and git remotes: kept for the next build, counted, pruned, and kept within a size."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

from composer.runtime.build.cache import fetched
from tests.integration.build.servers import Answer, GitServer, Server
from tests.integration.namespace.building.conftest import Workshop

pytestmark = pytest.mark.root


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


@pytest.fixture
def remote(tmp_path: pathlib.Path) -> Iterator[str]:
    """A git remote with one commit; yield its URL."""
    place = tmp_path / "repositories" / "a.git"
    place.mkdir(parents=True)
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    (place / "f").write_text("from git\n")
    for command in (["init", "-q", "-b", "main"], ["add", "f"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    served = GitServer(place.parent)
    yield f"{served.url}/a.git"
    served.close()


def kept(shop: Workshop) -> list[str]:
    root = shop.stack.state / "lib/build/downloads"
    return sorted(
        str(path.relative_to(root)) for part in ("files", "git") for path in (root / part).glob("*")
    )


def test_what_is_fetched_is_kept_counted_and_pruned(shop: Workshop, server: Server, remote: str) -> None:
    body = b"x" * 3_000_000
    headers = {"ETag": '"one"'}
    server.answers["/f"] = [Answer(body, headers=headers), Answer(status=304, headers=headers)]
    dockerfile = f"FROM scratch\nADD {server.url}/f /f\nADD {remote} /g\n"
    shop.build(dockerfile)
    shop.build(dockerfile, "--no-cache", tag="again")
    assert [headers.get("If-None-Match") for _, headers in server.asked] == [None, '"one"']
    assert shop.image("again")[0]["f"] == shop.image()[0]["f"]
    assert shop.image()[0]["g/f"].kind == "file"
    shown = shop.stack.out("system", "df", "-v")
    assert "source.git.checkout" in shown
    assert "source.http" in shown
    assert "3MB" in shown
    shop.stack.run("builder", "prune", "-af")
    assert kept(shop) == []
    server.answers["/f"] = [Answer(body, headers=headers)]
    shop.build(dockerfile)
    assert len(kept(shop)) == 4  # a record and its file, a repository and its lock


def test_the_least_recently_used_goes_first(shop: Workshop, server: Server, remote: str) -> None:
    for number in range(3):
        server.answers[f"/{number}"] = [Answer(b"x" * 1_000_000, headers={"ETag": f'"{number}"'})]
        shop.build(f"FROM scratch\nADD {server.url}/{number} /f\n")
    shop.build(f"FROM scratch\nADD {remote} /g\n")
    root = str(shop.stack.state / "lib/build")
    repository = next(one for one in fetched.kept(root) if one.is_git)
    os.utime(f"{root}/downloads/git/{repository.id}", (1, 1))
    before = [one.id for one in sorted(fetched.kept(root), key=lambda one: one.used_ns)]
    assert before[0] == repository.id
    fetched.trim(root, 2_500_000)
    assert {one.id for one in fetched.kept(root)} == set(before[2:])
    fetched.trim(root, 0)
    assert kept(shop) == []
