"""How the containers of one service are replaced: ``deploy.update_config``, or all at once and stopped first.

stop-first (the default)                        start-first
    create the new one under a temporary name       create the new one under a temporary name
    stop the old one                                start it
    rename it out of the way                        wait until it is ready
    give the new one its name                       give it the published ports of the old one
    start it                                        stop the old one, rename it, give the new one its name

Either way the old container is removed only when the new one is as good as anybody waits for, so a failure
leaves it to go back to. Spec: https://github.com/compose-spec/compose-spec/blob/main/deploy.md#update_config
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import labels, resolve
from composer.engine.draft import ref
from composer.engine.extension import extension
from composer.engine.operations import REPLACED, ContainerRef, MovePorts, RenameContainer, WaitService
from composer.engine.wait import READY, STEADY
from composer.errors import ConfigError, Unsupported
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.engine.emit import Emitter
    from composer.engine.observed import ObservedContainer
    from composer.engine.reconcile import Fate

    Tree = Mapping[str, Any]

_NS_PER_S = 1_000_000_000


class Update(NamedTuple):
    """``update_config`` or ``rollback_config``. ``parallelism`` 0 is all at once; times are in seconds.

    ``tolerated`` is the share of containers that may fail before ``on_failure`` counts: pause, continue, rollback.
    """

    parallelism: int = 0
    delay_s: float = 0.0
    monitor_s: float = 0.0
    start_first: bool = False
    on_failure: str = "pause"
    tolerated: float = 0.0


def update_of(tree: Tree, key: str = "update_config") -> Update:
    """Return how a service wants to be replaced (``key``: update_config or rollback_config)."""
    found = (tree.get("deploy") or {}).get(key)
    if not found:
        return Update()
    return Update(
        parallelism=int(found.get("parallelism", 1)),
        delay_s=_seconds(found.get("delay")),
        monitor_s=_seconds(found.get("monitor")),
        start_first=found.get("order") == "start-first",
        on_failure=found.get("failure_action") or "pause",
        tolerated=float(found.get("max_failure_ratio") or 0),
    )


def _seconds(text: Any) -> float:
    return parse_duration_ns(str(text)) / _NS_PER_S if text else 0.0


def batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Cut a sequence into pieces of ``size``; 0 is one piece."""
    size = size or max(1, len(items))
    return [items[start : start + size] for start in range(0, len(items), size)]


class Rollout:
    """The replacement of the containers of one service."""

    def __init__(self, emitter: Emitter, service: str) -> None:
        self._emitter, self._service = emitter, service
        self._tree: Tree = emitter.services[service]
        self._update = update_of(self._tree)
        self._number = 0

    def replace(self, fates: Sequence[Fate], refs: list[ContainerRef]) -> tuple[int, ...]:
        """Add the steps; return those after which the new containers run."""
        if not self._emitter.options.start:
            return tuple(step for fate in fates for step in self._unstarted(fate, refs))
        update = self._update
        if update.start_first:
            self._check_start_first(fates)
        ends: list[int] = []
        before: tuple[int, ...] = ()
        watched = bool((self._tree.get("deploy") or {}).get("update_config"))
        pieces = batches(fates, update.parallelism)
        for index, piece in enumerate(pieces):
            is_firm = update.on_failure != "continue"
            first = len(refs)
            done = [
                self._swap(fate, refs, before if is_firm else (), () if is_firm else before) for fate in piece
            ]
            ends += done
            is_last = index == len(pieces) - 1
            if watched and (not is_last or update.monitor_s):
                needs = before if is_firm else ()
                before = (self._watch(refs[first:], done, needs, len(fates), last=is_last),)
        return (*ends, *before)

    def _watch(
        self,
        new: list[ContainerRef],
        done: list[int],
        needs: tuple[int, ...],
        total: int,
        *,
        last: bool,
    ) -> int:
        """Add the wait that sees whether the containers of a batch stay up, and that spaces the batches."""
        update = self._update
        operation = WaitService(
            self._service,
            tuple(new),
            STEADY,
            f"update_config: {'monitor' if last else 'before the next batch'}",
            timeout_s=update.monitor_s if last else update.monitor_s + update.delay_s,
            tolerated=int(update.tolerated * total),
        )
        return self._emitter.builder.add(operation, needs, after=done)

    # ------------------------------------------------------------- one container

    def _swap(self, fate: Fate, refs: list[ContainerRef], needs: Iterable[int], after: Iterable[int]) -> int:
        """Replace one container; return the step after which the new one serves."""
        emitter, old = self._emitter, fate.container
        new = self._final(old)
        refs.append(new)
        if old.id in emitter.draft.removed:
            gone = emitter.draft.removed[old.id]
            creation = emitter.creation(self._service, new, fate.cause, replaced=old)
            created = emitter.builder.add(
                creation, (*emitter.creation_needs(self._service, new.name), gone, *needs), after
            )
            return emitter.start(self._service, new, "", (created,))[0]
        created = self._create(fate, new, needs, after)
        serve = self._start_first if self._update.start_first else self._stop_first
        done = serve(old, new, created)
        emitter.draft.dismiss(
            old,
            REPLACED,
            (done,),
            volumes=emitter.options.renew_anonymous_volumes,
            service=self._service,
        )
        return done

    def _unstarted(self, fate: Fate, refs: list[ContainerRef]) -> tuple[int, ...]:
        """``--no-start``: the new container is not started, so there is nothing to wait for."""
        emitter, old = self._emitter, fate.container
        new = self._final(old)
        refs.append(new)
        if old.id in emitter.draft.removed:
            creation = emitter.creation(self._service, new, fate.cause, replaced=old)
            needs = (*emitter.creation_needs(self._service, new.name), emitter.draft.removed[old.id])
            return (emitter.builder.add(creation, needs),)
        renamed = self._make_room(old, new, self._create(fate, new, (), ()))
        renew = emitter.options.renew_anonymous_volumes
        emitter.draft.dismiss(old, REPLACED, (renamed,), volumes=renew, service=self._service)
        return (renamed,)

    def _final(self, old: ObservedContainer) -> ContainerRef:
        number = labels.number_of(old)
        name = resolve.container_name(self._emitter.project, self._service, self._tree, number)
        return ContainerRef(name, self._service, number)

    def _create(self, fate: Fate, new: ContainerRef, needs: Iterable[int], after: Iterable[int]) -> int:
        old = fate.container
        creation = self._emitter.creation(self._service, new, fate.cause, replaced=old)
        temporary = labels.replacement_name(old.id, new.name)
        spec = creation.spec._replace(
            name=temporary,
            labels={**creation.spec.labels, labels.REPLACE: old.id},
            takes_over=old.id if self._update.start_first and self._tree.get("ports") else "",
        )
        return self._emitter.builder.add(
            creation._replace(spec=spec),
            (*self._emitter.creation_needs(self._service, temporary), *needs),
            after,
        )

    def _stop_first(self, old: ObservedContainer, new: ContainerRef, created: int) -> int:
        renamed = self._make_room(old, new, created)
        return self._emitter.start(self._service, new, "", (renamed,))[0]

    def _start_first(self, old: ObservedContainer, new: ContainerRef, created: int) -> int:
        emitter = self._emitter
        started = emitter.start(self._service, new, "", (created, *emitter.held[self._service]))
        cause = "update_config: start-first"
        ready: int = emitter.builder.add(WaitService(self._service, (new,), READY, cause), started)
        if self._tree.get("ports"):
            ready = emitter.builder.add(MovePorts(new, ref(old), cause), (ready,))
        return self._make_room(old, new, ready)

    def _make_room(self, old: ObservedContainer, new: ContainerRef, step: int) -> int:
        """Stop the old container, rename it, and give the new one its name."""
        emitter = self._emitter
        stopped = emitter.draft.stop(old, REPLACED, (step, *emitter.held[self._service]))
        before: Iterable[int] = (*stopped, step, *emitter.draft.touched.get(old.id, ()))
        if not labels.is_retired(old):
            # one that an interrupted up renamed already has made room
            leaving = ref(old)._replace(name=new.name)
            retired = labels.retired_name(old.id, new.name)
            operation = RenameContainer(leaving, old.name, "makes room for the new one", to=retired)
            before = (emitter.builder.add(operation, before),)
        temporary = labels.replacement_name(old.id, new.name)
        return emitter.builder.add(RenameContainer(new, temporary, "takes the place of the old one"), before)

    # ------------------------------------------------------------- what start-first cannot do

    def _check_start_first(self, fates: Sequence[Fate]) -> None:
        """Raise where old and new cannot run side by side."""
        emitter, service = self._emitter, self._service
        path: tuple[str | int, ...] = ("services", service, "deploy", "update_config", "order")
        place = emitter.project.mark(path)
        where = f"{place}: " if place and str(place) else ""
        fixed = [
            p["published"] for p in self._tree.get("ports") or () if str(p.get("published") or "0") != "0"
        ]
        if fixed and not emitter.world.moves_ports:
            raise Unsupported(
                "services.*.deploy.update_config.order",
                f"{where}start-first: old and new container of '{service}' would both need port {fixed[0]}, "
                "which this backend cannot hand over",
                hint="use order: stop-first, or publish no fixed port",
            )
        shared = self._writes_to()
        if shared and not extension(emitter.project, service).share_volumes:
            raise ConfigError(
                f"start-first: old and new container of '{service}' would both write to {shared}",
                at=place,
                path=path,
                hint="mount it read-only, use order: stop-first, or say 'x-composer: {share_volumes: true}'",
            )

    def _writes_to(self) -> str:
        for mount in self._tree.get("volumes") or ():
            if mount["type"] in ("volume", "bind") and mount.get("source") and not mount.get("read_only"):
                kind = "volume" if mount["type"] == "volume" else "directory"
                return f"{kind} '{mount['source']}'"
        return ""
