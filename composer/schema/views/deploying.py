"""How many containers a service has, what they may use, how they are replaced, and how source changes reach them.

Spec: https://github.com/compose-spec/compose-spec/blob/main/deploy.md and develop.md
"""

from __future__ import annotations

from pydantic import Field

from composer.schema.views.base import Duration, Labels, SizeText, Texts, Variables, View, Words
from composer.schema.views.limits import DeviceRequest


class UpdateConfig(View):
    """How containers are updated or rolled back: ``parallelism`` at a time; 0 is all, None the default.

    ``failure_action`` is ``continue``, ``rollback`` or ``pause``, ``order`` ``start-first`` or ``stop-first``;
    ``max_failure_ratio`` is from 0 to 1.
    """

    parallelism: int | None = None
    delay: Duration | None = None
    failure_action: str | None = None
    monitor: Duration | None = Field(default=None, description="How long a replaced container is watched.")
    max_failure_ratio: float = 0
    order: str | None = None


class Limits(View):
    """The limits of one container: ``cpus`` in CPUs, ``memory`` in bytes, ``pids`` as a number of processes."""

    cpus: float = 0
    memory: SizeText | None = None
    pids: int = 0


class DiscreteResource(View):
    """A number of units of a platform-specific resource."""

    kind: str = ""
    value: int = 0


class GenericResource(View):
    """A platform-specific resource."""

    discrete_resource_spec: DiscreteResource | None = None


class Reservations(View):
    """The resources reserved for one container; ``devices`` are assigned by drivers."""

    cpus: float = 0
    memory: SizeText | None = None
    devices: tuple[DeviceRequest, ...] = ()
    generic_resources: tuple[GenericResource, ...] = ()


class Resources(View):
    """The limits and reservations of each container."""

    limits: Limits | None = None
    reservations: Reservations | None = None


class RestartPolicy(View):
    """When a container is restarted after it exited: ``condition`` is ``none``, ``on-failure`` or ``any``.

    ``max_attempts`` None is no limit; ``window`` is how long it must run for a start to count as one.
    """

    condition: str | None = None
    delay: Duration | None = None
    max_attempts: int | None = None
    window: Duration | None = None


class Preference(View):
    """Spread containers evenly over the values of a node's label."""

    spread: str | None = None


class Placement(View):
    """The nodes that may run containers. ``max_replicas_per_node`` 0 is unlimited."""

    constraints: Texts = ()
    preferences: tuple[Preference, ...] = ()
    max_replicas_per_node: int = 0


class Deploy(View):
    """Replicas, resources and the strategy of updates. ``mode`` is ``replicated`` or ``global``."""

    mode: str | None = None
    replicas: int | None = None
    labels: Labels = {}
    update_config: UpdateConfig | None = None
    rollback_config: UpdateConfig | None = None
    resources: Resources = Resources()
    restart_policy: RestartPolicy | None = None
    placement: Placement = Placement()
    endpoint_mode: str | None = None


class Hook(View):
    """A command in a container that runs: after its start, before its stop, or after a change of files."""

    command: Words = None
    user: str | None = None
    privileged: bool = False
    working_dir: str | None = None
    environment: Variables = {}


class Watch(View):
    """The action when files below ``path`` change: ``rebuild``, ``sync``, ``restart`` or a pair of them.

    ``target`` is the path in the container; ``exec`` is the command of ``sync+exec``.
    """

    path: str = ""
    action: str | None = None
    target: str | None = None
    exec: Hook = Hook()
    include: Texts = ()
    ignore: Texts = ()
    initial_sync: bool = False


class Develop(View):
    """How changes of the source reach running containers."""

    watch: tuple[Watch, ...] = ()
