"""Files of a container through the engine's archive requests (Engine API, "Get information about files", "Archive").

The engine resolves paths inside the container's root itself. It speaks of modes in Go's words (`io/fs.FileMode`).
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import posixpath
import stat as stats
import tarfile
from typing import TYPE_CHECKING

from composer.backends.docker import failures
from composer.backends.docker.http import Broken
from composer.backends.docker.sdk import outgoing, send
from composer.engine.inspected import PathStat
from composer.errors import BackendError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from composer.backends.docker.client import Client
    from composer.backends.docker.http import Response
    from composer.backends.docker.sdk import Sdk

_HEADER = "x-docker-container-path-stat"
# Go's type bits, in the order in which they are looked at: a character device has two of them.
_KINDS = (
    (1 << 31, stats.S_IFDIR),
    (1 << 27, stats.S_IFLNK),
    (1 << 25, stats.S_IFIFO),
    (1 << 24, stats.S_IFSOCK),
    (1 << 21, stats.S_IFCHR),
    (1 << 26, stats.S_IFBLK),
)
_SPECIAL = ((1 << 23, stats.S_ISUID), (1 << 22, stats.S_ISGID), (1 << 20, stats.S_ISVTX))


def stat(client: Client, id: str, path: str) -> PathStat:
    """Look at a path. Raises NotFound."""
    response = _ask(client, "HEAD", id, path)
    response.read()
    return _stat_of(response)


def read(client: Client, id: str, path: str) -> tuple[PathStat, Pieces]:
    """Return a tar of a path."""
    response = _ask(client, "GET", id, path)
    return _stat_of(response), Pieces(client, response)


def _ask(client: Client, method: str, id: str, path: str) -> Response:
    try:
        return client.open(f"/containers/{id}/archive", {"path": path}, method=method)
    except NotFound as error:
        raise _not_found(path) from error
    except Unavailable:
        raise
    except BackendError as error:
        # "not a directory" has no status of its own, and an answer to HEAD no words
        if path.endswith(("/", "/.")) and (method == "HEAD" or "not a directory" in str(error)):
            raise _not_found(path) from error
        raise


def write(sdk: Sdk, id: str, path: str, archive: Iterable[bytes], *, to_user: bool) -> None:
    """Unpack a tar into a directory."""
    # the SDK's put_archive has none of these but the path
    query = {"path": path, "noOverwriteDirNonDir": "true", **({"copyUIDGID": "true"} if to_user else {})}
    headers = {"Content-Type": "application/x-tar"}
    try:
        with sdk.call(patient=True) as api:
            send(
                api,
                "put",
                "/containers/{0}/archive",
                id,
                params=query,
                data=outgoing(archive),
                headers=headers,
            )
    except NotFound as error:
        raise _not_found(path) from error


def empty(sdk: Sdk, id: str, path: str) -> None:
    """Remove all that is in a directory that a volume is mounted on.

    The API has no word for that. But a file of an archive that comes where a directory is makes the engine remove the
    directory with all below it first; and a mount point stays, empty, with an error. So the caller looks what is left.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(posixpath.basename(path)))
    query = {"path": posixpath.dirname(path)}
    headers = {"Content-Type": "application/x-tar"}
    with contextlib.suppress(BackendError), sdk.call(patient=True) as api:
        send(api, "put", "/containers/{0}/archive", id, params=query, data=made.getvalue(), headers=headers)


class Pieces:
    """An answer's body as it comes; the connection is let go of at the end, or by `close`."""

    def __init__(self, client: Client, response: Response) -> None:
        self._client, self._response = client, response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = self._response.read_some()
        except Broken as error:
            self.close()
            raise failures.lost(self._client.endpoint.url) from error
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        self._response.close()


def _not_found(path: str) -> NotFound:
    return NotFound(f"no such file or directory in the container: {path}")


def _stat_of(response: Response) -> PathStat:
    text = response.headers.get(_HEADER)
    if text is None:
        raise BackendError("the engine returned no information about the path")
    found = json.loads(base64.b64decode(text))
    return PathStat(
        str(found["name"]),
        int(found["size"]),
        posix_mode(int(found["mode"])),
        str(found.get("linkTarget") or ""),
    )


def posix_mode(mode: int) -> int:
    """Return st_mode for Go's file mode."""
    kind = next((posix for bit, posix in _KINDS if mode & bit), stats.S_IFREG)
    return kind | (mode & 0o777) | sum(posix for bit, posix in _SPECIAL if mode & bit)
