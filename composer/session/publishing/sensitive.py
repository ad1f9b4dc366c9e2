"""What looks like a password, a key or a token. The kinds are those that Docker Compose asks about.

A guess in both directions: it is there to make somebody look twice before a file goes to other people.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Sensitive(NamedTuple):
    """Something that should perhaps not be published. ``place`` is a file and a line."""

    kind: str
    key: str
    value: str
    place: str

    def __str__(self) -> str:
        """Return it without most of the value: a question must not be where it leaks."""
        shown = self.value.splitlines()[0][:4] if self.value else ""
        return f"{self.kind}\n{self.place}: {self.key or 'value'}: {shown}…"


def entropy(text: str) -> float:
    """Return how many bits of information a character of a text has."""
    counts = (text.count(letter) / len(text) for letter in set(text))
    return -sum(share * math.log2(share) for share in counts)


_NAMES = (
    r"(?:api|access|auth|service|account|db|database|priv|private|client)[-_]?key",
    r"(?:db|database|key)[-_]?pass",
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "contrase(?:ñ|n)a",
)
_NAME = pattern("|".join(_NAMES), re.I)
_LITERAL = pattern(r"[^${\s].+[^}\s]", re.DOTALL)
_LEAST_OF_A_PASSWORD = 4.0
_LEAST_OF_A_TEXT = 5.0
_WINDOW, _OVERLAP, _MOST_LOOKED_AT = 4096, 256, 1 << 20
"""Of a value, or of a line: what is looked at, a part at a time. Some patterns take the square of a part as time."""
_VARIABLE = pattern(r"\$\{[^}:?+-]*(?::?[-+?]([^}]*))?\}|\$[A-Za-z_]\w*")
_OPTION = pattern(r"(?:^|(?<=[\s'\"]))--?([A-Za-z][\w-]*)[= ]([^\s'\"]+)")
_COMMENT = pattern(r"(?:^|\s)#(.*)$")


def is_secret_name(name: str) -> bool:
    """Tell whether something of this name is kept to oneself."""
    return _NAME.search(name) is not None


def is_literal(value: str) -> bool:
    """Tell whether a value is there itself, and no variable stands for it. ``$$`` is a character."""
    return _LITERAL.fullmatch(value.replace("$$", "X").strip("'\"")) is not None


def _is_login(value: str) -> bool:
    try:
        return b":" in base64.b64decode(value.split()[-1].strip('"'), validate=True)[1:-1]
    except (binascii.Error, ValueError):
        return False


def _is_url_password(value: str) -> bool:
    found = re.search(r"://[^:\s]*:([^@:\s]+)@", value)
    return found is not None and not found[1].startswith("$")


def _is_random(value: str) -> bool:
    return not value.isdecimal() and entropy(value) > _LEAST_OF_A_TEXT


class _Kind(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool] | None = None


def _kind(name: str, *patterns: str, is_one: Callable[[str], bool] | None = None) -> _Kind:
    return _Kind(name, re.compile("|".join(patterns)), is_one)


_EDGE, _END = r"(?<![A-Za-z0-9+/_-])", r"(?![A-Za-z0-9+/_-])"
_KINDS = (
    _kind(
        "JFrog Artifactory credentials",
        rf"{_EDGE}(?:AKC[a-zA-Z0-9]{{10,}}|AP[0-9A-F][a-zA-Z0-9]{{8,}}){_END}",
    ),
    _kind(
        "AWS Client ID",
        rf"{_EDGE}(?:A3T[A-Z0-9]|AKIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ASIA)[A-Z0-9]{{16}}{_END}",
    ),
    _kind("AWS Secret Key", r"(?:AWS|aws).{0,20}['\"][0-9a-zA-Z/+]{40}['\"]"),
    _kind(
        "Amazon Marketplace Web Service (MWS) Key",
        r"amzn\.mws\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    _kind("Azure Storage Account access key", r"AccountKey=[a-zA-Z0-9+/=]{88}"),
    _kind(
        "HTTP Basic Authentication",
        r"(?i:basic) +[a-zA-Z0-9+/,_-]{2,}={0,2}",
        is_one=_is_login,
    ),
    _kind("HTTP Bearer Authentication", r"(?i:authorization\"? *[:=] *\"?bearer) +[a-zA-Z0-9+/,_.=-]{8,}"),
    _kind("Github authentication", r"gh[pousr]_[A-Za-z0-9_]{36}"),
    _kind("JSON Web Token", r"eyJ[A-Za-z0-9_=-]+\.eyJ[A-Za-z0-9_=-]+\.?[A-Za-z0-9_.+/=-]*"),
    _kind("Mailchimp API Key", rf"{_EDGE}[0-9a-f]{{32}}-us[0-9]{{1,2}}{_END}"),
    _kind("npm auth token", r"//\S+/:_authToken=[^${\s]\S+", r"npm_[a-zA-Z0-9]{36}"),
    _kind("Private Key", r"PuTTY-User-Key-File-", r"-----BEGIN[ \S]*?PRIVATE KEY(?: BLOCK)?-----"),
    _kind("Sendgrid API key", r"SG\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9_-]{43}"),
    _kind(
        "Slack token",
        r"(?:(?:xoxe\.)?xox[bp]|xox[aeosr]|xapp)-\d+-[-a-zA-Z0-9]+",
        r"https://hooks\.slack\.com/services/T\w+/B\w+/\w+",
    ),
    _kind("Square authentication", r"sq0atp-[0-9A-Za-z\\_-]{22}", r"sq0csp-[0-9A-Za-z\\_-]{43}"),
    _kind("Stripe API key", r"[rs]k_(?:live|test)_[0-9a-zA-Z]{24}"),
    _kind("Twilio authentication", rf"{_EDGE}(?:AC|SK)[0-9a-fA-F]{{32}}{_END}"),
    _kind(
        "URL with password",
        r"[a-z][a-z0-9+.-]{1,30}://[^:\s]*:[^@:\s]+@[^\s'\"\];]+",
        is_one=_is_url_password,
    ),
    _kind("High entropy string", rf"{_EDGE}[a-zA-Z0-9+/_-]{{16,}}={{0,2}}", is_one=_is_random),
)


def in_value(key: str, value: str, place: str) -> Sensitive | None:
    """Return what a value looks like; None where it looks harmless. Of a variable its default counts."""
    for start in range(0, min(len(value), _MOST_LOOKED_AT) or 1, _WINDOW - _OVERLAP):
        part = value[start : start + _WINDOW]
        for kind in _KINDS:
            for found in kind.pattern.finditer(part):
                if kind.is_one is None or kind.is_one(found[0]):
                    return Sensitive(kind.name, key, found[0], place)
    plain = _without_variables(value[:_WINDOW])
    if is_secret_name(key) and is_literal(plain) and entropy(plain) >= _LEAST_OF_A_PASSWORD:
        return Sensitive("Keyword Detector", key, plain, place)
    return next(
        (
            Sensitive("Keyword Detector", option, given, place)
            for option, given in _OPTION.findall(value[:_WINDOW])
            if is_secret_name(option) and is_literal(given) and entropy(given) >= _LEAST_OF_A_PASSWORD
        ),
        None,
    )


def _without_variables(value: str) -> str:
    """Return what of a value is in the file itself: the text around variables, and their defaults."""
    return _VARIABLE.sub(lambda found: found[1] or "", value.replace("$$", "X"))


def in_comments(text: str, name: str) -> Iterator[Sensitive]:
    """Yield what is in the comments of a YAML file: they are published, too."""
    for number, line in enumerate(text.splitlines(), 1):
        comment = _COMMENT.search(line[:_MOST_LOOKED_AT])
        if comment is not None:
            yield from in_text(comment[1].strip(), name, number)


_PAIR = pattern(r"""\s*(?:export\s+)?["']?([\w.\[\]~$/-]+)["']?\s*[:=]\s*["']?(.*?)["']?\s*,?\s*""")


def in_text(text: str, name: str, first: int = 1) -> Iterator[Sensitive]:
    """Yield what is in a file of pairs, or in any text, line by line; ``first`` is the number of its first line."""
    for number, line in enumerate(text.splitlines(), first):
        line = line[:_MOST_LOOKED_AT]
        pair = _PAIR.fullmatch(line)
        found = in_value(pair[1], pair[2], f"{name}:{number}") if pair else None
        found = found or in_value("", line.strip(), f"{name}:{number}")
        if found is not None:
            yield found
