"""Contexts of each kind: directories, archives, standard input, URLs and repositories."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.adding import Fetching
from composer.runtime.build.context.contexts import Context, open_context
from tests.integration.build.places import write
from tests.integration.build.servers import Answer, Repositories, Server, packed

pytestmark = pytest.mark.root


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
