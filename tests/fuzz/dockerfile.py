"""Coverage-guided fuzzing of the Dockerfile reader (``make fuzz-dockerfile SECONDS=300``; group ``fuzz``: atheris).

One input is a Dockerfile. It is read, its stages are resolved, its checks are made and all of its words are expanded.
A fault with a place in the file is an answer; anything else is a finding: another exception, a place that is nowhere, a
fault that no terminal can show, and an instruction that its own text does not bring back. Slow and large inputs end the
run, libFuzzer saves those.

    python -m tests.fuzz.dockerfile SECONDS [DIRECTORY]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz import harness
from tests.fuzz.harness import ROOT

if TYPE_CHECKING:
    from composer.errors import DockerfileInvalid
    from composer.runtime.build.dockerfile.instructions import Dockerfile

VALUES = {"A": "1", "EMPTY": "", "WORDS": "a b", "PATTERN": "a*b/c.d\n"}


class Finding(Exception):
    """What the reader should not have done."""


def run_one(data: bytes, work: Path) -> None:
    """Read one input and everything that is made of it. Raises what is a finding."""
    from composer.errors import DockerfileInvalid
    from composer.runtime.build.dockerfile.reading import parse

    try:
        found = parse(data)
    except DockerfileInvalid as error:
        _check_faults(error, data)
        return
    if parse(data) != found:
        raise Finding("a second reading differs")
    _expand(found)
    _read_again(found)
    _resolve(found, data)


def _check_faults(error: DockerfileInvalid, data: bytes) -> None:
    count = data.count(b"\n") + 1
    for fault in error.faults:
        if not 1 <= fault.at.line <= count or fault.at.column < 1:
            raise Finding(f"place out of the file: {fault.message}")
    for text in (str(error), *getattr(error, "__notes__", ())):
        if not all(character.isprintable() or character == "\n" for character in text):
            raise Finding(f"control character in a message: {error.faults[0].message[:40]}")
        text.encode()


def _expand(found: Dockerfile) -> None:
    from composer.runtime.build.dockerfile import words

    for statement in found.statements:
        for function in (words.expand, words.expand_words):
            try:
                function(statement.arguments, VALUES, found.escape)
            except words.WordInvalid as error:
                if not 0 <= error.offset <= len(statement.arguments):
                    raise Finding("offset out of the word") from error
        words.expand_shown(statement.arguments, VALUES, found.escape)


def _read_again(found: Dockerfile) -> None:
    """Read what instructions say of themselves: it is the same instruction."""
    from composer.errors import DockerfileInvalid
    from composer.runtime.build.dockerfile.instructions import Onbuild
    from composer.runtime.build.dockerfile.reading import parse, parse_trigger

    for stage in found.stages:
        for instruction in stage.instructions:
            if isinstance(instruction, Onbuild):
                try:
                    parse_trigger(instruction.trigger)
                except DockerfileInvalid:
                    pass  # with another escape character than the file's it may be another text
                continue
            if getattr(instruction, "heredocs", ()) or instruction.text.endswith(found.escape):
                continue
            text = f"# escape={found.escape}\nFROM x\n{type(instruction).__name__} {instruction.text}\n"
            (again,) = parse(text).stages[0].instructions
            if again[1:] != instruction[1:]:
                raise Finding(f"the text of {type(instruction).__name__} is another instruction")


def _resolve(found: Dockerfile, data: bytes) -> None:
    from composer.errors import DockerfileInvalid
    from composer.registry.platforms import Platform
    from composer.runtime.build.dockerfile import checks, directives, mounts, stages
    from composer.runtime.build.dockerfile.instructions import Run

    platform = Platform("linux", "amd64")
    try:
        build = stages.resolve(
            found, build_args=VALUES, target_platform=platform, build_platform=platform, contexts=("files",)
        )
    except DockerfileInvalid as error:
        _check_faults(error, data)
        return
    options = directives.check_options("experimental=all")
    checks.check(
        found,
        build_args=VALUES,
        target_platform=platform,
        build_platform=platform,
        is_ignored=lambda path: True,
        options=options,
    )
    for number in build.order:
        for instruction in build.stages[number].stage.instructions:
            for mount in instruction.mounts if isinstance(instruction, Run) else ():
                try:
                    mounts.is_readonly(mounts.expanded(mount, VALUES, found.escape))
                except ValueError:
                    pass  # what a variable has made wrong


def seeds() -> Iterator[bytes]:
    """Yield the files that the checks are compared with, and one with every instruction."""
    for path in sorted((ROOT / "tests" / "data" / "dockerfiles").rglob("*Dockerfile")):
        yield path.read_bytes()
    yield (
        b"# syntax=x\n# escape=`\nARG A=1 B\nFROM --platform=$BUILDPLATFORM a:$A AS one\n"
        b"RUN --mount=type=cache,target=/x,sharing=locked --network=none --security=insecure --device=a.b/c=d x `\n y\n"
        b"RUN --mount=type=secret,id=a,env=B --mount=type=tmpfs,size=1m,target=/t <<E cat <<-'F'\na\nE\n\tb\n\tF\n"
        b"ADD --checksum=sha256:1 --unpack --keep-git-dir=false http://x/y <<E /z\n$A\nE\n"
        b'COPY --from=0 --chown=1:2 --chmod=u=rwX --link --parents --exclude=*.o ["a b", "c"]\n'
        b'ENV a="b" c=\'d\' e=f` g\nLABEL a b\nEXPOSE 80/tcp 1-2\nVOLUME ["/a"]\nUSER a:b\nWORKDIR /a\nSTOPSIGNAL 9\n'
        b'HEALTHCHECK --interval=1m --retries=2 CMD ["a"]\n'
        b'SHELL ["/bin/sh"]\nMAINTAINER a\nCMD a\nENTRYPOINT ["b"]\n'
        b"ONBUILD COPY <<E /x\na\nE\nFROM one\nENV a=${A:-${B:+c}} b=${A#*/} c=${A%%.*} d=${A//a/b} e=${A:?m}\n"
    )


def words() -> set[str]:
    """Return keywords, flags, options and operators."""
    keywords = (
        "FROM AS RUN COPY ADD ENV ARG LABEL CMD ENTRYPOINT ONBUILD HEALTHCHECK NONE SHELL VOLUME EXPOSE USER"
    )
    options = (
        "type from source target readonly readwrite id sharing required size mode uid gid env "
        "bind cache tmpfs secret ssh"
    )
    flags = "platform mount network security device chown chmod link parents exclude checksum unpack interval retries"
    return {
        *keywords.split(),
        *options.split(),
        *(f"--{flag}=" for flag in flags.split()),
        *[
            "# escape=`\n",
            "# check=skip=",
            "<<E",
            "<<-E",
            "\nE\n",
            "\\\n",
            "`\n",
            "${",
            ":-",
            ":+",
            ":?",
            "##",
            "%%",
            "//",
        ],
        *['["a", "b"]', "$A", "$PATTERN", "scratch", "\ufeff", "\r\n"],
    }


def _load() -> None:
    from composer.runtime.build.dockerfile import checks, reading, stages  # noqa: F401


if __name__ == "__main__":
    harness.main(
        harness.Fuzzer("dockerfile", run_one, seeds, words, _load, max_input=4096, address_space=3 << 30)
    )
