"""Answering a registry's challenge: basic, or a bearer token from the place that the challenge names.

https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/. Tokens are kept until shortly before
they expire; of threads that need the same one, the first fetches it. Credentials go over plain HTTP only to this
machine, or where the user has said that the registry is insecure.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from composer.errors import PullFailed
from composer.patterns import pattern
from composer.registry import credentials
from composer.registry.failures import RequestFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.registry.credentials import Credentials
    from composer.registry.settings import Settings
    from composer.registry.transport import Transport

_CLIENT = "composer"
_LEAST_LIFE_S = 60  # what the specification grants a token that states no time
_EARLY_S = 10.0
_MAX_ANSWER_BYTES = 1 << 20
_PARAMETER = pattern(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(NamedTuple):
    """One ``WWW-Authenticate`` header. ``scheme`` is in lower case."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """Return the challenges of these headers, in order. RFC 7235, section 4.1."""
    found = []
    for header in headers:
        for scheme, parameters in re.findall(
            r'(?:^|,)\s*(Bearer|Basic)\b((?:[^",]|"(?:[^"\\]|\\.)*"|,(?!\s*(?:Bearer|Basic)\b))*)',
            header,
            re.I,
        ):
            values: dict[str, str] = {}
            for key, quoted, plain in _PARAMETER.findall(parameters):
                values.setdefault(key.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)
            found.append(
                Challenge(
                    scheme.lower(),
                    values.get("realm", ""),
                    values.get("service", ""),
                    values.get("scope", ""),
                )
            )
    return found


class _Token(NamedTuple):
    value: str
    expires_s: float


class Auth:
    """What is known about how to talk to one registry. ``clock`` counts seconds."""

    def __init__(
        self, settings: Settings, transport: Transport, host: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._transport, self._host, self._clock = settings, transport, host, clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, str, str], _Token] = {}
        self._found: Credentials | None = None

    def header(self, scope: str) -> str:
        """Return the Authorization header for a request, as far as it is known already; else nothing."""
        with self._lock:
            if self._challenge is None:
                return ""
            return self._answer(self._challenge, scope)

    def challenged(self, headers: Sequence[str], scope: str, refused: str) -> str:
        """Return the header that answers a challenge; nothing when there is no other than the ``refused`` one.

        Raises PullFailed or RequestFailed.
        """
        with self._lock:
            known = parse_challenges(headers)
            challenge = next((c for c in known if c.scheme == "bearer" and c.realm), None)
            challenge = challenge or next((c for c in known if c.scheme == "basic"), None)
            if challenge is None:
                return ""
            self._challenge = challenge
            answer = self._answer(challenge, scope)
            if answer == refused and challenge.scheme == "bearer":
                # Another thread may have got this one long ago; the registry does not want it any more.
                self._tokens.pop(self._key(challenge, scope), None)
                answer = self._answer(challenge, scope)
            return "" if answer == refused else answer

    def complaint(self) -> str:
        """Return why there are no credentials, where there is a reason."""
        return self._found.complaint if self._found is not None and not self._found else ""

    def has_credentials(self) -> bool:
        return bool(self._found)

    # -------------------------------------------------------------- under the lock

    def _credentials(self) -> Credentials:
        if self._found is None:
            self._found = credentials.find(self._settings.docker, self._settings.environment, self._host)
        return self._found

    def _answer(self, challenge: Challenge, scope: str) -> str:
        if challenge.scheme == "basic":
            mine = self._credentials()
            return mine.basic() if mine.username else ""
        key = self._key(challenge, scope)
        token = self._tokens.get(key)
        if token is None or token.expires_s <= self._clock():
            token = self._tokens[key] = self._fetch(challenge, key[2])
        return f"Bearer {token.value}"

    def _key(self, challenge: Challenge, scope: str) -> tuple[str, str, str]:
        return challenge.realm, challenge.service, scope or challenge.scope

    def _fetch(self, challenge: Challenge, scope: str) -> _Token:
        mine = self._credentials()
        if mine:
            self._check_realm(challenge.realm)
        fields = {"service": challenge.service, "scope": scope}
        if mine.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": mine.identity_token,
                "client_id": _CLIENT,
                **fields,
            }
            response = self._transport.request(
                "POST",
                challenge.realm,
                {"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
            )
        else:
            # one parameter for each scope, as the specification has it
            pairs = [("service", challenge.service), *(("scope", one) for one in scope.split())]
            query = urlencode([pair for pair in pairs if pair[1]])
            url = f"{challenge.realm}{'&' if '?' in challenge.realm else '?'}{query}"
            private = {"Authorization": mine.basic()} if mine else {}
            response = self._transport.request("GET", url, private=private)
        status, body = response.status, response.body(_MAX_ANSWER_BYTES)
        if status in (400, 401, 403):
            raise PullFailed(
                f"authentication failed at {urlsplit(challenge.realm).netloc}"
                if mine
                else f"{self._host} requires authentication",
                hint=mine.complaint or f"run composer login {self._host}",
            )
        if status != 200:
            raise RequestFailed(f"{urlsplit(challenge.realm).netloc} returned no token (status {status})")
        return self._parsed(challenge.realm, body)

    def _parsed(self, realm: str, body: bytes) -> _Token:
        try:
            answer = json.loads(body)
            value = answer.get("token") or answer.get("access_token")
            lasts_s = float(answer.get("expires_in") or 0)
        except (ValueError, AttributeError, TypeError):
            value, lasts_s = None, 0.0
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
            raise PullFailed(f"{urlsplit(realm).netloc} returned an invalid token response")
        lasts_s = max(lasts_s, _LEAST_LIFE_S)
        return _Token(value, self._clock() + lasts_s - _EARLY_S)

    def _check_realm(self, realm: str) -> None:
        parts = urlsplit(realm)
        if parts.scheme != "https" and not self._settings.is_insecure(parts.netloc):
            raise PullFailed(
                f"{self._host} requests credentials to be sent to {parts.netloc} without encryption",
                hint=f'to allow this, set insecure = true for registry."{parts.netloc}" in config.toml',
            )
