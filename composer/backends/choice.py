"""Which backend a command talks to: the one that has the project, else the one asked for, else what works here.

Nobody gets a second, empty database because a default changed: a project stays where it is, and a command that
would start it elsewhere is refused by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from composer.backends import MODULES
from composer.errors import Conflict, PermissionDenied, ProjectError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint

    from composer.engine.backend import Backend, Finding

    Connect = Callable[[str, Mapping[str, str]], Backend]

CHOICES = ("namespace", "docker")
"""Our own backends, in the order of preference. The memory backend is for tests."""

GROUP = "composer.backends"
"""The entry-point group of backends of others: name → module with ``connect(environment)``."""


def connect(name: str, environment: Mapping[str, str]) -> Backend:
    """Return a backend by its name. Raises Unavailable when this installation or machine does not have it."""
    backend: Backend = _module(name).connect(environment)
    return backend


def _module(name: str) -> Any:
    """Return what has a backend's functions: a module of ours, or what others registered under its name."""
    if name in MODULES:
        return import_module(MODULES[name])
    entry = _registered().get(name)
    if entry is None:
        raise Unavailable(f"unknown backend '{name}'", hint=f"available backends: {', '.join(names())}")
    try:
        found = entry.load()
    except Exception as error:  # whatever goes wrong in there is not ours, and is named
        raise Unavailable(
            f"cannot load backend '{name}' from {entry.value}: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(found, "connect", None)):
        raise Unavailable(
            f"cannot use backend '{name}': {entry.value} has no function 'connect'",
            hint="define connect(environment), which returns a composer.engine.backend.Backend",
        )
    return found


def _registered() -> dict[str, EntryPoint]:
    """Return the backends of others. Costs an import and a look at every installed package: only where it is needed."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in MODULES}


def names() -> tuple[str, ...]:
    """Return every backend that can be asked for by name."""
    return (*CHOICES, *sorted(_registered()))


def is_known(name: str) -> bool:
    """Tell whether there is a backend of this name, of ours or of others."""
    return name in CHOICES or name in _registered()


def diagnose(name: str, environment: Mapping[str, str]) -> list[Finding]:
    """Return what a backend finds when it looks at this machine."""
    look = getattr(_module(name), "diagnose", None)
    found: list[Finding] = look(environment) if look is not None else []
    return found


def clean(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Remove what the built-in runtime left behind; return what went, and what could not, with the reason."""
    found: tuple[list[str], list[str]] = import_module(MODULES[CHOICES[0]]).clean(environment)
    return found


def repair(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Mend damaged records of the built-in runtime; return what was done, and what was not, with the reason."""
    found: tuple[list[str], list[str]] = import_module(MODULES[CHOICES[0]]).repair(environment)
    return found


def configured(environment: Mapping[str, str], in_file: str | None) -> str | None:
    """Return the backend named by COMPOSER_BACKEND, else by the user's configuration file."""
    name = environment.get("COMPOSER_BACKEND") or in_file
    if name and not is_known(name):
        raise ProjectError(f"unknown backend '{name}'", hint=f"available backends: {', '.join(names())}")
    return name or None


def choose(
    project: str | None,
    wanted: str | None,
    environment: Mapping[str, str],
    connect: Connect = connect,
) -> Backend:
    """Return the backend for a project (None: for no project in particular); ``wanted`` is what was asked for.

    Where several have something of the project, the one on which it runs goes before one that has its containers, and
    that before one that has its volumes only.

    Raises Conflict when ``wanted`` is not the one that has the project, Unavailable when none works.
    """
    if wanted:
        backend = connect(wanted, environment)
        if project and not backend.holds(project):
            _refuse_elsewhere(project, wanted, environment, connect)
        return backend
    best: Backend | None = None
    most = -1
    reasons: list[str] = []
    for name in CHOICES:
        try:
            backend = connect(name, environment)
            share = _share_of(backend, project) if project else 0
        except (Unavailable, PermissionDenied) as error:
            reasons.append(f"{name}: {error}")
            continue
        if share > most:
            if best is not None:
                best.close()
            best, most = backend, share
        else:
            backend.close()
        if project is None or most == _RUNS:
            break
    if best is None:
        raise Unavailable(f"no usable backend on this machine: {'; '.join(reasons)}")
    return best


_RUNS = 3


def _share_of(backend: Backend, project: str) -> int:
    """Return how much of a project a backend has: nothing, volumes, containers, or that it runs there."""
    if not backend.holds(project):
        return 0
    if backend.runs(project):
        return _RUNS
    return 2 if backend.observe(project).containers else 1


def _refuse_elsewhere(project: str, wanted: str, environment: Mapping[str, str], connect: Connect) -> None:
    for name in CHOICES:
        if name == wanted:
            continue
        try:
            other = connect(name, environment)
        except (Unavailable, PermissionDenied):
            continue
        try:
            if other.holds(project):
                raise Conflict(
                    f"project '{project}' exists on the {name} backend, not on {wanted}",
                    hint=f"use --backend {name}, or remove it there first with composer --backend {name} down",
                )
        finally:
            other.close()
