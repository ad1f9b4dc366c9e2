"""Images are built: by BuildKit where buildx is there, by the engine's own builder where it is not."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from tests.integration.contract.conftest import IMAGE
from tests.integration.docker.conftest import Stack

pytestmark = [pytest.mark.docker, pytest.mark.oracle]

FILE = """
services:
  web:
    build:
      context: ./src
      args: {WORD: hello}
      target: last
    command: [sh, -c, "cat /word; sleep 600"]
    stop_signal: SIGKILL
"""
DOCKERFILE = f"""
FROM {IMAGE} AS first
ARG WORD
RUN echo $WORD > /word
FROM first AS last
COPY file /file
"""


@pytest.fixture(params=["buildx", "classic"])
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """Return a PATH with docker's command on it, or without."""
    if request.param == "buildx":
        return os.environ["PATH"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to(shutil.which("sh") or "/bin/sh")
    return str(tmp_path / "bin")


def write(stack: Stack, text: str = FILE, dockerfile: str = DOCKERFILE) -> None:
    stack.write(text)
    source = stack.directory / "src"
    source.mkdir(exist_ok=True)
    (source / "Dockerfile").write_text(dockerfile)
    (source / "file").write_text("from the context\n")
    (source / ".dockerignore").write_text("ignored\n")
    (source / "ignored").write_text("x")


def remove_image(stack: Stack) -> None:
    stack.ours("down", "-t", "0")
    stack.engine("image", "rm", "-f", f"{stack.name}-web")


def test_up_builds_what_is_missing_and_nothing_else(stack: Stack, path: str) -> None:
    write(stack)
    result = stack.ours("up", "-d", PATH=path)
    assert f"Image {stack.name}-web" in result.stderr
    assert stack.ours("exec", "-T", "web", "cat", "/word", "/file").stdout == "hello\nfrom the context\n"
    assert (
        stack.inspect("web")["Config"]["Labels"]["com.docker.compose.image"] == stack.inspect("web")["Image"]
    )
    assert stack.plan() == ""
    before = stack.ids()
    write(stack, dockerfile=DOCKERFILE + "RUN echo more >> /word\n")
    stack.ours("up", "-d", "--build", PATH=path)
    assert stack.ids() != before, "a new image is a reason to replace its containers"
    assert stack.ours("exec", "-T", "web", "cat", "/word").stdout == "hello\nmore\n"
    remove_image(stack)


def test_a_step_that_fails_is_shown(stack: Stack, path: str) -> None:
    write(stack, dockerfile=f"FROM {IMAGE}\nRUN echo the reason; exit 3\n")
    text = FILE.replace("      target: last\n", "")
    stack.write(text)
    result = stack.ours("build", check=False, PATH=path)
    assert result.returncode == 1
    assert f"cannot build image '{stack.name}-web' of service 'web'" in result.stderr
    assert "the reason" in result.stderr
    assert "Traceback" not in result.stderr


def test_build_arguments_of_the_command(stack: Stack, path: str) -> None:
    write(stack)
    stack.ours("build", "--build-arg", "WORD=other", PATH=path)
    stack.ours("up", "-d", PATH=path)
    assert stack.ours("exec", "-T", "web", "cat", "/word").stdout == "other\n"
    remove_image(stack)


def test_secrets_reach_the_build_and_stay_out_of_the_image(stack: Stack) -> None:
    text = FILE.replace("target: last", "secrets: [key]") + "secrets: {key: {environment: KEY}}\n"
    write(stack, text, f"FROM {IMAGE}\nRUN --mount=type=secret,id=key wc -c < /run/secrets/key > /word\n")
    stack.ours("up", "-d", KEY="hidden")
    assert stack.ours("exec", "-T", "web", "cat", "/word").stdout.strip() == "6"
    assert "hidden" not in stack.engine("history", "--no-trunc", f"{stack.name}-web")
    remove_image(stack)


def test_what_only_buildkit_can_do_is_refused_without_it(stack: Stack, tmp_path: pathlib.Path) -> None:
    write(stack, FILE.replace("target: last", "cache_to: [type=inline]"))
    result = stack.ours("build", check=False, PATH=str(tmp_path))
    assert result.returncode == 1
    assert "build.cache_to is not supported by the classic builder" in result.stderr
    assert "install docker buildx" in result.stderr


def test_an_image_is_built_after_the_one_that_its_dockerfile_starts_from(stack: Stack, path: str) -> None:
    """With ``up``, with ``run``, and with ``build`` of the last alone."""
    base, names = f"{stack.name}-own-base", ("a", "z")
    stack.write(
        f"""
        services:
          a: {{build: {{context: ., dockerfile_inline: "FROM {base}\\nRUN cat /one > /two\\n"}}, command: cat /two}}
          z:
            image: {base}
            build: {{context: ., dockerfile_inline: "FROM IMAGE\\nRUN echo found > /one\\n"}}
            command: "true"
          user: {{image: "{base}:latest", command: cat /one}}
        """
    )
    try:
        done = stack.ours("build", "a", PATH=path)
        assert [line.split()[1] for line in done.stderr.splitlines() if " Built" in line] == [
            base,
            f"{stack.name}-a",
        ]
        for image in (base, f"{stack.name}-a"):
            stack.engine("image", "rm", "-f", image)
        stack.ours("up", "-d", "--build", PATH=path)
        assert stack.ours("logs", "--no-log-prefix", "a", "user").stdout.split() == ["found", "found"]
        assert stack.ours("run", "--rm", "-T", "--build", "a", PATH=path).stdout == "found\n"
    finally:
        stack.ours("down", "-t", "0")
        for name in (base, *(f"{stack.name}-{name}" for name in names)):
            stack.run(["docker"], "image", "rm", "-f", name, check=False)


def test_a_check_finds_what_the_engine_finds_and_builds_nothing(stack: Stack) -> None:
    write(stack, dockerfile=DOCKERFILE)
    clean = stack.ours("build", "--check")
    assert " Checked" in clean.stderr
    assert clean.stdout == "Check complete, no warnings found.\n"
    write(stack, dockerfile=DOCKERFILE + "CMD true\n")
    found = stack.ours("build", "--check", check=False)
    assert found.returncode == 1
    assert found.stdout == "Check complete, 1 warning has been found!\n"
    assert "Dockerfile:7: JSONArgsRecommended: JSON arguments recommended for CMD" in found.stderr
    assert "error:" not in found.stderr
    write(stack, dockerfile="# check=error=true" + DOCKERFILE + "CMD true\n")
    assert "1 warning has been found!" in stack.ours("build", "--check", check=False).stdout
    write(stack, dockerfile=DOCKERFILE + "TRANSFER a b\n")
    wrong = stack.ours("build", "--check", check=False)
    assert wrong.returncode == 1
    assert "Dockerfile:7: dockerfile parse error" in wrong.stderr
    assert stack.engine("image", "ls", "-q", f"{stack.name}-web").strip() == ""
