"""What the disk has of a container under supervision: its configuration, and its state, which only moves as it may.

What is on the disk is written before each effect, and everything that a start makes can be found again from the id
and that record: whoever comes next can undo it.
"""

from __future__ import annotations

from composer.runtime.base import records
from composer.runtime.base.status import ACTIVE, CREATED, MOVES, STARTING, STOPPED_EARLY
from composer.runtime.container import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Unpack

    from composer.runtime.base.loop import Timer
    from composer.runtime.base.record_types import Config, Extras, NetworkExtras, State
    from composer.runtime.tasks.services import Services

FULL_DISK_PAUSE_S = 1.0


class Record:
    """``state`` is what is in state.json. ``on_saved`` is called when what had no room on the disk has been written."""

    def __init__(
        self,
        services: Services,
        id: str,
        bundle: str,
        config: Config,
        on_saved: Callable[[], None],
    ) -> None:
        self._services, self._on_saved = services, on_saved
        self.id, self.bundle, self.config = id, bundle, config
        self.state: State = records.state(bundle) or {"status": CREATED}
        self._unsaved: Timer | None = None

    @property
    def extras(self) -> Extras:
        """The runtime's own part of the configuration."""
        return records.extras(self.config)

    @property
    def name(self) -> str:
        return str(self.extras["name"])

    @property
    def network(self) -> NetworkExtras:
        """What the configuration says of the container's network."""
        return self.extras["network"]

    def cgroup(self) -> cgroups.Cgroup:
        """Return the cgroup that it has, or gets with its next start."""
        resources = self.config["linux"].get("resources", {})
        parent = self.extras.get("cgroup_parent")
        return cgroups.Cgroup(self._services.hierarchies, self.id, resources, parent=parent)

    @property
    def status(self) -> str:
        return str(self.state["status"])

    def is_active(self) -> bool:
        return self.status in ACTIVE

    def is_stopped(self) -> bool:
        """Tell whether the user stopped it: then its restart policy has nothing to say."""
        return bool(self.state.get("stopped"))

    def why_failed(self, message: str, kind: str) -> tuple[str, str]:
        """Return what who asked for a start is told of its failure: a stop in the middle of it is none."""
        return (STOPPED_EARLY, "Conflict") if self.is_stopped() else (message, kind)

    def reload(self) -> None:
        """Read the configuration again, which the command line has changed; mend what of the record was damaged."""
        config = records.config(self.bundle)
        if config is not None:
            self.config = config
        else:
            records.write_config(self.bundle, self.config)  # it was damaged: this is what it said
        if records.state(self.bundle) is None:
            self.save()

    def update(self, **changes: Unpack[State]) -> None:
        """Change what will be written with the next `save`."""
        self.state.update(changes)

    def transition(self, status: str, *, durable: bool = False, save: bool = True, **changes: Any) -> None:
        """Move to another state and write it down. An illegal move is a bug and raises."""
        if status not in MOVES[self.status]:
            raise RuntimeError(f"container {self.name} cannot change from {self.status} to {status}")
        self.state.update(changes)  # type: ignore[typeddict-item]
        self.state["status"] = status
        if save:
            self.save(durable=durable)

    def take_back(self, status: str) -> None:
        """Undo a move: the start came to nothing. Not written yet."""
        self.state["status"] = status

    def save(self, *, durable: bool = False, strict: bool = False) -> None:
        """Write the state down. A full disk must not keep a container from ending: it is written when there is room.

        With ``strict`` it raises: nothing has begun, and better is not to begin what could not be found again.
        """
        try:
            records.write_state(self.bundle, self.state, durable=durable)
        except OSError as error:
            if strict or self.status == STARTING:
                raise
            if isinstance(error, FileNotFoundError):
                # Somebody removed its directory: there is nothing to write to.
                self._services.on_error(error)
            elif not self.is_unsaved():
                self._services.on_error(error)
                self._unsaved = self._services.loop.after(FULL_DISK_PAUSE_S, self._save_late)
        else:
            self.forget_unsaved()

    def _save_late(self) -> None:
        self._unsaved = None
        self.save(durable=True)
        self._on_saved()

    def is_unsaved(self) -> bool:
        """Tell whether the disk does not have what happened last, for want of room."""
        return self._unsaved is not None

    def forget_unsaved(self) -> None:
        if self._unsaved is not None:
            self._unsaved.cancel()
            self._unsaved = None

    def emit(self, action: str, **attributes: str) -> None:
        self._services.emit(
            "container", action, self.id, {**self.extras["event"], "name": self.name, **attributes}
        )
