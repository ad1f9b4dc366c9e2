"""The image store on a real disk: names, formats, damage, kills, neighbours, and what is removed when."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from composer.errors import Conflict, ImageError, NotFound
from composer.runtime.images import Image, Store, loading
from tests.archives import archive, directory, file, symlink

pytestmark = pytest.mark.root

BASE = archive(directory("etc"), file("etc/name", b"base"), file("big", b"x" * 300_000))
TOP = archive(file("etc/name", b"top"), file(".wh.big"))


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    return Store(str(tmp_path / "lib" / "images"))


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def files_of(store: Store) -> list[str]:
    """Return all files of a store that hold content, relative to it."""
    root = pathlib.Path(store._root)
    found = [str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()]
    return sorted(path for path in found if path not in ("lock", "references.lock", "references.json"))


def write(path: pathlib.Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def config_of(*layers: bytes, **inner: object) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": inner,
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
    ).encode()


# ------------------------------------------------------------------ import, and names


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_import_makes_an_image_that_every_name_finds(store: Store, tmp_path: pathlib.Path, compress) -> None:
    made = store.import_rootfs(write(tmp_path / "a.tar", compress(BASE)), "notes-app", {"Cmd": ["/bin/app"]})
    assert made.config["Cmd"] == ["/bin/app"]
    assert made.config["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert made.references == ("notes-app:latest",)
    assert made.size_bytes == 300_004
    (layer,) = made.layers
    assert pathlib.Path(layer, "etc/name").read_text() == "base"
    for name in (
        "notes-app",
        "notes-app:latest",
        "docker.io/library/notes-app:latest",
        made.id,
        made.id[7:19],
    ):
        assert store.find(name) == made
    for name in ("notes", "notes-app:2", "sha256:" + "0" * 64, "0" * 12, "Not A Name"):
        assert store.find(name) is None
    assert store.images() == [made]


def test_the_same_import_is_the_same_image(store: Store, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.tar", BASE)
    first = store.import_rootfs(path, "one", {"User": "app"})
    assert store.import_rootfs(path, "two", {"User": "app"}).id == first.id
    assert store.find("one").references == ("one:latest", "two:latest")  # type: ignore[union-attr]
    assert len(os.listdir(f"{store._root}/layers")) == 2  # the layer and its record


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Command": ["x"]}, "unknown key 'Command'"),
        ({"Cmd": "x"}, "Cmd .* list of strings"),
        ({"Env": ["=x"]}, "KEY=VALUE"),
        ({"ExposedPorts": ["80"]}, "mapping"),
        ({"Labels": {"a": 1}}, "mapping of strings"),
    ],
)
def test_a_configuration_that_no_image_has_is_refused(
    store: Store, tmp_path: pathlib.Path, config: dict[str, object], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", config)


@pytest.mark.parametrize("name", ["host", "A", "a@sha256:" + "0" * 64])
def test_names_that_an_image_cannot_be_given(store: Store, tmp_path: pathlib.Path, name: str) -> None:
    path = write(tmp_path / "a.tar", BASE)
    with pytest.raises(ImageError):
        store.import_rootfs(path, name, {})
    made = store.import_rootfs(path, "a", {})
    with pytest.raises(ImageError):
        store.tag("a", name)
    assert store.images() == [made]


@pytest.mark.parametrize("data", [b"no tar", BASE[:1000], gzip.compress(BASE)[:-20]])
def test_a_failed_import_leaves_nothing(store: Store, tmp_path: pathlib.Path, data: bytes) -> None:
    with pytest.raises(ImageError, match="cannot import"):
        store.import_rootfs(write(tmp_path / "a.tar", data), "a", {})
    assert files_of(store) == []
    assert os.listdir(f"{store._root}/layers") == []


# ------------------------------------------------------------------ load and save


def old_docker_archive() -> bytes:
    """What docker save wrote before version 25: a directory for each layer, and links to layers seen before."""
    config = config_of(BASE, TOP, BASE, Cmd=["top"])
    layers = [f"{number}/layer.tar" for number in (1, 2, 3)]
    manifest = [{"Config": "c.json", "RepoTags": ["app:1", "me/app:2"], "Layers": layers}]
    return archive(
        directory("1"), file("1/layer.tar", BASE), directory("2"), file("2/layer.tar", TOP),
        symlink("3/layer.tar", "../1/layer.tar"), file("c.json", config),
        file("manifest.json", json.dumps(manifest).encode()),
    )  # fmt: skip


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_load_a_docker_archive(store: Store, tmp_path: pathlib.Path, compress) -> None:
    (made,) = store.load(write(tmp_path / "a.tar", compress(old_docker_archive())))
    assert made.id == sha256(config_of(BASE, TOP, BASE, Cmd=["top"]))
    assert made.references == ("app:1", "me/app:2")
    assert made.created == "2024-01-02T03:04:05Z"
    assert dict(made.config) == {"Cmd": ["top"]}
    contents = [pathlib.Path(layer, "etc/name").read_text() for layer in made.layers]
    assert contents == ["base", "top", "base"], "topmost first"
    assert len(set(made.layers)) == 3, "the same layer over other ones is another directory"


def layout(directory: pathlib.Path, **changes: bytes) -> pathlib.Path:
    """An OCI layout in a directory, for two platforms; ``changes`` replace what a blob holds."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(name: str, data: bytes) -> dict[str, object]:
        (blobs / sha256(data)[7:]).write_bytes(changes.get(name, data))
        return {"digest": sha256(data), "size": len(data)}

    def manifest(config: bytes, *layers: bytes) -> dict[str, object]:
        parts = [put(f"layer{number}", gzip.compress(layer, mtime=0)) for number, layer in enumerate(layers)]
        return put("manifest", json.dumps({"config": put("config", config), "layers": parts}).encode())

    here = "amd64" if os.uname().machine == "x86_64" else "arm64"
    index = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {**manifest(config_of(TOP), TOP), "platform": {"os": "linux", "architecture": "s390x"}},
            {**manifest(config_of(BASE, TOP), BASE, TOP), "platform": {"os": "linux", "architecture": here}},
            {"digest": sha256(b""), "size": 0, "platform": {"os": "unknown", "architecture": "unknown"}},
        ],
    }
    name = {"io.containerd.image.name": "docker.io/library/app:3"}
    top = {"manifests": [{**put("index", json.dumps(index).encode()), "annotations": name}]}
    (directory / "index.json").write_text(json.dumps(top))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return directory


@pytest.mark.parametrize("packed", [False, True], ids=["directory", "tar"])
def test_load_an_oci_layout_takes_this_machines_image(
    store: Store, tmp_path: pathlib.Path, packed: bool
) -> None:
    path = layout(tmp_path / "layout")
    if packed:
        subprocess.run(["tar", "-cf", tmp_path / "a.tar", "-C", path, "."], check=True)
        path = tmp_path / "a.tar"
    (made,) = store.load(str(path))
    assert made.id == sha256(config_of(BASE, TOP))
    assert made.references == ("app:3",)
    (again,) = store.load(str(path))
    assert again._replace(tagged_ns=made.tagged_ns) == made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": config_of(BASE, TOP, Cmd=["evil"])}, "digest mismatch"),
        ({"manifest": b"{}"}, "digest mismatch"),
        ({"index": b"{}"}, "digest mismatch"),
        ({"layer1": gzip.compress(archive(file("evil")))}, "size mismatch|digest mismatch"),
        ({"layer1": gzip.compress(TOP, mtime=1)}, "digest mismatch"),
    ],
    ids=["config", "manifest", "index", "layer", "layer of the same content in other bytes"],
)
def test_what_does_not_fit_its_digest_is_not_loaded(
    store: Store, tmp_path: pathlib.Path, changes: dict[str, bytes], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        store.load(str(layout(tmp_path / "layout", **changes)))
    assert store.images() == []


def change_index(path: pathlib.Path, change: Callable[[list[Any]], list[Any]]) -> None:
    """Replace what the index of a layout's only entry lists."""
    top = json.loads((path / "index.json").read_text())
    blobs = path / "blobs" / "sha256"
    index = json.loads((blobs / top["manifests"][0]["digest"][7:]).read_text())
    data = json.dumps({**index, "manifests": change(index["manifests"])}).encode()
    (blobs / sha256(data)[7:]).write_bytes(data)
    top["manifests"][0] |= {"digest": sha256(data), "size": len(data)}
    (path / "index.json").write_text(json.dumps(top))


def test_an_image_that_an_index_lists_many_times_is_read_once(store: Store, tmp_path: pathlib.Path) -> None:
    path = layout(tmp_path / "layout")
    change_index(path, lambda listed: listed * 5_000)
    with mock.patch.object(loading, "_read_manifest", side_effect=loading._read_manifest) as reading:
        (made,) = store.load(str(path))
    assert len(made.others) == 1
    assert reading.call_count < 10


def test_an_index_cannot_list_images_without_end(store: Store, tmp_path: pathlib.Path) -> None:
    path = layout(tmp_path / "layout")
    blobs = path / "blobs" / "sha256"

    def many(listed: list[Any]) -> list[Any]:
        manifest = json.loads((blobs / listed[1]["digest"][7:]).read_text())
        made = []
        for number in range(101):
            data = json.dumps({**manifest, "annotations": {"n": str(number)}}).encode()
            (blobs / sha256(data)[7:]).write_bytes(data)
            made.append({**listed[1], "digest": sha256(data), "size": len(data)})
        return made

    change_index(path, many)
    with pytest.raises(ImageError, match=r"too many images \(limit: 100\)"):
        store.load(str(path))
    assert store.images() == []


@pytest.mark.parametrize("index", [b"[", b"{}", b'{"manifests":[{}]}', b'{"manifests":[]}'])
def test_a_docker_archive_is_loaded_whatever_its_layout_is(
    store: Store, tmp_path: pathlib.Path, index: bytes
) -> None:
    (path := tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-x", "-C", path], input=old_docker_archive(), check=True)
    (path / "index.json").write_bytes(index)
    (made,) = store.load(str(path))
    assert made.references == ("app:1", "me/app:2")


ONE_LAYER = b'[{"Config":"c","Layers":["l"]}]'


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([file("x")], "not a docker-archive or an OCI layout"),
        ([file("manifest.json", b"[{}]")], "missing Config"),
        ([file("manifest.json", b'{"a":1}')], "list"),
        ([file("manifest.json", b"[" * 50_000)], "JSON"),
        ([file("manifest.json", b'[{"Config":"../../etc/passwd"}]')], "not found in the archive"),
        ([file("manifest.json", b'[{"Config":"a"}]'), symlink("a", "b"), symlink("b", "a")], "symbolic link loop"),
        ([file("manifest.json", ONE_LAYER), file("c", config_of(BASE)), file("l", TOP)], "digest mismatch"),
        ([file("manifest.json", ONE_LAYER), file("c", config_of()), file("l", TOP)], "lists 0 layers"),
    ],
)  # fmt: skip
def test_archives_that_are_wrong(
    store: Store, tmp_path: pathlib.Path, parts: list[bytes], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        store.load(write(tmp_path / "a.tar", archive(*parts)))
    assert store.images() == []


def test_an_unpacked_layout_cannot_lead_out_of_its_directory(store: Store, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "layout"
    path.mkdir()
    (path / "manifest.json").write_text('[{"Config":"link"}]')
    (tmp_path / "secret").write_bytes(config_of())
    os.symlink("../secret", path / "link")
    with pytest.raises(ImageError, match="not found in the archive"):
        store.load(str(path))


def test_saved_images_come_back_the_same(store: Store, tmp_path: pathlib.Path) -> None:
    store.load(write(tmp_path / "a.tar", gzip.compress(old_docker_archive())))
    store.import_rootfs(write(tmp_path / "b.tar.gz", gzip.compress(BASE)), "other", {})
    saved = str(tmp_path / "saved.tar")
    store.save(["app:1", "other"], saved)
    back = Store(str(tmp_path / "back" / "images"))
    ids = {image.id for image in back.load(saved)}
    assert ids == {image.id for image in store.images()}
    assert back.find("app:1") and back.find("other") and back.find("me/app:2") is None
    subprocess.run(["tar", "-xf", saved, "--exclude=manifest.json", "-C", tmp_path], check=True)
    (tmp_path / "layout").mkdir()
    for name in ("blobs", "index.json", "oci-layout"):
        os.rename(tmp_path / name, tmp_path / "layout" / name)
    third = Store(str(tmp_path / "third" / "images"))
    assert {image.id for image in third.load(str(tmp_path / "layout"))} == ids
    with pytest.raises(NotFound):
        store.save(["nothing"], saved)


# ------------------------------------------------------------------ removal


def test_a_name_goes_and_the_image_with_its_last_one(store: Store, tmp_path: pathlib.Path) -> None:
    store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", {})
    store.tag("a", "b:2")
    store.remove("a")
    assert store.find("a") is None and store.find("b:2")
    store.remove("b:2")
    assert files_of(store) == []
    with pytest.raises(NotFound):
        store.remove("b:2")


def test_an_id_takes_all_names_along(store: Store, tmp_path: pathlib.Path) -> None:
    made = store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", {})
    store.tag("a", "b")
    store.remove(made.id[7:19])
    assert store.images() == [] and store._content.references() == {}


def test_layers_that_another_image_shares_stay(store: Store, tmp_path: pathlib.Path) -> None:
    store.load(write(tmp_path / "a.tar", old_docker_archive()))
    base = store.import_rootfs(write(tmp_path / "b.tar", BASE), "base", {})
    for name in ("app:1", "me/app:2"):
        store.remove(name)
    assert store.images() == [base]
    assert os.path.isdir(base.layers[0])
    assert len(files_of(store)) > 0
    assert {name for name in os.listdir(f"{store._root}/layers") if not name.endswith(".json")} == {
        os.path.basename(base.layers[0])
    }


def test_prune_sweeps_what_a_killed_process_was_writing_wherever_it_is(store: Store) -> None:
    root = pathlib.Path(store._root)
    left = [
        root / "references.json.77.7f00.tmp",
        *(root / part / "x.77.7f00.tmp" for part in ("images", "layers")),
    ]
    left += [root / "blobs/x.part.tmp", root / "blobs/sha256/x.77.7f00.tmp"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    store.prune()
    assert not list(root.rglob("*.tmp"))


def test_prune_keeps_what_has_a_name_or_a_container(store: Store, tmp_path: pathlib.Path) -> None:
    old = store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", {})
    new = store.import_rootfs(write(tmp_path / "b.tar", TOP), "a", {})
    assert (old.references, store.find(old.id).references) == (("a:latest",), ())  # type: ignore[union-attr]
    container = tmp_path / "lib" / "containers" / "c"
    container.mkdir(parents=True)
    (container / "meta.json").write_text(json.dumps({"image_id": old.id}))
    (container / "config.json").write_text(json.dumps({"composer": {"overlay": {"lower": list(old.layers)}}}))
    assert store.prune()[0] == []
    assert store.prune(unused=True)[0] == [new.id]
    store.remove(old.id)
    assert os.path.isdir(old.layers[0]), "a container still runs on it"
    (container / "config.json").unlink()
    gone, freed = store.prune()
    assert gone == [] and freed > 300_000
    assert files_of(store) == [] and not os.path.exists(old.layers[0])


# ------------------------------------------------------------------ kills and neighbours

_ADD = """
    import sys
    from composer.runtime.images import Store
    store, action, path = Store(sys.argv[1]), sys.argv[2], sys.argv[3]
    print("ready", flush=True)
    store.load(path) if action == "load" else store.import_rootfs(path, "a", {})
"""


def add_process(store: Store, action: str, path: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(_ADD), store._root, action, path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("delay_ms", [0, 2, 5, 10, 20, 40, 80, 160])
@pytest.mark.parametrize("action", ["load", "import"])
def test_a_kill_in_the_middle_leaves_all_or_nothing(
    store: Store, tmp_path: pathlib.Path, action: str, delay_ms: int
) -> None:
    many = archive(*(file(f"d{number}", b"x" * 3000) for number in range(1500)))
    config = config_of(many)
    manifest = json.dumps([{"Config": "c", "RepoTags": ["a"], "Layers": ["l"]}]).encode()
    packed = archive(file("l", many), file("c", config), file("manifest.json", manifest))
    path = write(tmp_path / "a.tar", packed if action == "load" else many)
    process = add_process(store, action, path)
    time.sleep(delay_ms / 1000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = store.find("a")
    if found is not None:
        assert len(os.listdir(found.layers[0])) == 1500
    store.prune()
    if store.find("a") is None:
        assert files_of(store) == []
    again: Image = store.load(path)[0] if action == "load" else store.import_rootfs(path, "a", {})
    assert len(os.listdir(again.layers[0])) == 1500
    assert not [name for name in files_of(store) if name.endswith(".tmp")]


def test_two_processes_that_load_the_same_unpack_it_once(store: Store, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.tar", old_docker_archive())
    processes = [add_process(store, "load", path) for _ in range(4)]
    assert [process.wait(30) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    (made,) = store.images()
    assert made.references == ("app:1", "me/app:2")
    assert len(os.listdir(f"{store._root}/layers")) == 6


def test_pruning_beside_imports_takes_nothing_that_is_being_added(
    store: Store, tmp_path: pathlib.Path
) -> None:
    paths = [
        write(tmp_path / f"{number}.tar", archive(*(file(f"{number}-{i}", b"x") for i in range(300))))
        for number in range(6)
    ]
    stopped = threading.Event()

    def prune() -> None:
        while not stopped.is_set():
            store.prune()

    pruning = threading.Thread(target=prune)
    pruning.start()
    try:
        made = [store.import_rootfs(path, f"image{number}", {}) for number, path in enumerate(paths)]
    finally:
        stopped.set()
        pruning.join()
    for image in made:
        assert len(os.listdir(image.layers[0])) == 300
    assert len(store.images()) == 6


def test_a_short_id_that_fits_two_images_is_refused(store: Store, tmp_path: pathlib.Path) -> None:
    made = store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", {})
    record = pathlib.Path(store._content.image(made.id))
    twin = made.id[7:30] + "0" * 41
    (record.parent / f"{twin}.json").write_bytes(record.read_bytes())
    with pytest.raises(Conflict, match="matches 2 images"):
        store.find(made.id[7:20])
    assert store.find(made.id) == made


def test_state_is_closed_to_everybody_else(store: Store, tmp_path: pathlib.Path) -> None:
    """CVE-2021-41091: set-uid programs in layers must be out of reach for the users of this machine."""
    store.import_rootfs(write(tmp_path / "a.tar", BASE), "a", {})
    for part in ("", "layers", "blobs", "images"):
        assert os.stat(f"{store._root}/{part}").st_mode & 0o077 == 0
