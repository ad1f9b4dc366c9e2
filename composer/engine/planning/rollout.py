"""How the containers of one service are replaced: ``deploy.update_config``, or all at once and stopped first.

stop-first (the default)                        start-first
    create the new one under a temporary name       create the new one under a temporary name
    stop the old one                                start it
    rename it out of the way                        wait until it is ready
    give the new one its name                       give it the published ports of the old one
    start it                                        stop the old one, rename it, give the new one its name

Either way the old container is removed only when the new one has met every condition that is waited for, so it is
still there after a failure. Spec: https://github.com/compose-spec/compose-spec/blob/main/deploy.md#update_config
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine import labels
from composer.engine.operations.containers import REPLACED, MovePorts, RenameContainer
from composer.engine.operations.row import ContainerRef
from composer.engine.operations.waiting import READY, STEADY, WaitService
from composer.engine.planning.updates import batches, update_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.engine.observed import ObservedContainer
    from composer.engine.planning.assembly import Assembly
    from composer.engine.planning.decisions import Fate

    Tree = Mapping[str, Any]


class Rollout:
    """The replacement of the containers of one service.

    ``starts``: the new ones are started. ``renew``: the anonymous volumes of the old ones go with them.
    """

    def __init__(self, assembly: Assembly, service: str, tree: Tree, *, starts: bool, renew: bool) -> None:
        self._assembly, self._service, self._tree = assembly, service, tree
        self._starts, self._renew = starts, renew
        self._builder, self._removals = assembly.builder, assembly.removals
        self._update = update_of(tree)

    def replace(self, fates: Sequence[Fate], refs: list[ContainerRef]) -> tuple[int, ...]:
        """Add the steps; return those after which the new containers run."""
        if not self._starts:
            return tuple(self._unstarted(fate, refs) for fate in fates)
        update = self._update
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
        return self._builder.add(operation, needs, after=done)

    # ------------------------------------------------------------- one container

    def _swap(self, fate: Fate, refs: list[ContainerRef], needs: Iterable[int], after: Iterable[int]) -> int:
        """Replace one container; return the step after which the new one serves."""
        old, new = fate.container, self._final(fate.container)
        refs.append(new)
        if old.id in self._removals.removed:
            created = self._create_in_place(fate, new, needs, after)
            return self._assembly.start(new, "", (created,))
        created = self._create(fate, new, needs, after)
        serve = self._start_first if self._update.start_first else self._stop_first
        done = serve(old, new, created)
        self._dismiss(old, done)
        return done

    def _unstarted(self, fate: Fate, refs: list[ContainerRef]) -> int:
        """``--no-start``: the new container is not started, so there is nothing to wait for."""
        old, new = fate.container, self._final(fate.container)
        refs.append(new)
        if old.id in self._removals.removed:
            return self._create_in_place(fate, new, (), ())
        renamed = self._make_room(old, new, self._create(fate, new, (), ()))
        self._dismiss(old, renamed)
        return renamed

    def _final(self, old: ObservedContainer) -> ContainerRef:
        return self._assembly.creations.reference(self._service, labels.number_of(old))

    def _dismiss(self, old: ObservedContainer, step: int) -> None:
        self._removals.dismiss(old, REPLACED, (step,), volumes=self._renew, service=self._service)

    def _create_in_place(
        self, fate: Fate, new: ContainerRef, needs: Iterable[int], after: Iterable[int]
    ) -> int:
        """Create the new container under its name, when the old one is gone: something else had it removed."""
        old = fate.container
        creation = self._assembly.creations.container(self._service, new, fate.cause, replaced=old)
        return self._assembly.create(creation, (self._removals.removed[old.id], *needs), after)

    def _create(self, fate: Fate, new: ContainerRef, needs: Iterable[int], after: Iterable[int]) -> int:
        takes_ports = self._update.start_first and bool(self._tree.get("ports"))
        creation = self._assembly.creations.replacement(
            self._service, new, fate.cause, replaced=fate.container, takes_ports=takes_ports
        )
        return self._assembly.create(creation, needs, after)

    def _stop_first(self, old: ObservedContainer, new: ContainerRef, created: int) -> int:
        return self._assembly.start(new, "", (self._make_room(old, new, created),))

    def _start_first(self, old: ObservedContainer, new: ContainerRef, created: int) -> int:
        started = self._assembly.start(new, "", (created, *self._assembly.held[self._service]))
        cause = "update_config: start-first"
        ready = self._builder.add(WaitService(self._service, (new,), READY, cause), (started,))
        if self._tree.get("ports"):
            ready = self._builder.add(MovePorts(new, ContainerRef.of(old), cause), (ready,))
        return self._make_room(old, new, ready)

    def _make_room(self, old: ObservedContainer, new: ContainerRef, step: int) -> int:
        """Stop the old container, rename it, and give the new one its name."""
        stopped = self._removals.stop(old, REPLACED, (step, *self._assembly.held[self._service]))
        before: Iterable[int] = (*stopped, step, *self._removals.touched.get(old.id, ()))
        if not labels.is_retired(old):
            # one that an interrupted up renamed already has made room
            leaving = ContainerRef.of(old)._replace(name=new.name)
            retired = labels.retired_name(old.id, new.name)
            operation = RenameContainer(leaving, old.name, "it is replaced by the new container", to=retired)
            before = (self._builder.add(operation, before),)
        if new.name != old.name and new.name in self._assembly.room.cleared:
            before = (*before, self._assembly.room.cleared[new.name])
        temporary = labels.replacement_name(old.id, new.name)
        return self._builder.add(RenameContainer(new, temporary, "it replaces the old container"), before)
