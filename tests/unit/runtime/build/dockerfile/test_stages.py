"""Stages: arguments of FROM, what a name means, which stages a target needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import BuildFailed, DockerfileInvalid
from composer.registry.platforms import Platform, parse_platform
from composer.runtime.build.dockerfile.predefined import predefined
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.dockerfile.stages import (
    Build,
    ContextOrigin,
    ImageOrigin,
    Origin,
    Scratch,
    StageOrigin,
    global_arguments,
    resolve,
    target_stage,
)

AMD64 = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")


def build(
    text: str, target: str = "", contexts: Iterable[str] = (), build_args: Mapping[str, str] | None = None
) -> Build:
    return resolve(
        parse(text),
        target=target,
        build_args=build_args or {},
        target_platform=ARM,
        build_platform=AMD64,
        contexts=contexts,
    )


def faults(text: str, target: str = "") -> list[str]:
    with pytest.raises(DockerfileInvalid) as caught:
        build(text, target)
    return [f"{each.at.line}:{each.at.column}: {each.message}" for each in caught.value.faults]


# ---------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("text", "build_args", "expected"),
    [
        ("ARG A=1\nARG B=$A-2", {}, {"A": "1", "B": "1-2"}),
        ("ARG A=1 B='$A' C=\"$A x\"", {}, {"A": "1", "B": "$A", "C": "1 x"}),
        ("ARG A=1\nARG B=$A", {"A": "9", "X": "no"}, {"A": "9", "B": "9"}),
        ("ARG A\nARG B=${A:-none}", {}, {"B": "none"}),
        ("ARG A\nARG B=${A:-none}", {"A": ""}, {"A": "", "B": "none"}),
        ("ARG A=1\nARG A=${A}2\nARG A", {}, {"A": "12"}),
        ("ARG P=$TARGETARCH$TARGETVARIANT", {}, {"P": "armv7"}),
        ("ARG TARGETARCH=x", {}, {"TARGETARCH": "x"}),
    ],
)
def test_global_arguments(text: str, build_args: dict[str, str], expected: dict[str, str]) -> None:
    known = predefined(AMD64, ARM, "")
    found = global_arguments(parse(f"{text}\nFROM scratch\n"), build_args, known)
    assert {name: value for name, value in found.items() if known.get(name) != value} == expected


def test_predefined_arguments() -> None:
    assert predefined(AMD64, ARM, "")["TARGETPLATFORM"] == "linux/arm/v7"
    found = build("FROM scratch AS one\nFROM scratch AS Two\n", build_args={"TARGETOS": "plan9", "X": "1"})
    assert found.arguments == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDOSVERSION": "",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "plan9",
        "TARGETOSVERSION": "",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "TARGETSTAGE": "two",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("armel", "linux/arm/v6"),
        ("x86_64", "linux/amd64"),
        ("Windows", "windows/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("windows(10.0.17763)/amd64", "windows/amd64"),
    ],
)
def test_platforms(text: str, expected: str) -> None:
    assert str(parse_platform(text)) == expected


@pytest.mark.parametrize("text", ["", "x", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux//v7"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(ValueError, match=r"use SYSTEM|known"):
        parse_platform(text)


# ---------------------------------------------------------------------------- what a name means


@pytest.mark.parametrize(
    ("text", "contexts", "expected"),
    [
        ("FROM scratch", (), Scratch()),
        ("FROM alpine:3", (), ImageOrigin("alpine:3")),
        ("ARG V=3\nFROM alpine:$V", (), ImageOrigin("alpine:3")),
        ("FROM a AS base\nFROM base", (), StageOrigin(0)),
        ("FROM a AS Base\nFROM BASE", (), StageOrigin(0)),
        ("FROM a AS base\nFROM b AS base\nFROM base", (), StageOrigin(1)),
        ("FROM base AS base", (), ImageOrigin("base")),
        ("FROM a\nFROM stage-0", (), ImageOrigin("stage-0")),
        ("FROM alpine", ("alpine",), ContextOrigin("alpine")),
        (
            "FROM alpine",
            ("docker.io/library/alpine:latest",),
            ContextOrigin("docker.io/library/alpine:latest"),
        ),
        ("FROM docker.io/library/alpine:latest", ("alpine",), ContextOrigin("alpine")),
        ("FROM alpine:3", ("alpine",), ImageOrigin("alpine:3")),
        ("FROM scratch", ("scratch",), Scratch()),
        ("FROM a AS base\nFROM base", ("base",), StageOrigin(0)),
    ],
)
def test_what_from_means(text: str, contexts: tuple[str, ...], expected: Origin) -> None:
    assert build(f"{text}\n", contexts=contexts).stages[-1].base == expected


@pytest.mark.parametrize(
    ("name", "has_numbers", "expected"),
    [
        ("0", True, StageOrigin(0)),
        ("0", False, ImageOrigin("0")),
        ("One", True, StageOrigin(0)),
        ("twice", True, StageOrigin(2)),
        ("nginx:1", True, ImageOrigin("nginx:1")),
        ("scratch", True, Scratch()),
        ("files", False, ContextOrigin("files")),
    ],
)
def test_what_copy_and_run_mean(name: str, has_numbers: bool, expected: Origin) -> None:
    found = build("FROM a AS one\nFROM b AS twice\nFROM c AS Twice\n", contexts=("files",))
    assert found.origin(name, has_numbers=has_numbers) == expected


@pytest.mark.parametrize("name", ["3", "-1", "UPPER", "a b", "one:"])
def test_what_nothing_means(name: str) -> None:
    with pytest.raises(ValueError, match=r"not there|invalid reference"):
        build("FROM a AS one\nFROM b\nFROM c\n").origin(name)


def test_a_context_replaces_a_stage() -> None:
    found = build("FROM nowhere AS base\nRUN x\nCOPY --from=later a b\nFROM base\n", contexts=("base",))
    assert found.stages[0].base == ContextOrigin("base")
    assert found.stages[0].stage.instructions == ()
    assert found.stages[1].base == StageOrigin(0)


# ---------------------------------------------------------------------------- what is needed


_STAGES = """\
FROM a AS base
FROM base AS tools
FROM b AS unused
FROM scratch AS files
FROM base AS app
COPY --from=tools /x /y
RUN --mount=from=Files,target=/z --mount=type=cache,target=/c x
FROM c
COPY --from=4 / /
"""


@pytest.mark.parametrize(
    ("target", "order"),
    [
        ("", (0, 1, 3, 4, 5)),
        ("5", (0, 1, 3, 4, 5)),
        ("APP", (0, 1, 3, 4)),
        ("tools", (0, 1)),
        ("unused", (2,)),
    ],
)
def test_stages_of_a_target(target: str, order: tuple[int, ...]) -> None:
    assert build(_STAGES, target).order == order


def test_triggers_of_a_stage_belong_to_those_that_are_built_from_it() -> None:
    found = build(
        "FROM a AS tools\nFROM b AS base\nONBUILD COPY --from=tools x y\nONBUILD RUN z\nFROM base AS one\nFROM one\n"
    )
    assert [len(stage.triggers) for stage in found.stages] == [0, 0, 2, 0]
    assert [sorted(stage.needs) for stage in found.stages] == [[], [], [0, 1], [2]]


def test_titles() -> None:
    assert [each.title for each in build("FROM a\nFROM b AS Two\nFROM c\n").stages] == [
        "stage-0",
        "two",
        "stage-2",
    ]


@pytest.mark.parametrize(
    ("target", "hint"), [("builds", "did you mean 'build'?"), ("7", "use one of build, last")]
)
def test_a_target_that_is_not_there(target: str, hint: str) -> None:
    with pytest.raises(BuildFailed, match="target stage") as caught:
        target_stage(parse("FROM a AS build\nFROM b AS last\n"), target)
    assert caught.value.hint == hint


def test_the_last_stage_of_a_name_is_the_target() -> None:
    assert target_stage(parse("FROM a AS x\nFROM b AS x\nFROM c\n"), "X") == 1


# ---------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM $X", "1:6: '$X' in FROM is empty after expansion"),
        ("FROM --platform=$X a", "1:17: '$X' in FROM is empty after expansion"),
        ("FROM --platform=x/y/z/w a", "1:17: invalid platform 'x/y/z/w'"),
        ("FROM ${X:?no}", "1:6: variable 'X' is unset: no"),
        ("ARG A='\nFROM a", "1:7: single quote has no end"),
        ("ARG A=1 B=${A\nFROM a", "1:11: substitution has no '}'"),
        ("FROM Upper", "1:6: invalid reference format 'Upper': repository name must be lowercase"),
        ("FROM a\nCOPY --from=2 x y", "2:8: stage 2 is not there: use 0, the only stage"),
        (
            "FROM a\nRUN --mount=type=bind,from=X y",
            "2:23: invalid reference format 'X': repository name must be lowercase",
        ),
        ("FROM a AS x\nCOPY --from=x y z", "2:1: stage 'x' uses itself"),
        ("FROM a\nCOPY --from=0 y z", "2:1: stage 'stage-0' uses itself"),
        ("FROM a AS x\nRUN --mount=from=x,target=/y z", "2:1: stage 'x' uses itself"),
        (
            "FROM a AS x\nCOPY --from=y b c\nFROM x\nFROM b AS y\nFROM x",
            "2:1: stage 'y' comes later than stage 'x' that uses it",
        ),
        ("FROM a AS x\nCOPY --from=y b c\nFROM x AS y\nFROM c", "2:1: stages 'x' and 'y' need each other"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    assert faults(f"{text}\n") == [expected]


def test_a_later_stage_that_nobody_needs_is_no_fault() -> None:
    assert build("FROM a AS x\nCOPY --from=y b c\nFROM b AS y\nFROM c\n").order == (2,)


def test_arguments_that_grow_have_a_limit() -> None:
    doubling = "ARG A0=0123456789\n" + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(60))
    (message,) = faults(doubling + "FROM scratch\n")
    assert "longer than 16 MiB" in message


def test_many_stages() -> None:
    count = 20_000
    text = "FROM a AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nCOPY --from={n} x y\n" for n in range(count))
    assert len(build(text).order) == count + 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7), st.booleans()), min_size=1, max_size=6))
def test_the_order_is_complete_or_a_fault(uses: list[tuple[int, int, bool]]) -> None:
    text = "".join(
        f"FROM {'s' + str(base) if is_stage and base < number else 'image'} AS s{number}\nCOPY --from={used} a b\n"
        for number, (base, used, is_stage) in enumerate(uses)
    )
    try:
        found = build(text)
    except DockerfileInvalid:
        assert any(used >= number for number, (_, used, _) in enumerate(uses))
    else:
        order = set(found.order)
        assert found.target in order
        assert all(found.stages[number].needs <= order for number in order)
        assert all(need < number for number in order for need in found.stages[number].needs)
