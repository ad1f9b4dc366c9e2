"""What there is to say of an operation: one `Row` for each type, beside it."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import labels
from composer.errors import BackendError, Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.backend import Backend
    from composer.engine.observed import Advance, ObservedContainer

    Report = Callable[[Advance], None]
    Perform = Callable[[Backend, Any, Report], Any]


class Resource(NamedTuple):
    """What an operation is about, for grouping what is shown: all steps of a recreation have one resource."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.name}".strip()


class ContainerRef(NamedTuple):
    """A container by its final name; ``id`` is empty when the plan itself creates it."""

    name: str
    service: str
    number: int
    id: str = ""

    @classmethod
    def of(cls, container: ObservedContainer) -> ContainerRef:
        """Return the reference to a container that exists, by the name that it should have."""
        name = labels.given_name(container)
        return cls(name, labels.service_of(container), labels.number_of(container), container.id)

    @property
    def resource(self) -> Resource:
        return Resource("container", self.name)


MAKES, REMOVES, RENAMES, CHANGES, MENDS, BRINGS, BUILDS, STARTS, STOPS, WAITS = (
    "makes", "removes", "renames", "changes", "mends", "brings", "builds", "starts", "stops", "waits",
)  # fmt: skip
"""What an operation does to its resource, for who shows what all of them together come to."""


def same_for_all(operation: Any) -> Mapping[str, Any]:
    """Return no facts: what every operation has in JSON is enough."""
    return {}


class Row(NamedTuple):
    """Everything about a type of operation, but for what it consists of.

    ``action`` is what it does, ``doing`` and ``done`` the words while it lasts and at its end (``progress``: where they
    depend on the operation). ``resource`` groups what is shown; ``subject`` stands behind the action, as in ``start
    container app-web-1``. ``brief`` is what is said of it below its resource; None: action and subject. ``facts`` is
    what its JSON has besides. ``perform`` carries it out, called by a worker, all effects through the backend, with
    every id filled in; it takes a function for news to the user, and returns what later operations need. None: the
    coordinator waits by itself. ``is_abandoned``: it leaves nothing half done wherever it ends, so that nobody waits
    for it once the command is cancelled.
    """

    action: str
    doing: str
    done: str
    effect: str
    resource: Callable[[Any], Resource]
    subject: Callable[[Any], str]
    perform: Perform | None
    progress: Callable[[Any], tuple[str, str]] | None = None
    brief: Callable[[Any], str] | None = None
    facts: Callable[[Any], Mapping[str, Any]] = same_for_all
    is_abandoned: bool = False


class DoneAndFailed(Exception):
    """An operation had its effect, so that what comes after it goes on, and the command fails all the same."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Kept(Exception):
    """Something optional was left as it is; the text says why. ``phase`` is what is shown of it."""

    def __init__(self, reason: str, phase: str) -> None:
        super().__init__(reason)
        self.phase = phase


def optionally(
    optional: bool, effect: Callable[[], object], phase: str = "error", *, failed: str = "error"
) -> None:
    """Do something. What is ``optional`` may be gone already; where it fails, Kept is raised.

    ``phase`` is what is shown of a resource that others use, ``failed`` of another failure.
    """
    try:
        effect()
    except NotFound:
        if not optional:
            raise
    except BackendError as error:
        if not optional:
            raise
        raise Kept(str(error), phase if isinstance(error, Conflict) else failed) from error


IN_USE = "resource is still in use"


# ------------------------------------------------------------------ for rows


def field(path: str) -> Callable[[Any], str]:
    """Return what gives an attribute of an operation: ``spec.name``."""
    return attrgetter(path)


def about(kind: str, path: str) -> Callable[[Any], Resource]:
    """Return what gives the resource of this kind that an attribute of an operation names."""
    name = attrgetter(path)
    return lambda operation: Resource(kind, name(operation))


def text(form: str) -> Callable[[Any], str]:
    """Return what puts an operation, as ``o``, into a text."""
    return lambda operation: form.format(o=operation)
