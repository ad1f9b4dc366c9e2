"""What goes wrong, as Docker's statuses and ``{"message": …}``."""

from __future__ import annotations

from composer import errors


class Problem(Exception):
    """An answer that says what is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.PermissionDenied, 403),
    (errors.Unavailable, 503),
    (errors.Unsupported, 501),
    (errors.CopyFailed, 400),
    (errors.PullFailed, 404),
    (errors.DockerfileInvalid, 400),
)


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of an error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, errors.ComposerError):
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
        hint = getattr(error, "hint", None)
        return Problem(status, f"{error} ({hint})" if hint else str(error))
    if isinstance(error, OSError):
        place = f" {error.filename}" if error.filename else ""
        return Problem(500, f"the server failed: {(error.strerror or str(error)).lower()}{place}")
    return Problem(500, f"the server failed: {type(error).__name__}; its log has the details")
