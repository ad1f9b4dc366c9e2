"""Docker Engine: the same projects, with the engine's own containers, networks, volumes and images.

What changes something goes through the Docker SDK (``sdk``), whose import is paid with the first effect; what reads
goes over a small client of our own (``client``, ``http``), because most commands need a handful of requests and that
import takes longer than all of them. See docs/docker.md and docs/adr/0004.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.backends.docker.backend import DockerBackend
    from composer.engine.backend import Finding


def connect(environment: Mapping[str, str]) -> DockerBackend:
    """Return the backend for the engine that Docker's own command would use.

    Raises Unavailable where no engine answers, PermissionDenied where this user may not ask it.
    """
    from composer.backends.docker import endpoint

    # connected to before what only an engine that answers needs is imported: most machines that ask have none
    found = endpoint.find(environment)
    first = endpoint.dial(found)
    from composer.backends.docker import client

    engine = client.Client(found, first)
    from composer.backends.docker import backend

    return backend.DockerBackend(engine, environment)


def diagnose(environment: Mapping[str, str]) -> list[Finding]:
    """Return which engine there is, what it can do, and what is missing."""
    from composer.backends.docker import doctor

    return doctor.diagnose(environment)
