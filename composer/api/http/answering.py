"""From a request to its endpoint: version, route, answer; and what goes wrong on the way."""

from __future__ import annotations

import importlib
import time
import traceback
from typing import TYPE_CHECKING
from urllib.parse import unquote

import h11

from composer import errors
from composer.api import routes
from composer.api.http.call import Call
from composer.api.http.problems import Problem, problem_of
from composer.api.http.wire import Gone
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.api.http.front import Asked
    from composer.api.world import World

NEWEST, OLDEST = (1, 51), (1, 40)
"""The versions of Docker's API that are spoken."""

_PREFIX = pattern(r"/v(\d{1,4})\.(\d{1,4})(/.*)")


def text_of(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def split_target(target: str) -> tuple[str, str]:
    """Return the path and the query of a request's target; of an absolute one without scheme and host."""
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        _, separator, behind = path.partition("://")
        path = f"/{behind.partition('/')[2]}" if separator else f"/{path}"
    return path, query


def split_version(path: str) -> tuple[tuple[int, int] | None, str]:
    """Return the version that a path begins with, None where it names none, and what follows."""
    found = _PREFIX.fullmatch(path)
    return ((int(found[1]), int(found[2])), found[3]) if found else (None, path)


class Answerer:
    """Answers requests with what a `World` has. Safe for threads."""

    def __init__(self, world: World, log: Callable[[str], None], *, verbose: bool = False) -> None:
        """``log`` is told of every request that changes something; with ``verbose`` of every one."""
        self._world, self._log, self._verbose = world, log, verbose
        self.count = 0
        """How many requests came, or about so many: threads may count at once."""

    def takes_upload(self, method: str, target: str) -> bool:
        found = routes.find(method, split_version(split_target(target)[0])[1])
        return found is not None and found.route.upload

    def serve(self, asked: Asked) -> bool:
        """Answer. Return whether the connection stays for another request."""
        began = time.monotonic()
        self.count += 1
        path, query = split_target(asked.request.target.decode("latin-1"))
        version, path = split_version(path)
        try:
            call = Call(
                self._world,
                asked.wire,
                asked.http,
                asked.request,
                path=unquote(path),
                query=query,
                version=version or NEWEST,
                body=asked.body,
            )
        except Problem as problem:
            call = Call(
                self._world, asked.wire, asked.http, asked.request, path=path, query="", version=NEWEST
            )
            self._answer_problem(call, problem)
        else:
            call.common = self._headers()
            self._answer(call, path, version)
        if self._verbose or call.method not in ("GET", "HEAD"):
            duration_ms = (time.monotonic() - began) * 1000
            self._log(f"{asked.peer} {call.method} {path} {call.status} {duration_ms:.0f} ms")
        if call.is_taken:
            return False
        if asked.http.our_state is h11.MUST_CLOSE or not call.pass_over_rest():
            asked.wire.linger()
            return False
        return True

    def _headers(self) -> list[tuple[str, str]]:
        return [
            ("Api-Version", text_of(NEWEST)),
            ("Docker-Experimental", "false"),
            ("Ostype", "linux"),
            ("Server", f"composer/{self._world.version} (linux)"),
        ]

    def _answer(self, call: Call, path: str, version: tuple[int, int] | None) -> None:
        try:
            self._check_version(version)
            found = routes.find(call.method, path)
            if found is None:
                raise Problem(404, "page not found")
            if found.route.refusal:
                raise Problem(found.route.refused_with, found.route.refusal)
            call.parameters = {name: unquote(value) for name, value in found.parameters.items()}
            result = _endpoint(found.route.endpoint)(call)
            if result is not None:
                call.answer(*result)
            elif not call.is_answered:
                call.answer(204)
        except Gone:
            raise
        except Exception as error:
            self._answer_problem(call, _what_is_gone(call, error))

    def _check_version(self, version: tuple[int, int] | None) -> None:
        if version is None:
            return
        if version > NEWEST:
            raise Problem(
                400,
                f"client version {text_of(version)} is too new. "
                f"Maximum supported API version is {text_of(NEWEST)}",
            )
        if version < OLDEST:
            raise Problem(
                400,
                f"client version {text_of(version)} is too old. Minimum supported API version is "
                f"{text_of(OLDEST)}, please upgrade your client to a newer version",
            )

    def _answer_problem(self, call: Call, error: Exception) -> None:
        problem = problem_of(error)
        if problem.status == 500 and not isinstance(error, (Problem, errors.ComposerError)):
            self._log("".join(traceback.format_exception(error)).rstrip())
        if not call.is_answered:
            call.answer(problem.status, {"message": problem.message})
        else:
            # The head has gone out: only the connection's end can say that this is not all.
            self._log(f"{call.method} {call.path}: {problem.message}")
            raise Gone from error


def _what_is_gone(call: Call, error: Exception) -> Exception:
    """Return what a client is told where its container was removed in the middle of a request."""
    if (
        isinstance(error, (OSError, errors.NotFound))
        and call.path.startswith("/containers/")
        and "id" in call.parameters
    ):
        try:
            call.world.container(call.parameters["id"])
        except Problem as gone:
            return gone
    return error


def _endpoint(name: str) -> Callable[[Call], Any]:
    """Return an endpoint's function; its module is imported when it is first asked for."""
    module_name, _, function = name.partition(":")
    # not from sys.modules: there, another thread's import may be half done
    module = importlib.import_module(f"composer.api.{module_name}")
    found: Callable[[Call], Any] = getattr(module, function)
    return found
