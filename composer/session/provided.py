"""What providers made for a project, kept on this machine: ``<root>/providers/<project>.json``.

``down`` and ``stop`` find here whom to ask, without the compose file too; ``plan`` finds the variables of the last
time. They may be passwords: only the owner reads the file.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from composer.engine import labels
from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.engine import Engine
    from composer.engine.observed import Observed
    from composer.engine.planning.external import External
    from composer.engine.planning.providing import Held, Kept
    from composer.schema.model import Project

VERSION = 1


class Provided:
    """The file of one project. Use it with the project's lock held, but to read."""

    def __init__(self, directory: str, project: str) -> None:
        self._path = f"{directory}/providers/{project}.json"

    @property
    def is_empty(self) -> bool:
        """True where no provider made anything: the usual case, told without an import."""
        return not os.path.exists(self._path)

    def read(self) -> Kept:
        """Return what providers made, and where models are served. Raises ProviderFailed for an unreadable file."""
        from composer.engine.planning.providing import Held, Kept

        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
            version = found["version"]
            if version != VERSION:
                raise self._unreadable(f"it has version {version}, and this composer reads version {VERSION}")
            services = {str(name): Held.from_json(held) for name, held in found["services"].items()}
            return Kept(services, {str(name): str(url) for name, url in found["models"].items()})
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise self._unreadable((error.strerror or str(error)).lower()) from error
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
            raise self._unreadable("it is damaged") from None

    def _unreadable(self, reason: str) -> ProviderFailed:
        # Not as if there were none: only this file tells what providers still hold, and down removes it.
        return ProviderFailed(
            f"cannot read what providers made, '{self._path}': {reason}",
            hint="move this file away; the next composer up has the providers make all again",
        )

    def add(self, held: Mapping[str, Held], endpoints: Mapping[str, str] = {}) -> None:
        """Note what providers have made, and where models are served. Raises OSError."""
        from composer.engine.planning.providing import Kept

        kept = self.read()
        self._write(Kept({**kept.services, **held}, {**kept.endpoints, **endpoints}))

    def remove(self, names: set[str]) -> None:
        """Note that what providers made is gone. Raises OSError."""
        kept = self.read()
        left = {name: held for name, held in kept.services.items() if name not in names}
        self._write(kept._replace(services=left))

    def _write(self, kept: Kept) -> None:
        if not kept.services and not kept.endpoints:
            if not self.is_empty:
                os.unlink(self._path)
            return
        from composer.archives import whole_file

        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        whole = {
            "version": VERSION,
            "services": {name: held.to_json() for name, held in kept.services.items()},
            "models": dict(kept.endpoints),
        }
        with whole_file(self._path, 0o600) as file:
            file.write(json.dumps(whole, indent=1).encode())


def externals(
    engine: Engine,
    observed: Observed,
    project: str,
    environment: Mapping[str, str],
    model: Callable[[], Project | None],
    *,
    stops: bool = False,
) -> dict[str, External]:
    """Return the services that providers made, each with its removal, or with ``stops`` its stop where it has one.

    They are known from the ``up`` that made them. Where docker compose made them, a container depends on a service
    that has none, and only then ``model`` is asked for the compose files.
    """
    held: Mapping[str, Held] = {}
    if engine.provided is not None and not engine.provided.is_empty:
        held = engine.provided.read().services
    if not held and _misses_services(observed):
        found = model()
        if found is not None:
            from composer.engine.planning.providing import held_of

            held, environment = held_of(found), found.environment
    if not held:
        return {}
    from composer.engine.planning import providing
    from composer.engine.planning.external import External

    make = providing.stopping if stops else providing.removal
    return {
        name: External(make(name, one, project, environment), one.needs)
        for name, one in held.items()
        if one.variables.stops or not stops
    }


def _misses_services(observed: Observed) -> bool:
    there = {labels.service_of(container) for container in observed.containers}
    return any(
        entry[0] not in there
        for container in observed.containers
        for entry in labels.read_depends_on(container.labels)
    )
