"""Checks that not every engine of Docker's has, and what they are told from outside; the rest is beside Docker's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import DockerfileInvalid
from composer.registry.platforms import Platform
from composer.runtime.build.dockerfile.checks import check
from composer.runtime.build.dockerfile.directives import CheckOptions, check_options
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.dockerfile.rules import DESCRIPTIONS, nearest_name
from composer.runtime.build.dockerfile.stage_checks import BaseFacts

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def found(
    text: str,
    *,
    target: str = "",
    build_args: Mapping[str, str] | None = None,
    base: Callable[[str], BaseFacts | None] = lambda name: None,
    is_ignored: Callable[[str], bool] | None = None,
    options: CheckOptions | None = None,
) -> list[str]:
    """Return the rules and lines."""
    findings = check(
        parse(text),
        target=target,
        build_args=build_args or {},
        target_platform=AMD64,
        build_platform=AMD64,
        base=base,
        is_ignored=is_ignored,
        options=options,
    )
    assert all(each.description == DESCRIPTIONS[each.rule] for each in findings)
    return [f"{each.at.line} {each.rule}: {each.detail}" for each in findings]


def rules(text: str, **how: object) -> list[str]:
    return [each.partition(":")[0] for each in found(text, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FROM scratch\n# check=skip=MaintainerDeprecated\nMAINTAINER x\nMAINTAINER y\n",
            ["4 MaintainerDeprecated"],
        ),
        ("# check=error=true\n\n# check=skip=StageNameCasing\nFROM scratch AS A\n", []),
        ("FROM scratch\n# check=skip=LegacyKeyValueFormat,SecretsUsedInArgOrEnv\nENV key x\n", []),
        ("FROM scratch\n# check=skip=all\nWORKDIR x\n", []),
        ("FROM scratch\n# check=skip=all and why\n# more\nWORKDIR x\n", []),
        ("FROM scratch\n# check=skip=all\n#\nWORKDIR x\n", ["4 WorkdirRelativePath"]),
        ("FROM scratch\n# check=omit=all\nWORKDIR x\n", ["3 WorkdirRelativePath"]),
        ("FROM scratch\n# check=experimental=all\nARG a\n", ["3 InvalidDefinitionDescription"]),
    ],
)
def test_a_comment_above_an_instruction_switches_rules(text: str, expected: list[str]) -> None:
    assert rules(text) == expected


def test_options_from_outside_replace_those_of_the_file() -> None:
    text = "# check=skip=all\nFROM scratch AS A\nMAINTAINER x\n"
    assert rules(text) == []
    assert rules(text, options=CheckOptions()) == ["2 StageNameCasing", "3 MaintainerDeprecated"]
    assert rules(text, options=check_options("skip=StageNameCasing")) == ["3 MaintainerDeprecated"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", CheckOptions()),
        ("skip=all", CheckOptions(skips_all=True)),
        ("skip=A,B;error=1", CheckOptions(frozenset("AB"), is_error=True)),
        (" experimental = A ; skip=B;error=false", CheckOptions(frozenset("B"), experimental=frozenset("A"))),
        ("experimental=all", CheckOptions(experimental_all=True)),
    ],
)
def test_check_options(text: str, expected: CheckOptions) -> None:
    assert check_options(text) == expected


@pytest.mark.parametrize(
    "text", ["skip", "x=1", "error=", "error=no", "skip=a;;error=true", "skip=a;error=true;a=b;c=d"]
)
def test_wrong_check_options(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown check option|invalid boolean"):
        check_options(text)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("TOKEN", True),
        ("my_api_key", True),
        ("MY_APIKEY", True),
        ("SSH_KEY", True),
        ("key", True),
        ("PASSWD_OF_X", True),
        ("MONKEY", False),
        ("KEYS", False),
        ("PUBLIC_KEY", False),
        ("TOKEN_FILE", False),
        ("VERSION_TOKEN", False),
    ],
)
def test_names_of_secrets(name: str, is_secret: bool) -> None:
    expected = ["2 SecretsUsedInArgOrEnv"] if is_secret else []
    assert rules(f"FROM scratch\nARG {name}\n") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("secret", 'Copy file "secret"'),
        ("./a/../secret", 'Copy file "secret"'),
        ("$S", 'Copy file "secret"'),
        ("other", None),
        ("https://example.org/secret", None),
        (".", None),
    ],
)
def test_ignored_files(source: str, expected: str | None) -> None:
    text = f"FROM scratch\nARG S=secret\nCOPY {source} /x\n"
    findings = found(text, is_ignored=lambda path: path == "secret")
    assert [each for each in findings if "Copy" in each] == (
        [f"3 CopyIgnoredFile: Attempting to {expected} that is excluded by .dockerignore"] if expected else []
    )
    assert rules(text, is_ignored=None) == []


def test_the_context_itself_is_never_ignored() -> None:
    """Where all is, and a part is taken back, `COPY .` copies that part."""
    assert found("FROM scratch\nCOPY . /x\nCOPY ./ /y\nCOPY / /z\n", is_ignored=lambda path: True) == []


def test_of_an_unknown_image_no_variable_is_undefined() -> None:
    text = "FROM image\nENV a=$HOME b=$LANG\n"
    assert rules(text) == []
    assert found(text, base=lambda name: BaseFacts({"LANGS": "C"})) == [
        "2 UndefinedVar: Usage of undefined variable '$HOME'",
        "2 UndefinedVar: Usage of undefined variable '$LANG' (did you mean $LANGS?)",
    ]
    assert (
        rules(
            text + "FROM image\nENV c=$LANGS\n",
            base=lambda name: BaseFacts({"LANGS": "C", "HOME": "", "LANG": ""}),
        )
        == []
    )


def test_what_the_base_image_has() -> None:
    text = "FROM image\nCMD x\n"
    assert rules(text) == ["2 JSONArgsRecommended"]
    assert rules(text, base=lambda name: BaseFacts({}, has_shell=True)) == []
    assert found("FROM image\n", base=lambda name: BaseFacts({}, platform=ARM64)) == [
        '1 InvalidBaseImagePlatform: Base image image was pulled with platform "linux/arm64", '
        'expected "linux/amd64" for current build'
    ]
    own = "FROM --platform=$BUILDPLATFORM image\n"
    assert rules(own, base=lambda name: BaseFacts({}, platform=AMD64)) == []


def test_a_target_is_checked_with_what_it_needs() -> None:
    text = "FROM scratch AS a\nWORKDIR x\nFROM scratch AS b\nWORKDIR y\nFROM a AS c\nENV k v\n"
    assert rules(text) == ["2 WorkdirRelativePath", "4 WorkdirRelativePath", "6 LegacyKeyValueFormat"]
    assert rules(text, target="C") == ["2 WorkdirRelativePath", "6 LegacyKeyValueFormat"]
    assert rules(text, target="b") == ["4 WorkdirRelativePath"]


def test_build_arguments_count() -> None:
    text = "ARG I\nFROM ${I:-Upper}\nARG D=/abs\nWORKDIR $D\n"
    assert rules(text, build_args={"I": "scratch"}) == ["2 InvalidDefaultArgInFrom"]
    assert "4 WorkdirRelativePath" in rules(text, build_args={"I": "scratch", "D": "rel"})


def test_a_file_that_cannot_be_resolved_is_a_fault() -> None:
    with pytest.raises(DockerfileInvalid):
        found("FROM $NOTHING\n")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("PATHS", ["PATH", "PASS"], "PATH"),
        ("ab", ["abcd", "abc"], "abc"),
        ("a", ["a", "b"], ""),
        ("long", ["other"], ""),
        ("", ["ab", "abc"], "ab"),
    ],
)
def test_nearest_name(name: str, known: list[str], expected: str) -> None:
    assert nearest_name(name, known) == expected


def test_many_findings_end() -> None:
    lines = "".join(f"ENV v{n}=$w{n}\n" for n in range(20_000))
    assert len(rules(f"FROM scratch\n{lines}")) == 20_000
    chain = "".join(f"FROM s{n} AS s{n + 1}\nENV v{n}=1\n" for n in range(5_000))
    assert rules(f"FROM scratch AS s0\n{chain}") == []
    growing = "ENV a=0123456789\n" + "ENV a=$a$a\n" * 1000
    assert rules(f"FROM scratch\n{growing}") == []


_LINES = st.lists(
    st.sampled_from(
        [
            "FROM scratch AS a",
            "FROM a",
            "FROM $X",
            "ARG X=a",
            "ENV a=$b c=${d",
            "ENV e f",
            "COPY --from=0 $x /y",
            "COPY <<E /x\n$u\nE",
            "ONBUILD ENV q=$r",
            "EXPOSE $P 80/TCP",
            "workdir x",
            "CMD y",
            "SHELL []",
            "MAINTAINER z",
            "# check=skip=all",
            "RUN --mount=type=$T x",
        ]
    ),
    max_size=12,
)


@given(_LINES)
def test_nothing_but_faults_is_raised(lines: list[str]) -> None:
    try:
        found("\n".join(lines) + "\n", options=check_options("experimental=all"))
    except DockerfileInvalid:
        pass
