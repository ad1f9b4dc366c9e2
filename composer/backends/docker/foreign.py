"""What the Docker SDK raises, and what the libraries below it do, as our errors. Nothing else knows their classes.

The SDK hands on what it meets: a refusal of the engine is its `APIError`, whose status and sentence are read as those
of any answer (`failures`); a connection that fails is an error of requests or of urllib3, in which the system's own is
somewhere; a connection that ends while a stream is read may be one of http.client.
"""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends.docker import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.backends.docker.endpoint import Endpoint
    from composer.errors import BackendError


class SourceFailed(Exception):
    """What a request's body is made from failed, for the reason that is its cause: no error of the connection's."""


@contextmanager
def translated(place: Endpoint, timeout_s: float) -> Iterator[None]:
    """Turn what the Docker SDK raises within into one of our errors. ``timeout_s``: how long it waits for an answer.

    What is none of its errors goes on as it is: an error of ours, of a body's source, of a program.
    """
    try:
        yield
    except errors.ComposerError:
        raise
    except SourceFailed as failed:
        assert failed.__cause__ is not None
        raise failed.__cause__ from None
    except Exception as error:
        ours = translation(error, place, timeout_s)
        if ours is None:
            raise
        raise ours from error


def translation(error: Exception, place: Endpoint, timeout_s: float) -> BackendError | None:
    """Return our error for one of theirs; None for what is none of theirs."""
    import http.client

    import docker.credentials.errors as credentials
    import docker.errors as sdk
    import requests
    import urllib3.exceptions as transport

    if isinstance(error, KeyError | TypeError) and isinstance(error.__context__, requests.HTTPError):
        # the SDK takes each refusal that is JSON for an object with a message
        error = error.__context__
    if isinstance(error, requests.HTTPError):
        return _of_answer(error)
    if isinstance(error, requests.exceptions.InvalidJSONError | json.JSONDecodeError):
        return failures.unreadable(place.url)
    if isinstance(error, TimeoutError):
        return failures.slow(place.url, timeout_s)
    connections = (requests.RequestException, transport.HTTPError, transport.ProxySchemeUnsupported)
    streams = (http.client.HTTPException, sdk.StreamParseError, ConnectionError)
    if isinstance(error, (*connections, *streams)):
        return _of_connection(error, place, timeout_s)
    for name, make in _KINDS.items():
        if isinstance(error, getattr(sdk, name)):
            return make(failures.tidy(str(error)))
    if isinstance(error, credentials.StoreError):
        return errors.PermissionDenied(failures.tidy(str(error)))
    return None


_KINDS: dict[str, Callable[..., BackendError]] = {
    "BuildError": errors.BuildFailed,
    "ImageLoadError": errors.ImageError,
    "NullResource": errors.NotFound,
    "TLSParameterError": errors.Unavailable,
    "InvalidVersion": errors.Unavailable,
    "InvalidConfigFile": errors.Unavailable,
    "ContextException": errors.Unavailable,
    "ContextNotFound": errors.Unavailable,
    "DockerException": errors.BackendError,  # all that have no better row
}
"""By the name of a class in ``docker.errors``, the first that fits."""


def _of_answer(error: Any) -> BackendError:
    """Return the error for a refusal, by the answer's status and sentence; the SDK's words are left out."""
    answer, sentence = error.response, getattr(error, "explanation", None)
    if answer is None:
        return failures.said(sentence or str(error))
    if sentence:
        return failures.said(str(sentence), answer.status_code)
    return failures.refused(answer.status_code, answer.content)


def _of_connection(error: BaseException, place: Endpoint, timeout_s: float) -> BackendError:
    """Return the error for a connection that was not made, or that ended: the reason is somewhere within."""
    import ssl

    import requests
    import urllib3.exceptions as transport

    wrong = requests.exceptions
    found = list(_causes(error))
    rows: tuple[tuple[tuple[type[BaseException], ...], Callable[[Any], BackendError]], ...] = (
        (
            (requests.ReadTimeout, transport.ReadTimeoutError),
            lambda _: failures.slow(place.url, timeout_s),
        ),
        (
            (wrong.SSLError, transport.SSLError, ssl.SSLError),
            lambda cause: failures.unsafe(place.url, place.tls or "", str(list(_causes(cause))[-1])),
        ),
        (
            (PermissionError, FileNotFoundError, ConnectionRefusedError, socket.gaierror),
            lambda cause: failures.unreachable(place.url, cause),
        ),
        (
            (requests.ConnectTimeout, transport.NewConnectionError, transport.ConnectTimeoutError),
            lambda _: failures.unreachable(place.url, OSError(0, "it cannot be reached")),
        ),
        (
            (wrong.InvalidURL, wrong.InvalidSchema, wrong.MissingSchema, transport.LocationValueError),
            lambda _: failures.no_address(place.url),
        ),
    )
    for kinds, make in rows:
        for cause in found:
            if isinstance(cause, kinds):
                return make(cause)
    return failures.lost(place.url)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was made of: it is handed on as cause, as argument, or as reason."""
    pending: list[BaseException] = [error]
    seen: list[BaseException] = []
    while pending:
        one = pending.pop(0)
        if any(one is other for other in seen):
            continue
        seen.append(one)
        yield one
        found = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        pending += [other for other in found if isinstance(other, BaseException)]
