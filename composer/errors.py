"""Every error that composer raises on purpose, and the place in a file that it points at.

    ComposerError(message, hint)                 exit code 1
    ├── ConfigError(at: Mark | None)             the compose files are wrong
    │   ├── YamlError
    │   ├── InterpolationError
    │   ├── SchemaError
    │   ├── MergeError
    │   └── CycleError
    ├── ProjectInvalid(errors)                   all ConfigErrors of a project, in file order
    ├── ProjectError                             the command does not fit the project
    │   ├── UnknownService
    │   ├── NoComposeFile
    │   └── DisabledService
    ├── CopyFailed                               files cannot be copied
    ├── LoginFailed                              a registry does not accept credentials, or they cannot be kept
    ├── OutputFailed                             the output of a command cannot be written
    ├── EngineError                              a plan could not be carried out
    │   ├── OperationFailed(operation, cause)
    │   ├── MachineFailed                        a full disk, a file of somebody else
    │   ├── DependencyFailed
    │   ├── ProviderFailed                       the program that provides a service failed
    │   ├── Timeout
    │   ├── Unhealthy
    │   └── Cancelled                            exit code 130
    └── BackendError                             a backend failed or refused an operation
        ├── NotFound
        ├── Conflict
        ├── Unavailable
        ├── Unsupported(feature)
        ├── PermissionDenied
        ├── StartFailed(exit_code)               125, 126 or 127 as Docker has them; 1 in an operation
        └── ImageError
            ├── PullFailed
            ├── PushFailed
            └── BuildFailed
                └── DockerfileInvalid(faults)

Data is in attributes, text in ``__str__``. Messages are one line, lower case, the subject in quotes, and
say in ``hint`` what to do about it. Anything else that escapes to the command line is a bug.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Mark(NamedTuple):
    """Where a value was written. ``line`` and ``column`` count from 1; 0 means that the place is not in a file.

    ``why`` says how the value came to be there when it was not simply written: ``"default"``,
    ``"environment variable DEBUG"``, ``"--scale"``.
    """

    file: str
    line: int = 0
    column: int = 0
    why: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place} ({self.why})" if self.why and place else self.why or place


class ComposerError(Exception):
    """The root of the tree. ``hint`` is the remedy, shown on its own line."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ConfigError(ComposerError):
    """A compose file is invalid.

    ``path`` is the place in the model (``("services", "web", "ports", 0)``), ``chain`` the marks that led there
    through include, extends or interpolation, innermost first.
    """

    def __init__(
        self,
        message: str,
        *,
        at: Mark | None = None,
        path: tuple[str | int, ...] = (),
        hint: str | None = None,
        chain: tuple[Mark, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.at = at
        self.path = path
        self.chain = chain

    def __str__(self) -> str:
        return f"{self.at}: {self.message}" if self.at else self.message


class YamlError(ConfigError):
    """The file is not valid YAML, or uses YAML that Compose does not support."""


class InterpolationError(ConfigError):
    """A variable (``${…}``) cannot be interpolated."""


class SchemaError(ConfigError):
    """A value has the wrong type, or an attribute is unknown."""


class MergeError(ConfigError):
    """Two files cannot be merged."""


class CycleError(ConfigError):
    """A circular dependency: by depends_on, extends, include or links."""


class ProjectInvalid(ComposerError):
    """A project is invalid. ``errors`` has all errors in file order and is never empty."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{errors[0]}{more}")
        self.errors = errors


class ProjectError(ComposerError):
    """The command does not fit the project, such as an unknown service or an invalid project name."""


class UnknownService(ProjectError):
    """No service has this name."""


class NoComposeFile(ProjectError):
    """No compose file was found or given."""


class DisabledService(ProjectError):
    """The service is defined, but not enabled by any active profile."""


class CopyFailed(ComposerError):
    """Files cannot be copied: a tree cannot be read, or an archive cannot be unpacked at its destination."""


class LoginFailed(ComposerError):
    """A registry does not accept credentials, or they cannot be kept."""


class OutputFailed(ComposerError):
    """The output of a command cannot be written: the disk is full, or the terminal was closed."""


class EngineError(ComposerError):
    """A plan could not be executed."""


class MachineFailed(EngineError):
    """An operating system limit: a full or read-only disk, missing permissions, no free file descriptors."""


_REMEDIES = {
    errno.ENOSPC: "free disk space, for example with composer image prune",
    errno.EDQUOT: "free space within the quota, or raise the quota",
    errno.EROFS: "use a writable directory, or mount this file system read-write",
    errno.EACCES: "run composer as the owner of this file, or change its mode",
    errno.EPERM: "run composer as root",
    errno.EIO: "check the kernel log (dmesg) for disk errors",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the kernel setting fs.file-max",
    errno.ENOMEM: "free some memory",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.ELOOP: "check the symbolic links of this path for a loop",
}


def of_the_machine(error: BaseException) -> BaseException:
    """Return an OSError with a known remedy as `MachineFailed`, any other error unchanged."""
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return error
    name = error.filename if error.filename is not None else ""
    where = f" '{os.fsdecode(name)}'" if isinstance(name, str | bytes) and name else ""
    reason = os.strerror(error.errno).lower()
    return MachineFailed(f"cannot use{where or ' a file'}: {reason}", hint=_REMEDIES[error.errno])


class OperationFailed(EngineError):
    """One operation of a plan failed; ``operation`` is its line of text, ``cause`` the error below it.

    Codes of a command that could not be executed (126, 127) are for ``run`` and ``exec``, which have one command: with
    Docker Compose too ``up`` and ``start`` end with 1.
    """

    def __init__(self, operation: str, cause: BaseException) -> None:
        cause = of_the_machine(cause)
        super().__init__(f"{operation}: {cause}", hint=getattr(cause, "hint", None))
        self.operation = operation
        self.cause = cause
        self.exit_code = 1 if isinstance(cause, StartFailed) else getattr(cause, "exit_code", 1)


class DependencyFailed(EngineError):
    """A service was not started, because a service that it depends on failed."""


class ProviderFailed(EngineError):
    """The program that provides a service (``provider``) is missing, failed, or gave an answer that is none."""


class Timeout(EngineError):
    """A condition was not met within its timeout."""


class Unhealthy(EngineError):
    """A container is unhealthy, or exited while it was waited for."""


class Cancelled(EngineError):
    """The command was interrupted by Ctrl-C or a signal."""

    exit_code = 130


class BackendError(ComposerError):
    """An operation of a backend failed."""


class NotFound(BackendError):
    """The container, image, network or volume does not exist."""


class Conflict(BackendError):
    """The name, address or port is already in use, or the object is in the wrong state."""


class Unavailable(BackendError):
    """The backend cannot be reached, or does not work on this machine."""


class Unsupported(BackendError):
    """The backend does not support ``feature`` (a Compose attribute, such as ``"services.web.gpus"``)."""

    def __init__(self, feature: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.feature = feature


class PermissionDenied(BackendError):
    """The user lacks the permission for the operation."""


class StartFailed(BackendError):
    """A container was created but its command could not be executed.

    ``exit_code`` is Docker's: 127 if the command does not exist, 126 if it cannot be executed, 125 if the
    runtime itself failed before that.
    """

    def __init__(self, message: str, exit_code: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ImageError(BackendError):
    """An image cannot be read, found, pulled or built."""


class PullFailed(ImageError):
    """The registry cannot be reached, or does not provide the image."""


class PushFailed(ImageError):
    """The registry cannot be reached, or does not accept the image."""


class BuildFailed(ImageError):
    """A build step failed. ``command`` and ``code`` are those of a command that ended with one."""

    command: tuple[str, ...] = ()
    code: int | None = None


class Fault(NamedTuple):
    """One fault of a file. ``excerpt`` is its source line with a caret below; empty where there is none."""

    at: Mark
    message: str
    hint: str | None = None
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.at}: {self.message}"


class DockerfileInvalid(BuildFailed):
    """A Dockerfile is invalid. ``faults`` has all of its faults in the order of lines and is never empty.

    The text is that of the first. Its excerpt and all other faults are notes, so that they survive without the file.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        first, *others = faults
        super().__init__(str(first), hint=None if others else first.hint)
        self.faults = faults
        hint = f"hint: {first.hint}" if others and first.hint else ""
        if first.excerpt or hint:
            self.add_note("\n".join(filter(None, (first.excerpt, hint))))
        for fault in others:
            remedy = f"hint: {fault.hint}" if fault.hint else ""
            self.add_note("\n".join(filter(None, (str(fault), fault.excerpt, remedy))))


def no_such_service(name: str, known: Iterable[str]) -> UnknownService:
    """Return the error for an unknown service in Docker Compose's words, with a hint from the ``known`` names."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    there = f"available services: {', '.join(names)}" if names else None
    return UnknownService(f"no such service: {name}", hint=f"did you mean '{near[0]}'?" if near else there)
