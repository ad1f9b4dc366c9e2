"""Containers that begin anew together with what they depend on.

A container whose program ended and was started again by its restart policy owes this to the others: those whose
configuration names its service (``renew_with``) are stopped as by a user, and start again at once. Who wants it healthy
waits for that. Such a start is one more that others may begin anew with. What is owed is on the disk: a supervisor that
is killed leaves it to the next.
"""

from __future__ import annotations

from composer.runtime.base import shapes
from composer.runtime.base.status import PAUSED, RUNNING
from composer.runtime.tasks import restart, stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.runtime.base.record_types import RenewWith
    from composer.runtime.tasks.task import Task

_HEALTHY = "healthy"
"""What is still owed to those that want a container healthy, once it is."""
_is_wish = shapes.like(service=shapes.is_text, healthy=shapes.is_flag)


def go_on(task: Task, tasks: Sequence[Task]) -> None:
    """Go on where an earlier supervisor was killed. ``tasks`` are all containers of the project."""
    if task.status not in (RUNNING, PAUSED):
        return
    if task.record.state.get("renewing"):
        stopping.end(task)
    settle(task, tasks)


def settle(task: Task, tasks: Sequence[Task]) -> None:
    """Have those begin anew to whom a running container owes it by now."""
    state = task.record.state
    if state.get("owes") == restart.OWED:
        waits = any(_wants(other, task, healthy=True) for other in tasks)
        task.record.update(owes=_HEALTHY if waits else "")
        _renew_all(task, tasks, healthy=False)
        task.record.save()
    if state.get("owes") == _HEALTHY and task.is_healthy():
        task.record.update(owes="")
        _renew_all(task, tasks, healthy=True)
        task.record.save()


def _renew_all(task: Task, tasks: Sequence[Task], *, healthy: bool) -> None:
    """Renew who wants it; but for one that also begins anew with another of them, and would do so twice."""
    wanting = [other for other in tasks if _wants(other, task, healthy=healthy)]
    coming = _with_followers(wanting, tasks)
    for other in wanting:
        if not any(_wants_at_all(other, one) for one in coming if one is not other):
            renew(other)


def _with_followers(first: Sequence[Task], tasks: Sequence[Task]) -> list[Task]:
    """Return containers, and those that begin anew because of them."""
    found = list(first)
    for one in found:
        found += [other for other in tasks if other not in found and _wants_at_all(other, one)]
    return found


def renew(task: Task) -> None:
    """Stop a running container, and start it again as soon as it has ended."""
    if task.status not in (RUNNING, PAUSED) or task.record.state.get("renewing"):
        return
    task.record.update(renewing=True)
    task.record.save()
    stopping.end(task)


def _wishes(task: Task) -> list[RenewWith]:
    wishes = task.record.extras.get("renew_with", [])
    return [wish for wish in wishes if _is_wish(wish)]


def _wants(task: Task, other: Task, *, healthy: bool) -> bool:
    service = other.record.extras.get("service")
    wishes = _wishes(task) if task is not other else []
    return any(wish["service"] == service and wish["healthy"] is healthy for wish in wishes)


def _wants_at_all(task: Task, other: Task) -> bool:
    return _wants(task, other, healthy=True) or _wants(task, other, healthy=False)
