"""The key that seals values of secrets in labels: of this machine's state directory, readable by its owner only."""

from __future__ import annotations

import _thread
import os

from composer.errors import PermissionDenied

_KEY_BYTES = 32


def read(directory: str) -> bytes:
    """Return the key, made on first use. Raises PermissionDenied where it can neither be read nor kept."""
    path = os.path.join(directory, "label.key")
    try:
        with open(path, "rb") as file:
            key = file.read()
        if len(key) == _KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _no_key(path, error) from None
    try:
        return _make(path)
    except OSError as error:
        raise _no_key(path, error) from None


def _no_key(path: str, error: OSError) -> PermissionDenied:
    return PermissionDenied(
        f"cannot keep the key for secrets in labels at '{path}': {(error.strerror or str(error)).lower()}",
        hint="set COMPOSER_ROOT to a directory that you may write to",
    )


def _make(path: str) -> bytes:
    """Write a new key beside its place and link it there: of two commands at once, one wins and both read it."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{_thread.get_ident()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another command was faster: its key is the key
    finally:
        os.unlink(temporary)
    with open(path, "rb") as file:
        key = file.read()
    if len(key) != _KEY_BYTES:
        # cut short by a full disk: it has sealed nothing that can still be compared
        os.unlink(path)
        return _make(path)
    return key
