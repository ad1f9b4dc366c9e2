"""The checks of ``docker build --check``: what is allowed in a Dockerfile, but seldom meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import references
from composer.errors import DockerfileInvalid, ImageError
from composer.registry import platforms
from composer.runtime.build.dockerfile import stages, words
from composer.runtime.build.dockerfile.directives import check_options
from composer.runtime.build.dockerfile.instructions import Arg, Maintainer
from composer.runtime.build.dockerfile.predefined import predefined
from composer.runtime.build.dockerfile.rules import Findings
from composer.runtime.build.dockerfile.stage_checks import StageChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from composer.registry.platforms import Platform
    from composer.runtime.build.dockerfile.directives import CheckOptions
    from composer.runtime.build.dockerfile.instructions import Dockerfile, Instruction, Stage, Statement
    from composer.runtime.build.dockerfile.rules import Finding
    from composer.runtime.build.dockerfile.stage_checks import BaseFacts
    from composer.runtime.build.dockerfile.words import Expansion

_RESERVED = ("context", "scratch")


def check(
    dockerfile: Dockerfile,
    *,
    target: str = "",
    build_args: Mapping[str, str],
    target_platform: Platform,
    build_platform: Platform,
    contexts: Iterable[str] = (),
    base: Callable[[str], BaseFacts | None] = lambda name: None,
    is_ignored: Callable[[str], bool] | None = None,
    options: CheckOptions | None = None,
) -> list[Finding]:
    """Return the findings of all rules, in the order of lines. Without a target every stage is looked at.

    ``base`` returns what is known of an image; of one that it knows nothing about, no variable counts as undefined.
    ``is_ignored`` tells whether .dockerignore excludes a path of the build context for sure; where it is None there is
    no such file. ``options`` are those of the file, unless others are given. Raises what `stages.resolve` raises.
    """
    build = stages.resolve(
        dockerfile,
        target=target,
        build_args=build_args,
        target_platform=target_platform,
        build_platform=build_platform,
        contexts=contexts,
    )
    given = predefined(build_platform, target_platform, target)
    findings = Findings(options if options is not None else check_options(dockerfile.check))
    _check_writing(dockerfile, findings)
    _check_names(dockerfile, findings)
    _check_casing(dockerfile, findings)
    _check_defaults(dockerfile, given, findings)
    _check_bases(dockerfile, build.arguments, findings)
    checked = build.order if target else range(len(build.stages))
    StageChecks(dockerfile, build, build_args, target_platform, base, is_ignored, findings).run(checked)
    return sorted(findings.found, key=lambda finding: (finding.at.line, finding.rule))


# ---------------------------------------------------------------------------- one instruction as it is written


def _check_writing(dockerfile: Dockerfile, findings: Findings) -> None:
    instructions: dict[int, Instruction] = {each.at.line: each for each in dockerfile.arguments}
    instructions |= {each.at.line: each for stage in dockerfile.stages for each in stage.instructions}
    names = {stage.base.at.line: stage.base.name for stage in dockerfile.stages}
    for statement in dockerfile.statements:
        at = statement.at
        if line := statement.empty_continuation:
            where = at._replace(line=line, last_line=line)
            findings.add("NoEmptyContinuation", where, "Empty continuation line")
        instruction = instructions.get(at.line)
        if isinstance(instruction, Maintainer):
            detail = "Maintainer instruction is deprecated in favor of using label"
            findings.add("MaintainerDeprecated", at, detail, statement.comments)
        if isinstance(instruction, Arg):
            _check_description("ARG", [name for name, _ in instruction.pairs], statement, findings)
        if at.line in names:
            _check_from(statement, findings)
            if names[at.line]:
                _check_description("FROM", [names[at.line]], statement, findings)


def _check_from(statement: Statement, findings: Findings) -> None:
    found = statement.arguments.split()
    if len(found) != 3:
        return
    keyword, name = found[1:]
    if name != name.lower():
        detail = f"Stage name '{name}' should be lowercase"
        findings.add("StageNameCasing", statement.at, detail, statement.comments)
    written = statement.keyword
    is_wrong = (written.islower() and keyword != keyword.lower()) or (
        written.isupper() and keyword != keyword.upper()
    )
    if is_wrong:
        detail = f"'{keyword}' and '{written}' keywords' casing do not match"
        findings.add("FromAsCasing", statement.at, detail, statement.comments)


def _check_description(keyword: str, names: Sequence[str], statement: Statement, findings: Findings) -> None:
    if not statement.comments or statement.comments[-1].split(" ")[0] in names:
        return
    example = names[0] if len(names) == 1 else "<arg_key>"
    detail = f"Comment for {keyword} should follow the format: `# {example} <description>`"
    findings.add("InvalidDefinitionDescription", statement.at, detail, statement.comments)


# ---------------------------------------------------------------------------- the file as a whole


def _check_names(dockerfile: Dockerfile, findings: Findings) -> None:
    seen = set()
    for base in (stage.base for stage in dockerfile.stages if stage.base.name):
        if base.name in _RESERVED:
            detail = f'Stage name should not use the same name as reserved stage "{base.name}"'
            findings.add("ReservedStageName", base.at, detail)
        if base.name in seen:
            detail = f'Duplicate stage name "{base.name}", stage names should be unique'
            findings.add("DuplicateStageName", base.at, detail)
        seen.add(base.name)


def _check_casing(dockerfile: Dockerfile, findings: Findings) -> None:
    before = len(dockerfile.arguments)
    statements = dockerfile.statements[before:]
    keywords = [statement.keyword for statement in statements]
    lower = sum(keyword.islower() for keyword in keywords)
    is_lower = lower > sum(keyword.isupper() for keyword in keywords)
    for statement in statements:
        keyword = statement.keyword
        if keyword != (keyword.lower() if is_lower else keyword.upper()):
            casing = "lowercase" if is_lower else "uppercase"
            detail = f"Command '{keyword}' should match the case of the command majority ({casing})"
            findings.add("ConsistentInstructionCasing", statement.at, detail)


# ---------------------------------------------------------------------------- FROM


def _check_defaults(dockerfile: Dockerfile, predefined: Mapping[str, str], findings: Findings) -> None:
    """Look at the bases as they are without any build argument."""
    try:
        values = stages.global_arguments(dockerfile, {}, predefined)
        names = [
            words.expand(stage.base.image, values, dockerfile.escape).text for stage in dockerfile.stages
        ]
    except (DockerfileInvalid, words.WordInvalid):
        return
    for stage, name in zip(dockerfile.stages, names, strict=True):
        try:
            references.parse(name)
        except ImageError:
            image = stage.base.image
            detail = f"Default value for ARG {image} results in empty or invalid base image name"
            findings.add("InvalidDefaultArgInFrom", stage.base.at, detail)


def _check_bases(dockerfile: Dockerfile, arguments: Mapping[str, str], findings: Findings) -> None:
    comments = {statement.at.line: statement.comments for statement in dockerfile.statements}
    declared = dict.fromkeys(arguments)
    declared |= dict.fromkeys(name for argument in dockerfile.arguments for name, _ in argument.pairs)
    for stage in dockerfile.stages:
        above = comments.get(stage.base.at.line, ())
        image = words.expand(stage.base.image, arguments, dockerfile.escape)
        _check_undefined(stage, image, declared, above, findings)
        if stage.base.platform:
            platform = words.expand(stage.base.platform, arguments, dockerfile.escape)
            _check_undefined(stage, platform, declared, above, findings)
            _check_platform(stage, platform, arguments, above, findings)


def _check_undefined(
    stage: Stage, word: Expansion, declared: Mapping[str, None], comments: Sequence[str], findings: Findings
) -> None:
    for name in sorted(name for name in word.unset if name not in declared):
        near = findings.suggestion(name, declared, "")
        detail = f"FROM argument '{name}' is not declared{near}"
        findings.add("UndefinedArgInFrom", stage.base.at, detail, comments)


def _check_platform(
    stage: Stage,
    word: Expansion,
    arguments: Mapping[str, str],
    comments: Sequence[str],
    findings: Findings,
) -> None:
    base = stage.base
    if word.used == {"TARGETPLATFORM"} and not word.unset and word.text == arguments["TARGETPLATFORM"]:
        detail = f"Setting platform to predefined {base.platform} in FROM is redundant as this is the default behavior"
        findings.add("RedundantTargetPlatform", base.at, detail, comments)
    if word.used or word.unset:
        return
    platform = platforms.parse_platform(word.text)
    if platform.system not in base.name and platform.architecture not in base.name:
        detail = f'FROM --platform flag should not use constant value "{word.text}"'
        findings.add("FromPlatformFlagConstDisallowed", base.at, detail, comments)
