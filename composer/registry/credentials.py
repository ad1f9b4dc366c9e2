"""Who we are to a registry, from Docker's config.json: helpers first, then what the file itself holds.

https://docs.docker.com/reference/cli/docker/login/#credential-stores. A helper is a program ``docker-credential-NAME``
that gets the registry's name on its standard input. Both backends ask here, so both say the same: one that fails is no
reason to fail a pull that needs no credentials; what it said becomes a hint when the registry then says no.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import userconfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB = "https://index.docker.io/v1/"
_PREFIX = "docker-credential-"
_HELPER_S = 30.0
TOKEN_USER = "<token>"
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

    def document(self, server: str) -> dict[str, str]:
        """Return them as Docker's API wants them: empty when there are none."""
        if self.identity_token:
            return {"serveraddress": server, "identitytoken": self.identity_token}
        return (
            {"serveraddress": server, "username": self.username, "password": self.password}
            if self.username
            else {}
        )

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"  # never a secret in a traceback or a log


def server_of(host: str) -> str:
    """Return the name that Docker keeps a registry's credentials under."""
    return _HUB if host == "docker.io" else host


def find(docker: Mapping[str, Any], environment: Mapping[str, str], host: str) -> Credentials:
    """Return the credentials for a registry, by Docker's configuration; empty ones when there are none."""
    server = server_of(host)
    given = _in_file(docker.get(userconfig.GIVEN), server)
    if given:
        return given
    helper = helper_of(docker, host)
    complaint = ""
    if helper:
        found = _ask(helper, server, environment)
        if found:
            return found
        complaint = found.complaint
    found = _in_file(docker.get("auths"), server)
    return found._replace(complaint=complaint or found.complaint)


def helper_of(docker: Mapping[str, Any], host: str) -> str:
    """Return the helper that keeps a registry's credentials; nothing where the file does."""
    own, store = _helpers(docker)
    return own.get(server_of(host)) or own.get(host) or store


def every(docker: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[dict[str, Credentials], str]:
    """Return all credentials that there are, by the server as Docker writes it, and why some are missing."""
    auths = docker.get("auths")
    own, store = _helpers(docker)
    found = {server: _in_file(auths, server) for server in (auths if isinstance(auths, dict) else ())}
    complaints = [one.complaint for one in found.values()]
    asked, complaint = _listed(store, environment) if store else ({}, "")
    complaints.append(complaint)
    for server, helper in {**asked, **own}.items():
        answer = _ask(helper, server, environment)
        complaints.append(answer.complaint)
        if answer:
            found[server] = answer
    given = docker.get(userconfig.GIVEN)
    found.update((server, _in_file(given, server)) for server in (given if isinstance(given, dict) else ()))
    return {server: one for server, one in found.items() if one}, next(filter(None, complaints), "")


def troubles(docker: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the helpers that a configuration names, without asking them for anything."""
    own, store = _helpers(docker)
    names = sorted({*own.values(), *([store] if store else ())})
    return [trouble for name in names if (trouble := _program(name, environment)[1])]


def _helpers(docker: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Return the helpers of single servers, and the one for all others, if there is one."""
    own, store = docker.get("credHelpers"), docker.get("credsStore")
    pairs = own.items() if isinstance(own, dict) else ()
    return (
        {server: helper for server, helper in pairs if isinstance(helper, str) and helper},
        store if isinstance(store, str) else "",
    )


def _in_file(auths: Any, server: str) -> Credentials:
    if not isinstance(auths, dict):
        return Credentials()
    entry = auths.get(server)
    if entry is None:
        # docker login of old wrote URLs where it writes hosts now
        wanted = bare(server)
        entry = next((auths[key] for key in auths if bare(str(key)) == wanted), None)
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


def bare(server: str) -> str:
    """Return a server's host, however Docker has written the server."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _ask(helper: str, server: str, environment: Mapping[str, str]) -> Credentials:
    text, complaint = run_helper(helper, "get", server, environment)
    if complaint or not text:
        return Credentials(complaint=complaint)
    try:
        answer = json.loads(text)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        return Credentials(
            complaint=f"the credential helper '{_PREFIX}{helper}' returned invalid output "
            "(expected JSON with Username and Secret)"
        )
    if username == TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username, secret)


def _listed(helper: str, environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the servers that a helper knows, each with the helper's name, and what is wrong with it."""
    text, complaint = run_helper(helper, "list", "", environment)
    try:
        return dict.fromkeys(json.loads(text or b"{}").keys(), helper), complaint
    except (ValueError, AttributeError):
        return (
            {},
            f"the credential helper '{_PREFIX}{helper}' returned invalid output (expected a JSON object of servers)",
        )


def run_helper(helper: str, verb: str, text: str, environment: Mapping[str, str]) -> tuple[bytes, str]:
    """Return what a helper answers, and what is wrong with it; neither where it knows of nothing."""
    import subprocess

    program, complaint = _program(helper, environment)
    if complaint:
        return b"", complaint
    name = f"{_PREFIX}{helper}"
    try:
        done = subprocess.run(
            [program, verb],
            input=text.encode(),
            capture_output=True,
            timeout=_HELPER_S,
            env=dict(environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return b"", f"cannot run the credential helper '{name}': {error}"
    if done.returncode:
        said = (done.stdout or done.stderr).decode(errors="replace").strip().partition("\n")[0]
        if said.startswith(_NOT_FOUND):
            return b"", ""
        return b"", f"the credential helper '{name}' failed: {said or done.returncode}"
    return done.stdout, ""


def _program(helper: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return a helper's file, and what is wrong where there is none."""
    import shutil

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", helper):
        return "", f"invalid credential helper name '{helper}'"
    found = shutil.which(f"{_PREFIX}{helper}", path=environment.get("PATH"))
    return found or "", "" if found else f"credential helper '{_PREFIX}{helper}' not found in PATH"
