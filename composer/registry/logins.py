"""Logging in to a registry and out of it: what it says of credentials, and where they are kept.

The place is Docker's config.json, or the credential helper that it names, so that every tool that reads it knows
them. https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from composer import userconfig
from composer.errors import ImageError, LoginFailed
from composer.patterns import pattern
from composer.registry import credentials
from composer.registry.auth import parse_challenges
from composer.registry.endpoint import Endpoint, discard, errors_in
from composer.registry.failures import RequestFailed, backoff_s
from composer.registry.registry import TRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.registry.auth import Challenge
    from composer.registry.credentials import Credentials
    from composer.registry.settings import Settings
    from composer.registry.transport import Response, Transport

HUB = "docker.io"
_HOST = pattern(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_NAMES_OF_THE_HUB = ("", HUB, "index.docker.io", "registry-1.docker.io")
_CLIENT = "composer"
_MAX_ANSWER_BYTES = 1 << 20
_TOKEN = pattern(r"[\x21-\x7e]+")


class Kept(NamedTuple):
    """Where credentials are: in a helper of this name, or else in the file, which is not encrypted."""

    path: str
    helper: str = ""


def host_of(server: str) -> str:
    """Return a registry's host, as the names of images have it, from what people write. Raises LoginFailed."""
    bare = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if bare in _NAMES_OF_THE_HUB:
        return HUB
    if not _HOST.fullmatch(bare):
        raise LoginFailed(f"invalid registry '{server}'", hint="use HOST[:PORT]")
    return bare


# ------------------------------------------------------------------ what the registry says


def check(
    settings: Settings,
    transport: Transport,
    host: str,
    mine: Credentials,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Credentials:
    """Return the credentials to keep: those given, or the identity token that the registry gives for them.

    Raises LoginFailed.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _Checking(settings, transport, host, mine).run()
        except RequestFailed as error:
            if attempt == TRIES or not error.is_transient:
                raise LoginFailed(f"cannot log in to {host}: {error}", hint=error.hint) from error
            pause(backoff_s(attempt, error.retry_after))
        except ImageError as error:
            raise LoginFailed(f"cannot log in to {host}: {error}", hint=error.hint) from error
    raise AssertionError("the last try returns or raises")


class _Checking:
    def __init__(self, settings: Settings, transport: Transport, host: str, mine: Credentials) -> None:
        self._settings, self._transport, self._host, self._mine = settings, transport, host, mine
        self._url = f"{Endpoint(settings, transport, host, None).root()}/v2/"

    def run(self) -> Credentials:
        response = self._transport.request("GET", self._url)
        if response.status == 200:
            discard(response)
            return self._mine  # whoever comes is let in
        if response.status != 401:
            raise self._unexpected(response)
        discard(response)
        known = parse_challenges(response.challenges)
        challenge = next((c for c in known if c.scheme == "bearer" and c.realm), None)
        kept = self._mine
        if challenge is not None:
            token, identity = self._token(challenge)
            answer = f"Bearer {token}"
            if identity:
                kept = kept._replace(password="", identity_token=identity)
        elif any(c.scheme == "basic" for c in known):
            answer = self._mine.basic()
        else:
            raise LoginFailed(f"cannot log in to {self._host}: it asks for no login that is known")
        response = self._transport.request("GET", self._url, private={"Authorization": answer})
        if response.status in (401, 403):
            discard(response)
            raise self._refused()
        if response.status != 200:
            raise self._unexpected(response)
        discard(response)
        return kept

    def _token(self, challenge: Challenge) -> tuple[str, str]:
        """Return a token for no repository, and the identity token that may come with it."""
        realm, mine = challenge.realm, self._mine
        if urlsplit(realm).scheme != "https" and not self._settings.is_insecure(urlsplit(realm).netloc):
            raise LoginFailed(
                f"cannot log in to {self._host}: it requests credentials to be sent to "
                f"{urlsplit(realm).netloc} without encryption",
                hint=f'to allow this, set insecure = true for registry."{urlsplit(realm).netloc}" in config.toml',
            )
        if mine.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": mine.identity_token,
                "service": challenge.service,
                "client_id": _CLIENT,
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._transport.request("POST", realm, kind, body=urlencode(form).encode())
        else:
            fields = {
                "account": mine.username,
                "client_id": _CLIENT,
                "offline_token": "true",
                "service": challenge.service,
            }
            query = urlencode({key: value for key, value in fields.items() if value})
            url = f"{realm}{'&' if '?' in realm else '?'}{query}"
            response = self._transport.request("GET", url, private={"Authorization": mine.basic()})
        if response.status in (400, 401, 403):
            discard(response)
            raise self._refused()
        if response.status != 200:
            raise self._unexpected(response)
        return self._parsed(response)

    def _parsed(self, response: Response) -> tuple[str, str]:
        try:
            answer = json.loads(response.body(_MAX_ANSWER_BYTES))
            token = answer.get("token") or answer.get("access_token")
            identity = answer.get("refresh_token") or self._mine.identity_token
        except (ValueError, AttributeError, RecursionError):
            token = identity = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise LoginFailed(f"cannot log in to {self._host}: {response.place} returned an invalid token")
        return token, identity if isinstance(identity, str) else ""

    def _refused(self) -> LoginFailed:
        return LoginFailed(
            f"cannot log in to {self._host}: incorrect username or password",
            hint="check both; some registries want an access token as the password",
        )

    def _unexpected(self, response: Response) -> ImageError | LoginFailed:
        status, said = response.status, errors_in(response)
        if status >= 500 or status == 429:
            after = response.headers.get("retry-after", "")
            return RequestFailed(f"{response.place} returned status {status}{said}", retry_after=after)
        return LoginFailed(
            f"cannot log in to {self._host}: {response.place} returned status {status}{said}",
            hint="check that it is a registry",
        )


# ------------------------------------------------------------------ where they are kept


def keep(environment: Mapping[str, str], host: str, mine: Credentials) -> Kept:
    """Write credentials where Docker keeps them; return where that is. Raises LoginFailed or ProjectError."""
    from composer.registry import dockerconfig

    server = credentials.server_of(host)
    path = userconfig.docker_path(environment)
    helper = credentials.helper_of(dockerconfig.read(path), host)
    if helper:
        secret = {
            "ServerURL": server,
            "Username": credentials.TOKEN_USER if mine.identity_token else mine.username,
            "Secret": mine.identity_token or mine.password,
        }
        complaint = credentials.run_helper(helper, "store", json.dumps(secret), environment)[1]
        if complaint:
            raise LoginFailed(f"cannot store the credentials for {host}: {complaint}")
    entry: dict[str, str] = {}
    if not helper:
        entry["auth"] = base64.b64encode(f"{mine.username}:{mine.password}".encode()).decode("ascii")
        if mine.identity_token:
            entry["identitytoken"] = mine.identity_token

    def put(auths: dict[str, Any]) -> None:
        _drop(auths, server)
        auths[server] = entry

    dockerconfig.change_auths(path, put)
    return Kept(path, helper)


def forget(environment: Mapping[str, str], host: str) -> str:
    """Remove the credentials for a registry; return what a helper complains of. Raises ProjectError."""
    from composer.registry import dockerconfig

    server = credentials.server_of(host)
    path = userconfig.docker_path(environment)
    found = dockerconfig.read(path)
    helper = credentials.helper_of(found, host)
    complaint = credentials.run_helper(helper, "erase", server, environment)[1] if helper else ""
    if found:
        dockerconfig.change_auths(path, lambda auths: _drop(auths, server))
    return complaint


def _drop(auths: dict[str, Any], server: str) -> None:
    """Remove a server's entry in all forms in which Docker wrote it: with a scheme, and without."""
    for key in [key for key in auths if credentials.bare(key) == credentials.bare(server)]:
        del auths[key]
