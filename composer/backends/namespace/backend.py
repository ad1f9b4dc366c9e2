"""The built-in runtime as a backend: specifications in, observed values out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends.namespace.observing import PROJECT_LABEL, NamespaceObserver, observed_image
from composer.engine.observed import Advance, ImageStep, RemovedImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from composer.engine.backend import Session
    from composer.engine.observed import ObservedImage, ObservedSnapshot
    from composer.engine.wanted import (
        BuildSpec,
        CommitSpec,
        ContainerSpec,
        EndpointSpec,
        ExecSpec,
        LabelFilter,
        NetworkSpec,
        SnapshotSpec,
        VolumeSpec,
    )
    from composer.runtime.base.state import Paths
    from composer.runtime.engine.engine import Engine

    Wanted = Callable[[Mapping[str, str]], bool]


class NamespaceBackend(NamespaceObserver):
    """Containers on this machine, without a daemon. A Compose project is the owner of what is made for it."""

    def __init__(self, paths: Paths, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(paths, environment)
        self._made: Engine | None = None
        self._steps = itertools.count(1)

    @property
    def _engine(self) -> Engine:
        """The engine, made when the first thing is to be changed: who only looks does not load it."""
        with self._core.lock:
            if self._made is None:
                from composer.runtime.engine.engine import Engine

                self._made = Engine(self._core, self._environment)
            return self._made

    # -------------------------------------------------------------- networks and volumes

    def create_network(self, spec: NetworkSpec) -> str:
        from composer.backends.namespace import networkoptions

        pools = networkoptions.address_pools(self._environment)
        return self._engine.networks.create(
            networkoptions.spec_of(spec, pools)._replace(**_owned(spec.labels))
        )

    def remove_network(self, id: str) -> None:
        self._engine.networks.remove(id)

    def mend_network(self, id: str) -> None:
        self._engine.networks.mend(id)

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None:
        from composer.backends.namespace import networkoptions

        self._engine.networks.connect(id, networkoptions.endpoint_of(endpoint))

    def disconnect_network(self, id: str, network: str) -> None:
        self._engine.networks.disconnect(id, network)

    def create_volume(self, spec: VolumeSpec) -> str:
        from composer.runtime.objects import specs

        driver = spec.attributes.get("driver") or "local"
        if driver != "local":
            raise errors.Unsupported(
                "driver",
                f"cannot create volume '{spec.name}': driver '{driver}' is not supported by the built-in runtime",
                hint="remove driver, or use local",
            )
        options = {key: str(value) for key, value in (spec.attributes.get("driver_opts") or {}).items()}
        return self._engine.volumes.create(
            specs.Volume(spec.name, spec.labels, options=options, **_owned(spec.labels))
        )

    def remove_volume(self, name: str) -> None:
        self._engine.volumes.remove(name)

    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        return self._engine.networks.prune(_matching(labels))

    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        return self._engine.volumes.prune(_matching(labels), everything=everything)

    # -------------------------------------------------------------- snapshots

    def snapshots(self) -> Sequence[ObservedSnapshot]:
        from composer.backends.namespace import snapshots

        return snapshots.all_of(self._core)

    def restores_by(self) -> str:
        return self._engine.snapshots.way()

    def save_snapshot(self, spec: SnapshotSpec) -> ObservedSnapshot:
        from composer.backends.namespace import snapshots

        return snapshots.observed(self._engine.snapshots.save(snapshots.wish_of(spec), spec.freeze))

    def place_snapshot(self, id: str, project: str, targets: Sequence[tuple[int, str]]) -> str:
        return self._engine.snapshots.place(id, project, targets)

    def remove_snapshot(self, id: str) -> Sequence[str]:
        return self._engine.snapshots.remove(id)

    def finish_snapshots(self) -> None:
        self._engine.snapshots.finish()

    # -------------------------------------------------------------- containers

    def create_container(self, spec: ContainerSpec) -> str:
        from composer.backends.namespace import translate

        return self._engine.containers.create(translate.spec_of(spec))

    def start_container(self, id: str) -> None:
        self._engine.containers.start(id)

    def expect_starts(self, project: str, *, creates: bool) -> None:
        from composer.runtime.objects.expecting import expect_starts

        if creates:
            _ = self._engine  # it says what is done before a supervisor is started
        client = (lambda: self._core.client(project)) if creates else None
        expect_starts(self._core.paths.root, project, client)

    def prepare_container(self, id: str) -> None:
        self._engine.containers.prepare(id)

    def unprepare_container(self, id: str) -> None:
        self._engine.containers.unprepare(id)

    def stop_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        self._engine.containers.stop(id, timeout_s=timeout_s, signal=signal)

    def restart_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        self._engine.containers.restart(id, timeout_s=timeout_s, signal=signal)

    def kill_container(self, id: str, signal: str) -> None:
        self._engine.containers.kill(id, signal)

    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        self._engine.containers.remove(id, force=force, volumes=volumes)

    def update_container(self, id: str, attributes: Mapping[str, Any]) -> Sequence[str]:
        from composer.backends.namespace import translate

        resources, restart = translate.update_of(attributes)
        return self._engine.containers.update(id, resources=resources, restart=restart)

    def rename_container(self, id: str, name: str) -> None:
        self._engine.containers.rename(id, name)

    def move_ports(self, source: str, target: str) -> None:
        self._engine.containers.move_ports(source, target)

    def wait_container(self, id: str) -> int | None:
        return self._engine.containers.wait(id)

    def pause_container(self, id: str) -> None:
        self._engine.containers.pause(id)

    def unpause_container(self, id: str) -> None:
        self._engine.containers.unpause(id)

    def exec(self, id: str, spec: ExecSpec) -> Session:
        from composer.runtime.objects import specs

        return self._engine.containers.exec(id, specs.Exec(*spec))

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        return self._engine.containers.attach(id, stdin=stdin, start=start)

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        self._engine.files.write_path(id, path, archive, to_user=to_user)

    def empty_path(self, id: str, path: str) -> None:
        raise errors.Unsupported(
            "files", f"cannot empty {path}: the built-in runtime places snapshots itself"
        )

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        from composer.runtime.objects import specs

        return observed_image(self._engine.files.commit(id, specs.Commit(*spec)))

    # -------------------------------------------------------------- images

    def pull_image(
        self, reference: str, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage:
        report = None if progress is None else lambda found: progress(Advance(*found))
        return observed_image(self._engine.images.pull(reference, report))

    def resolve_image(self, reference: str) -> str:
        return self._engine.images.resolve(reference)

    def build_image(
        self, spec: BuildSpec, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage | None:
        from composer.backends.namespace import builds

        built = builds.build(self._engine, spec, self._environment, progress, self._steps)
        return None if built is None else observed_image(built)

    def look_at_build(self, spec: BuildSpec) -> str | None:
        from composer.backends.namespace import builds

        return self._engine.builds.look(builds.request_of(spec, self._environment))

    def push_image(
        self,
        reference: str,
        *,
        progress: Callable[[Advance], None] | None = None,
        compression: str = "",
    ) -> str:
        report = None if progress is None else lambda found: progress(Advance(*found))
        return self._engine.images.push(reference, report, compression=compression or "gzip")

    def remove_image(self, reference: str, *, force: bool = False) -> RemovedImage:
        removed = self._engine.images.remove(reference, force=force)
        return RemovedImage(removed.untagged, removed.deleted)

    def image_history(self, reference: str) -> Sequence[ImageStep]:
        return [ImageStep(*step) for step in self._engine.images.history(reference)]

    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        return observed_image(self._engine.images.import_rootfs(path, reference, config))

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        return [observed_image(image) for image in self._engine.images.load(path)]

    def tag_image(self, reference: str, name: str) -> None:
        self._engine.images.tag(reference, name)

    def save_images(self, references: Sequence[str], path: str) -> None:
        self._engine.images.save(references, path)

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        return self._engine.images.prune(unused=unused)

    def prune_builds(
        self, *, everything: bool = False, most_bytes: int | None = None, unused_for_s: float = 0.0
    ) -> tuple[Sequence[str], int]:
        return self._engine.builds.prune(
            everything=everything, most_bytes=most_bytes, unused_for_s=unused_for_s
        )

    # -------------------------------------------------------------- the begin and the end of a command

    def recover(self, project: str) -> None:
        self._engine.recover(project)

    def rest(self) -> None:
        """Let a supervisor go that has nothing left to do: it stays as long as somebody is connected."""
        if self._made is not None:
            self._made.rest()

    def close(self) -> None:
        """Let go of the supervisors; wait for those that have nothing left to do, so that nothing stays behind."""
        if self._made is not None:
            self._made.close()


def _owned(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return whose an object is, and what its events say of it."""
    project = labels.get(PROJECT_LABEL)
    return {"owner": project, "event": {PROJECT_LABEL: project}} if project else {}


def _matching(labels: Sequence[LabelFilter]) -> Wanted:
    return lambda found: all(label.matches(found) for label in labels)
