"""Where another loader differs from composer's: which one, what the difference looks like, and why it is so.

A difference that no entry explains is a mistake of somebody's: of ours, until it is known whose.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, ...]
LATER: Version = (1_000_000,)


class Reason(NamedTuple):
    """A kind of difference: ``pattern`` is looked for in ``case: place: words``.

    Versions have it from ``since`` on, and those from ``before`` on do not. Where it is ``hashed``, the form of hashes
    knows of it (`composer.engine.resolving.hashing`), so that hashes are equal nevertheless.
    """

    kind: str
    pattern: str
    since: Version
    before: Version
    why: str
    hashed: bool = False


V2, V5, V5_2, V5_4, V5_6 = (2,), (5,), (5, 2), (5, 4), (5, 6)

REASONS: tuple[Reason, ...] = (
    # what 5.5 does, and so composer, and 2.40 does not
    Reason(
        "`bind.create_host_path`", r"\.bind\.create_host_path: ", V2, V5,
        "2.40 prints it where it is true, 5.5 where it is false", hashed=True,
    ),
    Reason(
        "`label_file`", r"\.label_file: should not be there", V2, V5_4,
        "5.5 prints it beside the labels that were read; so it is in the hashes of labels, of 2.40 too", hashed=True,
    ),
    Reason(
        "`ipam.options`", r"\.ipam\.options: should not be there", V2, V5_2,
        "2.40 accepts and drops them", hashed=True,
    ),
    Reason("`pre_start`", r"'pre_start' not allowed", V2, (5, 3), "2.40 does not support it"),
    Reason(
        "`umask`", r"'umask' not allowed", V2, (5, 7),
        "5.5 does not support it either; composer reads a number, as 5.7 does",
    ),
    Reason(
        r"`\n` and `\t` in commands", r"command-escapes: .*command", V2, V5_2,
        "5.5 reads them as a line's end and a tab, 2.40 as letters",
    ),
    Reason(
        "a negative size in quotes", r"invalid size: '-\d+'", V2, V5, "5.5 reads it as the number",
    ),
    Reason(
        "an IPv6 address without brackets in `ports`", r"too many colons in address", V2, V5, "5.5 reads it",
    ),
    Reason(
        "empty lists under `x-`", r"\.x-.*: is \[\], should be null", V2, V5, "2.40 prints null in JSON",
    ),
    Reason(
        "a variable for `depends_on.required`", r"depends_on\.\w+\.required must be a boolean", V2, V5_6,
        "5.5 reads `true` in it as a boolean",
    ),
    # what 5.5 does and composer does not
    Reason(
        "`pid: null`", r"attr-pid-null: accepted, .*(is nil, not string|pluginMain)", V2, LATER,
        "the others crash, though their schema admits null",
    ),
    Reason(
        "infinite numbers in `environment`", r"unsupported value: \+Inf", V5, LATER,
        "a string, as in 2.40; from 5.0 on, values are converted to JSON for the schema, and JSON has no such number",
    ),
    Reason(
        "dates", r"not the date \d", V5, LATER,
        "refused, as in 2.40; 5.5 makes `2020-01-01 00:00:00 +0000 UTC` of one in `environment`, and crashes elsewhere",
    ),
    Reason(
        "a null on top of what is extended", r"extends-file-networks-null: .* must be a array", V5, V5_6,
        "adds nothing, as in 2.40 and again in 5.6",
    ),
    Reason(
        "what two included files have from one that both extend", r"include-twice-lists: .* are equal", V5, V5_6,
        "counts once, as in 2.40 and again in 5.6",
    ),
    # what is new in 5.6: composer does what 2.40 and 5.5 do
    Reason(
        "`pre_start` with all that a container has", r"\.pre_start\[\d+\]\.\w+: missing", V5_6, LATER,
        "5.6 prints the service's attributes in each hook; composer, as 5.5, the image alone, and applies the others",
    ),
    Reason(
        "`pull_refresh_after`", r"\.pull_refresh_after: missing", V5_6, LATER,
        "5.6 prints it, and does nothing with it", hashed=True,
    ),
    Reason(
        "items that two files have alike",
        r"(plain-append: .* should be \[|items 1 and 2 of '.*' are equal)", V5_6, LATER,
        "twice, or refused where items are unique, as in 2.40 and 5.5; 5.6 leaves one out",
    ),
    Reason(
        "half a limit on top of a whole one", r"files-ulimits-partial: refused", V5_6, LATER,
        "refused, as in 2.40 and 5.5; 5.6 merges the two",
    ),
    Reason(
        "names of networks with a space", r"networks additional properties '.*' not allowed", V5_6, LATER,
        "accepted, as in 2.40 and 5.5: stacks have them",
    ),
    Reason(
        "a build that needs a service of a profile that is not active",
        r"profiles-context-disabled: refused", V5_6, LATER,
        "refused, as in 2.40 and 5.5; 5.6 fails when it builds",
    ),
)  # fmt: skip


def reason_for(difference: str, version: Version) -> Reason | None:
    """Return what explains a difference from a version; None where nothing does."""
    known = (one for one in REASONS if one.since <= version < one.before)
    return next((one for one in known if re.search(one.pattern, difference, re.DOTALL)), None)
