"""What images, transfers and builds are told in: pure, in Docker's words."""

from __future__ import annotations

from typing import Any

import pytest

from composer.api.http.problems import Problem
from composer.api.images import changes, finding, progress, shapes
from composer.api.images.classic import Classic
from composer.api.images.listing import _glob
from composer.runtime.build.requests import News, Vertex
from composer.runtime.images import Image
from composer.runtime.images.progress import Part

ID = "sha256:" + "a" * 64
DIGEST = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (3678, "3.678kB"), (300322, "300.3kB"), (2187301, "2.187MB"), (10**12, "1TB")],
)
def test_sizes_have_four_digits(size: int, text: str) -> None:
    assert progress.size_text(size) == text


def test_bars_are_docker_s() -> None:
    assert progress.bar(3678, 300322) == f"[>{' ' * 50}]  3.678kB/300.3kB"
    assert progress.bar(300322, 300322) == f"[{'=' * 50}>]  300.3kB/300.3kB"
    assert progress.bar(32768, 300322) == f"[{'=' * 5}>{' ' * 45}]  32.77kB/300.3kB"
    assert progress.bar(3973120, 3964512) == f"[{'=' * 50}>]  3.973MB"
    assert progress.bar(5, 0) == "      5B"


def test_a_layer_is_told_of_in_order_and_its_end_once() -> None:
    found: list[Any] = []
    watcher = progress.Pulling(found.append, lambda: found.append("begun"), lambda: None)
    watcher.begun([Part(ID, 100), Part(DIGEST, 10, is_there=True), Part(ID, 100)])
    for done in (10, 20, 30, 100, 100):
        watcher.moved(ID, done, 100)
    watcher.ended(ID, "pulled")
    watcher.ended(ID, "pulled")
    assert found[0] == "begun"
    assert [line["status"] for line in found[1:]] == [
        "Pulling fs layer",
        "Already exists",
        "Downloading",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [("pushed", "Pushed"), ("there", "Layer already exists"), ("mounted from a/b", "Mounted from a/b")],
)
def test_a_push_says_how_a_layer_came_there(how: str, said: str) -> None:
    found: list[Any] = []
    watcher = progress.Pushing(found.append, lambda: None)
    watcher.begun([Part(ID, 1)])
    watcher.ended(ID, how)
    assert [line["status"] for line in found] == ["Preparing", said]


def test_changes_are_instructions() -> None:
    lines = changes.lines_of(
        ["ENV A=1\nENV B=$A", 'ENTRYPOINT ["/x"]', "EXPOSE 80 53/udp", "WORKDIR /a", "WORKDIR b"]
    )
    found = changes.applied({"Env": ["C=3"], "Cmd": ["old"]}, lines)
    assert found["Env"] == ["C=3", "A=1", "B=1"] and found["WorkingDir"] == "/a/b"
    assert found["Entrypoint"] == ["/x"] and "Cmd" not in found
    assert found["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert changes.applied({}, ["ONBUILD RUN x"]) == {"OnBuild": ["RUN x"]}


@pytest.mark.parametrize(
    "line", ["RUN x", "FROM x", "ADD a b", "nothing", "EXPOSE x", "HEALTHCHECK --every=1 CMD x"]
)
def test_other_instructions_are_refused(line: str) -> None:
    with pytest.raises(Problem) as caught:
        changes.applied({}, [line])
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("a/*", "a/b:1", "a/b/c"),
        ("*:1", "b:1", "a/b:1"),
        ("b?", "bc", "bcd"),
        ("[a-c]x", "bx", "dx"),
        ("[^a]x", "bx", "ax"),
        (r"a\*", "a*", "ab"),
        ("a.b", "a.b", "axb"),
        ("a*" * 40 + "b", "a" * 60 + "b", "a" * 60),  # in no time, too
    ],
)
def test_references_are_matched_like_paths(pattern: str, fits: str, fits_not: str) -> None:
    assert _glob(pattern).is_in(fits) and not _glob(pattern).is_in(fits_not)


def test_a_pattern_that_is_none_is_refused() -> None:
    for pattern in ("[x", "[z-a]"):
        with pytest.raises(Problem):
            _glob(pattern)


def test_names_that_are_none_are_said_in_docker_s_words() -> None:
    for text, said in (
        ("UPPER", "must be lowercase"),
        ("a" * 64, "64-byte hexadecimal"),
        ("a b", "invalid reference"),
    ):
        with pytest.raises(Problem, match=said):
            finding.reference(text)
    assert finding.tagged("a", "1") == "a:1" and finding.tagged("", "1") == ""
    assert finding.tagged("docker.io/library/a", "") == "a:latest"


def image(**values: Any) -> Image:
    made = Image(
        ID, ("a:1", f"b@{DIGEST}"), ("/l/2", "/l/1"), {"Env": ["A=1"]}, created="2026-01-02T03:04:05Z"
    )
    return made._replace(digests=(f"a@{DIGEST}",), size_bytes=7, diff_ids=(ID, DIGEST), **values)


def test_a_name_with_a_digest_is_no_tag() -> None:
    found = shapes.summary(image(), (1, 51), containers=2)
    assert found["RepoTags"] == ["a:1"] and found["RepoDigests"] == [f"a@{DIGEST}", f"b@{DIGEST}"]
    assert (found["Containers"], found["Created"], found["Labels"]) == (2, 1767323045, None)


def test_layers_are_told_topmost_first() -> None:
    found = shapes.details(image(), {"architecture": "arm", "variant": "v7", "os": "linux"}, (1, 51))
    assert found["GraphDriver"]["Data"]["UpperDir"] == "/l/2"
    assert found["GraphDriver"]["Data"]["LowerDir"] == "/l/1"
    assert found["RootFS"]["Layers"] == [ID, DIGEST] and found["Variant"] == "v7"
    assert "Created" not in found and found["Config"]["Env"] == ["A=1"]


def test_steps_that_are_built_side_by_side_are_told_one_after_the_other() -> None:
    lines: list[str] = []
    classic = Classic(lambda line: lines.append(line["stream"]), lambda name: ID if name == "base" else "")
    first, second, internal = Vertex(2, "RUN one"), Vertex(3, "RUN two"), Vertex(1, "[internal] load")
    base = Vertex(4, "FROM base AS x")
    for news in (
        News(internal, "begun"),
        News(Vertex(0, ""), "planned", "3"),
        News(first, "begun"),
        News(second, "begun"),
        News(second, "line", "of two"),
        News(first, "line", "of one"),
        News(base, "begun"),
        News(base, "cached"),
        News(second, "done"),
        News(second, "result", "2" * 64),
        News(base, "result", "3" * 64),
        News(first, "done"),
        News(first, "result", "1" * 64),
        News(Vertex(5, "exporting to image"), "begun"),
        News(Vertex(5, "exporting to image"), "line", "writing"),
        News(Vertex(5, "exporting to image"), "done"),
    ):
        classic.tell(news)
    assert "".join(lines) == (
        "Step 1/3 : RUN one\nof one\n ---> 111111111111\n"
        "Step 2/3 : RUN two\nof two\n ---> 222222222222\n"
        "Step 3/3 : FROM base AS x\n ---> aaaaaaaaaaaa\n"
    )


def test_what_failed_while_another_step_was_told_is_told_up_to_there() -> None:
    lines: list[str] = []
    classic = Classic(lambda line: lines.append(line["stream"]), lambda name: "")
    one, two = Vertex(1, "RUN one"), Vertex(2, "RUN two")
    for news in (
        News(one, "begun"),
        News(two, "begun"),
        News(two, "line", "why"),
        News(two, "failed", "it did"),
        News(one, "failed", "stopped"),
    ):
        classic.tell(news)
    assert "".join(lines) == "Step 1/1 : RUN one\nStep 2/2 : RUN two\nwhy\n"
