"""The same stack for asyncio: each call runs in a thread, iterators become asynchronous ones."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from composer.stacks.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from composer.engine.observed import Event, ObservedContainer
    from composer.engine.plan import Plan
    from composer.schema.model import Project
    from composer.stacks.results import LogLine
    from composer.stacks.service import Service
    from composer.stacks.snapshots import Snapshot

Item = TypeVar("Item", covariant=True)
_END: Any = object()


class _Source(Protocol[Item]):
    """What a thread iterates over, and another one ends."""

    def __iter__(self) -> Iterator[Item]: ...
    def close(self) -> None: ...


async def _iterate(open_: Callable[[], _Source[Item]]) -> AsyncIterator[Item]:
    source = await asyncio.to_thread(open_)
    iterator = iter(source)
    try:
        while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield item
    finally:
        # a thread may be in the iterator, when this task was cancelled: it ends with its source
        source.close()


class AsyncService:
    """A service of an `AsyncStack`: every method of `Service`, to be awaited."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.name = service.name

    def logs(self, **options: Any) -> AsyncIterator[LogLine]:
        """Yield the lines of the service; the arguments are those of `Service.logs`."""
        service = self._service
        return _iterate(lambda: service.stack.open_logs((service.name,), **options))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._service, name)
        if not callable(method):
            return method

        @functools.wraps(method)
        async def call(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **options)

        return call


class AsyncStack:
    """A `Stack` whose methods are awaited; use it with ``async with``."""

    def __init__(self, project: Project | str | Iterable[str], **options: Any) -> None:
        """The arguments are those of `Stack`."""
        self.stack = Stack(project, **options)

    @property
    def name(self) -> str:
        return self.stack.name

    async def plan(self, **options: Any) -> Plan:
        """See `Stack.plan`."""
        return await asyncio.to_thread(self.stack.plan, **options)

    async def up(self, **options: Any) -> Plan:
        """See `Stack.up`."""
        return await asyncio.to_thread(self.stack.up, **options)

    async def down(self, **options: Any) -> Plan:
        """See `Stack.down`."""
        return await asyncio.to_thread(self.stack.down, **options)

    async def snapshot(self, *arguments: Any, **options: Any) -> Snapshot:
        """See `Stack.snapshot`."""
        return await asyncio.to_thread(self.stack.snapshot, *arguments, **options)

    async def restore(self, snapshot: Snapshot | str, *arguments: Any, **options: Any) -> str:
        """See `Stack.restore`."""
        return await asyncio.to_thread(self.stack.restore, snapshot, *arguments, **options)

    async def fork(self, name: str | None = None, **options: Any) -> AsyncStack:
        """See `Stack.fork`."""
        made = AsyncStack.__new__(AsyncStack)
        job = asyncio.create_task(asyncio.to_thread(self.stack.fork, name, **options))
        try:
            made.stack = await asyncio.shield(job)
        except asyncio.CancelledError:
            # the thread goes on: nobody else would have the fork
            fork = await job
            await asyncio.to_thread(fork.__exit__, None, None, None)
            raise
        return made

    async def ps(self, **options: Any) -> list[ObservedContainer]:
        """See `Stack.ps`."""
        return await asyncio.to_thread(self.stack.ps, **options)

    def logs(self, **options: Any) -> AsyncIterator[LogLine]:
        """See `Stack.logs`."""
        return _iterate(lambda: self.stack.open_logs(**options))

    def events(self, **options: Any) -> AsyncIterator[Event]:
        """See `Stack.events`."""
        return _iterate(lambda: self.stack.open_events(**options))

    def __getitem__(self, service: str) -> AsyncService:
        return AsyncService(self.stack[service])

    async def close(self) -> None:
        """See `Stack.close`."""
        await asyncio.to_thread(self.stack.close)

    async def __aenter__(self) -> AsyncStack:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await asyncio.to_thread(self.stack.__exit__, *error)
