"""Who we are to a registry, from Docker's config.json: helpers first, then what the file itself holds.

https://docs.docker.com/reference/cli/docker/login/#credential-stores. A helper is a program
``docker-credential-NAME`` that gets the registry's name on its standard input. One that fails is no reason to fail
a pull that needs no credentials: what it said becomes a hint when the registry then says no.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.registry.settings import Settings

_HUB = "https://index.docker.io/v1/"
_HELPER_S = 30.0
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"


class Credentials(NamedTuple):
    """``identity_token`` takes the place of a password where it is set. ``complaint``: why there are none."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    complaint: str = ""

    def __bool__(self) -> bool:
        return bool(self.identity_token or self.username)

    def basic(self) -> str:
        """Return the value of a header for HTTP's basic authentication."""
        text = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(text).decode('ascii')}"

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"  # never a secret in a traceback or a log


def find(settings: Settings, host: str) -> Credentials:
    """Return the credentials for a registry; empty ones when there are none."""
    server = _HUB if host == "docker.io" else host
    helpers = settings.docker.get("credHelpers")
    helper = helpers.get(server) or helpers.get(host) if isinstance(helpers, dict) else None
    helper = helper or settings.docker.get("credsStore")
    complaint = ""
    if isinstance(helper, str) and helper:
        found = _ask(helper, server, settings.environment)
        if found:
            return found
        complaint = found.complaint
    return _in_file(settings.docker.get("auths"), server)._replace(complaint=complaint)


def _in_file(auths: Any, server: str) -> Credentials:
    if not isinstance(auths, dict):
        return Credentials()
    entry = auths.get(server)
    if entry is None:
        # docker login of old wrote URLs where it writes hosts now
        wanted = _bare(server)
        entry = next((auths[key] for key in auths if _bare(str(key)) == wanted), None)
    if not isinstance(entry, dict):
        return Credentials()
    username, password = _text(entry, "username"), _text(entry, "password")
    if _text(entry, "auth"):
        try:
            decoded = base64.b64decode(_text(entry, "auth"), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return Credentials(complaint=f"the entry of '{server}' in docker's config.json is damaged")
        username, _, password = decoded.rstrip("\0").partition(":")
    return Credentials(username, password, _text(entry, "identitytoken"))


def _bare(server: str) -> str:
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _ask(helper: str, server: str, environment: Mapping[str, str]) -> Credentials:
    import shutil
    import subprocess

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", helper):
        return Credentials(complaint=f"'{helper}' is not a name of a credential helper")
    name = f"docker-credential-{helper}"
    program = shutil.which(name, path=environment.get("PATH"))
    if program is None:
        return Credentials(complaint=f"the credential helper '{name}' is not on PATH")
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_S,
            env=dict(environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Credentials(complaint=f"the credential helper '{name}' cannot be used: {error}")
    if done.returncode:
        said = (done.stdout or done.stderr).decode(errors="replace").strip().partition("\n")[0]
        if said.startswith(_NOT_FOUND):
            return Credentials()
        return Credentials(complaint=f"the credential helper '{name}' failed: {said or done.returncode}")
    try:
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        return Credentials(complaint=f"the credential helper '{name}' gave no JSON with Username and Secret")
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username, secret)
