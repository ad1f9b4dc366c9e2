"""``composer image ls`` and ``history`` as Docker has them: order, filters, columns."""

from __future__ import annotations

import pytest

from composer.engine.observed import ImageStep
from tests.unit.cli.console import Console

DIGEST = f"sha256:{'d' * 64}"


@pytest.fixture
def images(console: Console) -> Console:
    """Four images: two names, a digest alone, no name, a name of a registry; the later, the newer."""
    backend = console.backend
    for number, (name, references, digests, labels) in enumerate(
        (
            ("app:1", ("app:1", "me/app:2"), (), {"tier": "web"}),
            ("pulled", (), (f"redis@{DIGEST}",), {}),
            ("dangling", (), (), {"tier": "db", "old": ""}),
            (
                "reg.example:5000/team/tool:v1",
                ("reg.example:5000/team/tool:v1",),
                (f"reg.example:5000/team/tool@{DIGEST}",),
                {},
            ),
        )
    ):
        image = backend.add_image(name)
        backend._images[name] = image._replace(
            id=f"sha256:{number}{'a' * 63}",
            references=references,
            digests=digests,
            labels=labels,
            created=f"2026-01-0{number + 1}T00:00:00Z",
            size_bytes=1000 * number,
        )
    return console


def ids(console: Console, *arguments: str) -> list[str]:
    result = console("image", "ls", "-q", *arguments)
    assert result.code == 0, result
    return [line[0] for line in result.out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), "32100"),
        (("-a",), "32100"),
        (("-f", "dangling=true"), "21"),
        (("-f", "dangling=false"), "300"),
        (("-f", "label=tier"), "200"),
        (("-f", "label=tier=db"), "2"),
        (("-f", "label=tier", "-f", "label=old"), "2"),
        (("-f", "label!=tier"), "31"),
        (("-f", "reference=app"), "0"),
        (("-f", "reference=app:*"), "0"),
        (("-f", "reference=*app*"), "0"),
        (("-f", "reference=*/app"), "0"),
        (("-f", "reference=*/*/*"), "3"),
        (("-f", "reference=re[cde]is"), "1"),
        (("-f", "reference=re[!d]is"), ""),
        (("-f", "reference=app", "-f", "reference=redis"), "10"),
        (("-f", "reference=a.p"), ""),
        (("-f", "before=app:1"), ""),
        (("-f", "since=app:1"), "321"),
        (("-f", "before=reg.example:5000/team/tool:v1", "-f", "dangling=false"), "00"),
        (("-f", "until=2026-01-02T12:00:00Z"), "100"),
        (("app",), "0"),
        (("me/app",), "0"),
        (("redis",), "1"),
        (("nothing",), ""),
    ],
)
def test_which_images_are_listed(images: Console, arguments: tuple[str, ...], found: str) -> None:
    assert "".join(ids(images, *arguments)) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("dangling", "must be KEY=VALUE"),
        ("dangling=perhaps", "must be true or false"),
        ("size=3", "invalid filter 'size'"),
        ("reference=a[b-a]", "is not a pattern"),
        ("before=nothing", "no such image: nothing"),
        ("until=someday", "must be a time"),
        ("label=", "must be label=KEY"),
    ],
)
def test_filters_that_are_none(images: Console, value: str, said: str) -> None:
    result = images("image", "ls", "--filter", value)
    assert result.code != 0 and said in result.err


def test_the_columns(images: Console) -> None:
    lines = [line.split() for line in images("image", "ls").out.splitlines()]
    assert lines[0] == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert [line[:3] for line in lines[1:]] == [
        ["reg.example:5000/team/tool", "v1", "3aaaaaaaaaaa"],
        ["<none>", "<none>", "2aaaaaaaaaaa"],
        ["redis", "<none>", "1aaaaaaaaaaa"],
        ["app", "1", "0aaaaaaaaaaa"],
        ["me/app", "2", "0aaaaaaaaaaa"],
    ]
    lines = [line.split() for line in images("image", "ls", "--digests", "--no-trunc").out.splitlines()]
    assert lines[0][:3] == ["REPOSITORY", "TAG", "DIGEST"]
    assert lines[1][2:4] == [DIGEST, f"sha256:3{'a' * 63}"]
    assert lines[4][2] == "<none>"
    out = images("image", "ls", "--format", "{{.Repository}}@{{.Digest}}", "redis").out
    assert out == f"redis@{DIGEST}\n"


def test_history(images: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        ImageStep("2026-01-02T00:00:00Z", "RUN " + "x" * 60, 2_500_000, "buildkit", "sha256:" + "e" * 64),
        ImageStep("", "ADD\ta /", 0),
    ]
    monkeypatch.setattr(images.backend, "image_history", lambda reference: steps)
    head, first, second = images("image", "history", "app:1").out.splitlines()
    assert head.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert first.split()[0] == "eeeeeeeeeeee" and "2.5MB" in first and "buildkit" in first
    assert "RUN " + "x" * 40 + "…" in first
    assert second.split() == ["<missing>", "N/A", "ADD", "a", "/", "0B"]
    whole = images("image", "history", "--no-trunc", "-q", "app:1").out.splitlines()
    assert whole == ["sha256:" + "e" * 64, "<missing>"]
    bytes_ = images("image", "history", "--no-human", "--no-trunc", "app:1").out
    assert "2500000" in bytes_ and "2026-01-02T00:00:00Z" in bytes_ and "x" * 60 in bytes_


def test_push_in_a_dry_run(images: Console) -> None:
    assert images("--dry-run", "image", "push", "app:1").out == "push app:1\n"
    assert images("image", "push", "nothing:1").code == 1
    assert images("image", "push", "-q", "app:1").out == "docker.io/library/app:1\n"
