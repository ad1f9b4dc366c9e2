"""The built-in runtime: images, containers, networks and volumes on a bare Linux machine, without a daemon."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.backends.namespace.backend import NamespaceBackend
    from composer.engine.backend import Finding


def connect(environment: Mapping[str, str]) -> NamespaceBackend:
    """Return the backend for this user. Raises Unavailable where this machine cannot run it."""
    from composer.runtime.base import requirements

    requirements.check()  # before what exists on Linux only is imported
    from composer.backends.namespace import backend
    from composer.runtime.base import state

    return backend.NamespaceBackend(state.paths_of(environment), environment)


def diagnose(environment: Mapping[str, str]) -> list[Finding]:
    """Return what this machine can do for the built-in runtime, and what is missing."""
    from composer.engine.backend import Finding
    from composer.runtime.host import doctor

    return [Finding(*found) for found in doctor.diagnose(environment)]


def clean(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Remove what is left on this machine of stacks that are no more; return what went, and what could not, and why."""
    from composer.runtime.base import requirements

    requirements.check()
    from composer.runtime.base import state
    from composer.runtime.host import leftovers

    gone, kept = leftovers.clear(state.paths_of(environment))
    return [one.text for one in gone], [f"{one.text}: {error.strerror or error}" for one, error in kept]


def repair(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Mend damaged records, or set them aside; return what was done, and what could not be, with the reason."""
    from composer.runtime.base import requirements

    requirements.check()
    from composer.runtime.base import state
    from composer.runtime.host import repair

    return repair.repair(state.paths_of(environment))
