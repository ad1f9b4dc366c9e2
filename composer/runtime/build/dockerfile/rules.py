"""The rules of the checks, by Docker's names, and the findings of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.dockerfile.directives import CheckOptions, check_options, directive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.runtime.build.dockerfile.instructions import Place

EXPERIMENTAL = frozenset({"InvalidDefinitionDescription"})
"""Rules that are off unless they are asked for."""

DESCRIPTIONS = {
    "StageNameCasing": "Stage names should be lowercase",
    "FromAsCasing": "The 'as' keyword should match the case of the 'from' keyword",
    "NoEmptyContinuation": "Empty continuation lines will become errors in a future release",
    "ConsistentInstructionCasing": "All commands within the Dockerfile should use the same casing (either upper or "
    "lower)",
    "DuplicateStageName": "Stage names should be unique",
    "ReservedStageName": "Reserved words should not be used as stage names",
    "JSONArgsRecommended": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS "
    "signals",
    "MaintainerDeprecated": "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "UndefinedArgInFrom": "FROM command must use declared ARGs",
    "WorkdirRelativePath": "Relative workdir without an absolute workdir declared within the build can have unexpected "
    "results if the base image changes",
    "UndefinedVar": "Variables should be defined before their use",
    "MultipleInstructionsDisallowed": "Multiple instructions of the same type should not be used in the same stage",
    "LegacyKeyValueFormat": "Legacy key/value format with whitespace separator should not be used",
    "InvalidBaseImagePlatform": "Base image platform does not match expected target platform",
    "RedundantTargetPlatform": "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the "
    "default behavior",
    "SecretsUsedInArgOrEnv": "Sensitive data should not be used in the ARG or ENV commands",
    "InvalidDefaultArgInFrom": "Default value for global ARG results in an empty or invalid base image name",
    "FromPlatformFlagConstDisallowed": "FROM --platform flag should not use a constant value",
    "CopyIgnoredFile": "Attempting to Copy file that is excluded by .dockerignore",
    "InvalidDefinitionDescription": "Comment for build stage or argument should follow the format: `# <arg/stage name> "
    "<description>`. If this is not intended to be a description comment, add an empty line or comment between the "
    "instruction and the comment.",
    "ExposeProtoCasing": "Protocol in EXPOSE instruction should be lowercase",
    "ExposeInvalidFormat": "IP address and host-port mapping should not be used in EXPOSE instruction. This will "
    "become an error in a future release",
}

_MAX_SUGGESTIONS = 200
_MAX_DISTANCE = 2


class Finding(NamedTuple):
    """What a rule found: ``at`` is an instruction, ``detail`` what is meant there in Docker's words."""

    rule: str
    at: Place
    detail: str

    @property
    def description(self) -> str:
        return DESCRIPTIONS[self.rule]


class Findings:
    """Collects what is found, but for the rules that are switched off."""

    def __init__(self, options: CheckOptions) -> None:
        self.found: list[Finding] = []
        self._options = options
        self._suggestions = 0

    def add(self, rule: str, at: Place, detail: str, comments: Iterable[str] = ()) -> None:
        """Report a finding. A comment ``check=skip=RULE`` right above an instruction switches a rule off there."""
        options = self._options
        for comment in comments:
            if (more := directive(f"#{comment}")) and more[0] == "check":
                options = _merged(options, more[1].partition(" ")[0])
                break
        if rule in EXPERIMENTAL:
            is_on = options.experimental_all or rule in options.experimental
        else:
            is_on = not options.skips_all and rule not in options.skipped
        if is_on:
            self.found.append(Finding(rule, at, detail))

    def suggestion(self, name: str, known: Iterable[str], form: str) -> str:
        """Return the end of a sentence that names the known word nearest to a wrong one, or an empty text."""
        self._suggestions += 1
        near = nearest_name(name, known) if self._suggestions <= _MAX_SUGGESTIONS else ""
        return f" (did you mean {form}{near}?)" if near else ""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that differs from another in one or two characters, the first of those that differ least.

    It is empty where there is none, and where the name itself is known.
    """
    best, least = "", _MAX_DISTANCE + 1
    for other in known:
        if other == name:
            return ""
        if abs(len(other) - len(name)) < least and (distance := _distance(name, other)) < least:
            best, least = other, distance
    return best


def _distance(first: str, second: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(second) + 1))
    for index, character in enumerate(first, 1):
        before, row[0] = row[0], index
        for column, other in enumerate(second, 1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (character != other)),
            )
    return row[-1]


def _merged(options: CheckOptions, text: str) -> CheckOptions:
    try:
        more = check_options(text)
    except ValueError:
        return options
    return CheckOptions(
        options.skipped | more.skipped,
        options.skips_all or more.skips_all,
        options.experimental | more.experimental,
        options.experimental_all or more.experimental_all,
        options.is_error,
    )
