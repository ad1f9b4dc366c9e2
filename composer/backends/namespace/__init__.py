"""The built-in runtime: images, containers, networks and volumes on a bare Linux machine, without a daemon."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.backends.namespace.backend import NamespaceBackend


def connect(environment: Mapping[str, str]) -> NamespaceBackend:
    """Return the backend for this user. Raises Unavailable where this machine cannot run it."""
    from composer.backends.namespace import backend, requirements, state

    requirements.check()
    return backend.NamespaceBackend(state.paths_of(environment), environment)
