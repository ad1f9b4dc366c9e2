"""Kill -9 of the server in the middle of everything that clients ask of it, at random moments.

    make api-storm ROUNDS=100 SEED=7        a few rounds are among the usual tests; the seed is printed with each run

After each kill a second server answers at once; every object is whole: it can be inspected, started,
removed; a container
that nobody touches has run on, and no line of it is missing. After the last round nothing is left.
"""

from __future__ import annotations

import collections
import io
import os
import pathlib
import random
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api_client import Client, Server, frames, served
from tests.compared.api.image import archive
from tests.integration.namespace.conftest import left_behind, listing
from tests.registries import push, registry

pytestmark = [pytest.mark.root, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("COMPOSER_STORM_ROUNDS", "4"))
SEED = int(os.environ.get("COMPOSER_STORM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
_AT_ONCE = 5
_ANSWERS_S = 5.0
"""Within this time the second server answers, however busy the machine is; the median is printed."""
_COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done"
_DOCKERFILE = """FROM box
RUN echo {salt} > /made && sleep 0.1
COPY file /file
RUN --mount=type=cache,target=/cache cat /file >> /cache/log; sleep 0.1
"""


def tar(**files: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as opened:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return made.getvalue()


class Storm:
    """The rounds of one run. What an action is answered does not matter: the server may die under it."""

    def __init__(self, server: Server, host: str, seed: int) -> None:
        self.server, self.host = server, host
        self.client = server.client()
        self.dice = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        self.answered_s: list[float] = []
        self.number = 0
        self.witness = ""
        self.actions: tuple[Callable[[Client, int], None], ...] = (
            self._create, self._start, self._run, self._pull, self._build, self._exec, self._attach, self._wait,
            self._load,
            self._commit, self._copy_in, self._copy_out, self._connect, self._prune, self._stop, self._rename,
            self._remove,
            self._update, self._follow, self._networks, self._volumes,
        )  # fmt: skip

    def run(self, rounds: int) -> None:
        self.client.post("/images/load", {"quiet": 1}, archive("box"))
        for number in range(3):
            push(self.host, "storm/image", str(number), [os.urandom(1 << 20) for _ in range(2)])
        self.client.post("/networks/create", body={"Name": "stormy"})
        self.witness = self._made({"Cmd": ["sh", "-c", _COUNT]}, "witness")
        self.client.post(f"/containers/{self.witness}/start")
        began = self._witness()
        for number in range(rounds):
            self._round(number)
            assert self._witness() == began, "a container that nobody touched did not run on"
        self._check_lines()
        self._clear()

    def _witness(self) -> tuple[Any, ...]:
        state = self.client.get("/containers/witness/json")["State"]
        return state["Pid"], state["StartedAt"], state["Status"]

    def _check_lines(self) -> None:
        data = self.client.ask("GET", "/containers/witness/logs", {"stdout": 1}, status=200).body
        lines = [int(line) for line in b"".join(piece for _, piece in frames(data)).split()]
        assert len(lines) > 10 and lines == list(range(1, len(lines) + 1))

    # -------------------------------------------------------------- one round

    def _round(self, number: int) -> None:
        """Let some actions go on, kill the server among them, and look at what there is."""
        self.number = number
        self._victim()
        chosen = [self.dice.choice(self.actions) for _ in range(_AT_ONCE)]
        print(f"round {number}: {' '.join(action.__name__.strip('_') for action in chosen)}", flush=True)
        threads = [
            threading.Thread(target=self._act, args=(action, self.dice.randrange(1 << 30)), daemon=True)
            for action in chosen
        ]
        for thread in threads:
            thread.start()
        time.sleep(self.dice.choice((0.02, 0.05, 0.1, 0.3, 0.6)) * (0.5 + self.dice.random()))
        began_s = time.monotonic()
        self.server.replace()
        self.answered_s.append(time.monotonic() - began_s)
        assert self.answered_s[-1] < _ANSWERS_S, "the second server did not answer"
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a client of the server that was killed still waits"
        self._check_all()

    def _act(self, action: Callable[[Client, int], None], salt: int) -> None:
        self.counts[action.__name__.strip("_")] += 1
        try:
            action(Client(self.server.path, timeout_s=50), salt)
        except (OSError, ValueError, IndexError, AssertionError):
            return  # the server went in the middle, or another action was faster

    def _made(self, body: dict[str, Any], name: str = "", client: Client | None = None) -> str:
        query = {"name": name} if name else {}
        body = {"Image": "box", "StopSignal": "SIGKILL", **body}
        return str((client or self.client).post("/containers/create", query, body).json["Id"])

    def _victim(self) -> None:
        """Have a container that runs, which the actions are about."""
        host = {"NetworkMode": "stormy", "PortBindings": {"80/tcp": [{}]}, "Binds": ["stormy:/data"]}
        command = ["sh", "-c", "while true; do echo x; sleep 0.02; done"]
        if self.client.ask("GET", "/containers/victim/json").status == 404:
            self._made({"Cmd": command, "OpenStdin": True, "HostConfig": host}, "victim")
        self.client.post("/containers/victim/start", status=(204, 304))

    # -------------------------------------------------------------- actions

    def _create(self, client: Client, salt: int) -> None:
        for number in range(5):
            self._made({"Cmd": ["true"], "Volumes": {"/anonymous": {}}}, f"made-{salt}-{number}", client)

    def _start(self, client: Client, salt: int) -> None:
        for _ in range(3):
            id = self._made({"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "stormy"}}, "", client)
            client.ask("POST", f"/containers/{id}/start")

    def _run(self, client: Client, salt: int) -> None:
        for _ in range(3):
            id = self._made({"Cmd": ["sh", "-c", "exit 3"], "HostConfig": {"AutoRemove": True}}, "", client)
            client.ask("POST", f"/containers/{id}/start")

    def _pull(self, client: Client, salt: int) -> None:
        client.ask("POST", "/images/create", {"fromImage": f"{self.host}/storm/image", "tag": str(salt % 3)})

    def _build(self, client: Client, salt: int) -> None:
        context = tar(Dockerfile=_DOCKERFILE.format(salt=salt % 4).encode(), file=b"x" * 100_000)
        client.ask("POST", "/build", {"t": f"built:{salt % 4}"}, body=context)

    def _exec(self, client: Client, salt: int) -> None:
        asked = {
            "Cmd": ["sh", "-c", "echo in; cat; sleep 0.1"],
            "AttachStdin": True,
            "AttachStdout": True,
            "Tty": salt % 2 == 0,
        }
        id = client.post("/containers/victim/exec", body=asked).json["Id"]
        with client.open("POST", f"/exec/{id}/start", body={}, upgrade="tcp") as stream:
            stream.send(b"hello\n\x04")
            while stream.receive():
                pass

    def _attach(self, client: Client, salt: int) -> None:
        query = {"stream": 1, "stdout": 1, "stdin": 1, "logs": salt % 2}
        with client.open("POST", "/containers/victim/attach", query, upgrade="tcp") as stream:
            stream.send(b"hello\n")
            while stream.receive():
                pass

    def _wait(self, client: Client, salt: int) -> None:
        client.ask(
            "POST",
            "/containers/victim/wait",
            {"condition": ("not-running", "next-exit", "removed")[salt % 3]},
        )

    def _load(self, client: Client, salt: int) -> None:
        client.ask(
            "POST", "/images/load", {"quiet": 1}, body=archive(f"loaded:{salt % 3}", Env=[f"SALT={salt}"])
        )

    def _commit(self, client: Client, salt: int) -> None:
        client.ask(
            "POST", "/commit", {"container": "victim", "repo": "committed", "tag": str(salt % 3)}, body={}
        )

    def _copy_in(self, client: Client, salt: int) -> None:
        pieces = (part for part in [tar(**{f"f{n}": os.urandom(200_000) for n in range(20)})])
        client.ask("PUT", "/containers/victim/archive", {"path": ("/tmp", "/data")[salt % 2]}, body=pieces)

    def _copy_out(self, client: Client, salt: int) -> None:
        path = ("/containers/victim/export", "/containers/victim/archive")[salt % 2]
        client.ask("GET", path, {"path": "/bin"})

    def _connect(self, client: Client, salt: int) -> None:
        for verb in ("connect", "disconnect") * 3:
            client.ask("POST", f"/networks/bridge/{verb}", body={"Container": "victim"})

    def _prune(self, client: Client, salt: int) -> None:
        for kind in ("containers", "images", "volumes", "build"):
            client.ask(
                "POST", f"/{kind}/prune", {"filters": {"dangling": ["1"]}} if kind == "images" else None
            )

    def _stop(self, client: Client, salt: int) -> None:
        client.ask(
            "POST",
            f"/containers/victim/{('stop', 'restart', 'kill')[salt % 3]}",
            {"t": 0} if salt % 3 < 2 else None,
        )

    def _rename(self, client: Client, salt: int) -> None:
        client.ask("POST", "/containers/victim/rename", {"name": f"renamed-{salt}"})
        client.ask("POST", f"/containers/renamed-{salt}/rename", {"name": "victim"})

    def _remove(self, client: Client, salt: int) -> None:
        client.ask("DELETE", "/containers/victim", {"force": 1, "v": 1})

    def _update(self, client: Client, salt: int) -> None:
        for number in range(5):
            client.ask(
                "POST", "/containers/victim/update", body={"Memory": (64 + number) << 20, "MemorySwap": -1}
            )

    def _follow(self, client: Client, salt: int) -> None:
        path, query = (("/containers/victim/logs", {"stdout": 1, "follow": 1}), ("/events", {}))[salt % 2]
        with client.open("GET", path, query) as stream:
            for _ in stream.pieces():
                pass

    def _networks(self, client: Client, salt: int) -> None:
        client.ask("POST", "/networks/create", body={"Name": f"net{salt % 3}"})
        client.ask("POST", f"/networks/net{salt % 3}/connect", body={"Container": "victim"})
        client.ask("DELETE", f"/networks/net{(salt + 1) % 3}")

    def _volumes(self, client: Client, salt: int) -> None:
        for number in range(5):
            client.ask("POST", "/volumes/create", body={"Name": f"vol{salt % 3}-{number}"})
            client.ask("DELETE", f"/volumes/vol{salt % 3}-{number}")

    # -------------------------------------------------------------- what has to be so

    def _check_all(self) -> None:
        """Every object is whole. What the actions made goes, but for the victim: it lives until it is removed."""
        for one in self.client.get("/containers/json", {"all": 1, "size": 1}):
            if one["Id"] != self.witness:
                self._check_container(one["Id"], one["Names"][0])
        for one in self.client.get("/images/json"):
            found = self.client.get(f"/images/{one['Id']}/json")
            if found["Os"] and "box:latest" not in one["RepoTags"] and self.dice.random() < 0.3:
                self._check_image(one["Id"])
        for kind in ("networks", "volumes"):
            listed = self.client.get(f"/{kind}")
            for one in listed if kind == "networks" else listed["Volumes"]:
                self.client.get(f"/{kind}/{one['Name']}")
        self.client.get("/system/df")

    def _check_container(self, id: str, name: str) -> None:
        answer = self.client.ask("GET", f"/containers/{id}/json")
        if answer.status == 404:
            return  # it removed itself in this moment
        assert answer.status == 200, answer
        state = answer.json["State"]["Status"]
        if state in ("created", "exited"):
            answer = self.client.ask("POST", f"/containers/{id}/start")
            assert answer.status in (204, 304, 404), f"{name}, which is {state}, does not start: {answer}"
        if name != "/victim" or self.dice.random() < 0.2:
            answer = self.client.ask("DELETE", f"/containers/{id}", {"force": 1, "v": 1})
            assert answer.status in (204, 404), f"{name} cannot be removed: {answer}"
            assert self.client.ask("GET", f"/containers/{id}/json").status == 404

    def _check_image(self, id: str) -> None:
        made = self._made({"Image": id, "Cmd": ["/bin/true"]})
        self.client.delete(f"/containers/{made}")
        answer = self.client.ask("GET", f"/images/{id}/get")
        assert answer.status == 200 and answer.body[-512:] == bytes(512)

    def _clear(self) -> None:
        self.server.clear()
        for one in self.client.get("/images/json"):
            self.client.ask("DELETE", f"/images/{one['Id']}", {"force": 1}, status=(200, 404))
        self.client.post("/images/prune", {"filters": {"dangling": ["0"]}})
        self.client.post("/volumes/prune", {"filters": {"all": ["1"]}})
        self.client.post("/build/prune", {"all": 1})


def left_of(state: pathlib.Path) -> Iterator[str]:
    """Yield the files of a state directory that belong to no object any more."""
    objects = (
        "containers",
        "names",
        "networks",
        "volumes",
        "supervision",
        "images/blobs",
        "images/layers",
        "builds",
    )
    for part in objects:
        yield from (
            str(path.relative_to(state)) for path in (state / "lib" / part).rglob("*") if not path.is_dir()
        )
    for path in state.rglob("*"):
        if ".tmp" in path.name or ".new" in path.name or path.parent.name == "leases":
            yield str(path.relative_to(state))
    yield from (
        str(path.relative_to(state)) for path in (state / "run").rglob("*") if path.name not in _STAYS
    )


_STAYS = ("run", "projects", "@nobody", "events", "execs")


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[str]:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as found:
        yield found


def test_a_storm_of_kills_over_the_server(tmp_path: pathlib.Path, host: str) -> None:
    before = listing()
    print(f"COMPOSER_STORM_SEED={SEED} COMPOSER_STORM_ROUNDS={ROUNDS}", flush=True)
    began_s = time.monotonic()
    (tmp_path / "home").mkdir()
    with served(
        tmp_path, {"COMPOSER_ROOT": str(tmp_path / "state"), "HOME": str(tmp_path / "home")}
    ) as server:
        storm = Storm(server, host, SEED)
        storm.run(ROUNDS)
    assert left_behind(before) == {}, "something is left behind"
    assert sorted(set(left_of(tmp_path / "state"))) == [], "files are left behind"
    middle_ms = sorted(storm.answered_s)[len(storm.answered_s) // 2] * 1000
    print(
        f"{ROUNDS} rounds in {time.monotonic() - began_s:.0f} s, seed {SEED}: nothing lost, nothing left; "
        f"second servers answered in {middle_ms:.0f} ms ({max(storm.answered_s) * 1000:.0f} at most); "
        f"{dict(storm.counts)}"
    )
