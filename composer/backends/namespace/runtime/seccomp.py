"""Seccomp profiles to BPF: Docker's default profile and Docker's JSON format, without libseccomp.

The filter depends on the profile, the architecture, the container's capabilities and the kernel's version, and on
nothing else, so it is compiled once and kept by digest. Spec: seccomp(2); the JSON is that of moby/profiles.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def default_profile() -> Mapping[str, Any]:
    """Return Docker's default profile in Docker's JSON shape."""
    raise NotImplementedError


def compile(
    profile: Mapping[str, Any], *, arch: str, capabilities: Iterable[str], kernel: tuple[int, int]
) -> bytes:
    """Return the filter as an array of ``struct sock_filter``.

    ``arch`` is ``os.uname().machine``; ``capabilities`` are without ``CAP_``. Raises Unsupported, naming what a
    profile asks for that cannot be honoured.
    """
    raise NotImplementedError


class FilterCache:
    """Compiled filters by digest, in memory and, given a directory, in files there (0600, written by rename)."""

    def __init__(self, directory: str | None = None) -> None:
        raise NotImplementedError

    def get(self, profile: Mapping[str, Any] | None, capabilities: Iterable[str]) -> bytes:
        """Return the filter for this machine; ``profile`` None is the default one."""
        raise NotImplementedError


def install(filter: bytes, *, flags: int = 4) -> None:
    """Install a filter on the calling thread, for good. Needs no_new_privs or CAP_SYS_ADMIN.

    ``flags`` are SECCOMP_FILTER_FLAG_*; 4 is SPEC_ALLOW, as runc has it. Loads nothing: safe after a fork.
    """
    raise NotImplementedError
