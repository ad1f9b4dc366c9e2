"""What a request to a registry fails with, and how long to wait before the next one. Loads nothing to speak HTTP."""

from __future__ import annotations

from composer.errors import PullFailed

_LONGEST_S = 60.0


class RequestFailed(PullFailed):
    """Nobody answered, or the answer broke off: worth another try when ``is_transient``.

    ``retry_after`` is the header of this name: how long the registry wants to be left alone.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, is_transient: bool = True, retry_after: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.is_transient = is_transient
        self.retry_after = retry_after


class NotThere(PullFailed):
    """The registry has no such image."""


class AccessDenied(PullFailed):
    """The registry refuses to show an image. The message is a whole one: scripts match how it begins."""

    def __init__(self, name: str, cause: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"pull access denied for {name}, repository does not exist or may require 'docker login': {cause}",
            hint=hint,
        )


def backoff_s(attempt: int, retry_after: str = "") -> float:
    """Return how long to wait before the next try: what the registry asks for, up to a minute, or ever longer."""
    if retry_after:
        from urllib3.exceptions import InvalidHeader
        from urllib3.util import Retry

        try:
            return min(Retry().parse_retry_after(retry_after), _LONGEST_S)
        except (InvalidHeader, ValueError, OverflowError):
            pass  # neither seconds nor a date that there is: our own pace
    return float(min(0.25 * 2.0**attempt, 8.0))
