"""Dockerfiles built by the built-in runtime and by BuildKit: the same files, configuration and history, or a reason.

    python -m tests.compared.builds [DIRECTORY] [--context DIRECTORY] [--only PATTERN] [--write]

Takes any directory of Dockerfiles: ``Dockerfile``, ``Dockerfile.NAME``, ``NAME.Dockerfile``, at any depth. A
Dockerfile's context is its own directory, unless ``--context`` says another. A line ``# flags: …`` has more flags for
both builds; CONTEXT in it stands for the context. Their base image is ``alpine``: a busybox that both are given. Both
images are saved, and their layers laid over each other here. Times, sizes of directories and digests are not
compared. Needs root, an engine at DOCKER_HOST with buildx, and busybox-static.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from typing import Any, NamedTuple

import yaml

HERE = pathlib.Path(__file__).parent
CASES = HERE.parent / "data/builds"
REASONS = HERE / "build_reasons.yaml"
PAGE = HERE.parents[1] / "docs/compared.md"
_TITLE = "## Builds, beside BuildKit"
_TIMEOUT_S = 300
_FLAGS = re.compile(r"^#\s*flags:(.*)$", re.MULTILINE)
_IGNORED = ("dev", "proc", "sys")
"""Empty directories that an engine makes for containers, and BuildKit does not take away again."""


class File(NamedTuple):
    """An entry of an image's file system, as far as it is compared."""

    kind: str
    mode: int
    uid: int
    gid: int
    contents: str
    link: str
    device: tuple[int, int]
    xattrs: tuple[tuple[str, str], ...]


class Outcome(NamedTuple):
    """What came of one Dockerfile. ``differences`` are lines; ``is_refused``: neither builds it."""

    name: str
    differences: list[str]
    is_refused: bool


def dockerfiles(directory: pathlib.Path) -> list[pathlib.Path]:
    found = [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and (path.name == "Dockerfile" or path.name.startswith("Dockerfile.") or path.suffix == ".Dockerfile")
        and not path.name.endswith(".dockerignore")
    ]
    return found


# ------------------------------------------------------------------ an image's contents


def flattened(archive: tarfile.TarFile, layers: list[str]) -> dict[str, File]:
    """Lay the layers of a saved image over each other."""
    found: dict[str, File] = {}
    for name in layers:
        member = archive.extractfile(name)
        assert member is not None
        with tarfile.open(fileobj=member, mode="r:*") as layer:
            _apply(found, layer)
    return found


def _apply(found: dict[str, File], layer: tarfile.TarFile) -> None:
    mine: set[str] = set()
    for info in layer:
        path = os.path.normpath(info.name).lstrip("/")
        if path == ".":
            continue
        parent, base = os.path.split(path)
        if base == ".wh..wh..opq":
            _forget(found, parent, mine, itself=False)
        elif base.startswith(".wh."):
            _forget(found, os.path.join(parent, base[4:]), mine, itself=True)
        else:
            entry = _entry(layer, info, found)
            if entry.kind != "directory":
                _forget(found, path, set(), itself=True)
            found[path] = entry
            mine.add(path)


def _forget(found: dict[str, File], path: str, kept: set[str], *, itself: bool) -> None:
    below = f"{path}/" if path else ""
    for name in [name for name in found if name.startswith(below) and name not in kept]:
        del found[name]
    if itself and path not in kept:
        found.pop(path, None)


def _entry(layer: tarfile.TarFile, info: tarfile.TarInfo, found: dict[str, File]) -> File:
    kinds = {
        b"0": "file",
        b"1": "file",
        b"2": "link",
        b"3": "char",
        b"4": "block",
        b"5": "directory",
        b"6": "fifo",
    }
    kind = kinds.get(info.type, "file")
    xattrs = tuple(sorted((k, v) for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.")))
    contents = ""
    if info.islnk():
        other = found.get(os.path.normpath(info.linkname).lstrip("/"))
        if other is not None:
            return other
    elif info.isreg():
        file = layer.extractfile(info)
        assert file is not None
        contents = hashlib.sha256(file.read()).hexdigest()[:16]
    mode = 0 if kind == "link" else info.mode & 0o7777
    device = (info.devmajor, info.devminor) if kind in ("char", "block") else (0, 0)
    return File(
        kind, mode, info.uid, info.gid, contents, info.linkname if kind == "link" else "", device, xattrs
    )


def read_image(path: pathlib.Path) -> tuple[dict[str, File], dict[str, Any]]:
    """Return the files and the configuration of the one image in an archive."""
    with tarfile.open(path) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        return flattened(archive, manifest["Layers"]), config


# ------------------------------------------------------------------ two builds


class Builders:
    """Both builders, each with the base image. ``root`` is our state directory."""

    def __init__(self, root: pathlib.Path) -> None:
        from tests.integration.contract.conftest import root_archive

        self._root = root
        self._own = {**os.environ, "COMPOSER_ROOT": str(root / "state"), "COMPOSER_BACKEND": "namespace"}
        self._own.pop("PYTHONDONTWRITEBYTECODE", None)
        self.composer = str(pathlib.Path(sys.executable).parent / "composer")
        archive = root_archive(root)
        change = ["-c", "ENV PATH=/bin", "-c", 'CMD ["sh"]']
        self._do([self.composer, "image", "import", *change, archive, "alpine"], self._own)
        self._do(["docker", "import", *change, archive, "alpine"], dict(os.environ))
        self.made: list[str] = []

    def _do(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )

    def ours(
        self, name: str, dockerfile: pathlib.Path, context: pathlib.Path, flags: list[str]
    ) -> tuple[bool, str, pathlib.Path]:
        command = [
            self.composer,
            "image",
            "build",
            "--progress",
            "plain",
            "-t",
            f"ours/{name}",
            "-f",
            str(dockerfile),
        ]
        done = self._do([*command, *flags, str(context)], self._own)
        path = self._root / "ours.tar"
        if done.returncode == 0:
            saved = self._do([self.composer, "image", "save", "-o", str(path), f"ours/{name}"], self._own)
            assert saved.returncode == 0, saved.stderr
        return done.returncode == 0, done.stdout + done.stderr, path

    def theirs(
        self, name: str, dockerfile: pathlib.Path, context: pathlib.Path, flags: list[str]
    ) -> tuple[bool, str, pathlib.Path]:
        tag = f"compared/{name}"
        command = [
            "docker",
            "buildx",
            "build",
            "--progress",
            "plain",
            "--load",
            "-t",
            tag,
            "-f",
            str(dockerfile),
        ]
        environment = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        done = self._do([*command, *flags, str(context)], environment)
        path = self._root / "theirs.tar"
        if done.returncode == 0:
            self.made.append(tag)
            saved = self._do(["docker", "save", "-o", str(path), tag], environment)
            if "empty export" in saved.stderr:
                self._write_empty(tag, path)  # an engine cannot save an image without layers
            else:
                assert saved.returncode == 0, saved.stderr
        return done.returncode == 0, done.stdout + done.stderr, path

    def _write_empty(self, tag: str, path: pathlib.Path) -> None:
        """Write what `docker save` would of an image without layers, from what the engine says of it."""
        inspected = json.loads(self._do(["docker", "image", "inspect", tag], dict(os.environ)).stdout)[0]
        lines = self._do(
            ["docker", "history", "--no-trunc", "--format", "{{json .}}", tag], dict(os.environ)
        ).stdout.splitlines()
        history = [
            {"created_by": entry["CreatedBy"], "comment": entry["Comment"], "empty_layer": True}
            for entry in reversed([json.loads(line) for line in lines])
        ]
        config = {"architecture": inspected["Architecture"], "os": inspected["Os"], "history": history}
        if inspected.get("Author"):
            config["author"] = inspected["Author"]
        config["config"] = inspected["Config"]
        manifest = [{"Config": "config.json", "Layers": []}]
        with tarfile.open(path, "w") as archive:
            for name, value in (("config.json", config), ("manifest.json", manifest)):
                data = json.dumps(value).encode()
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        if self.made:
            self._do(["docker", "image", "rm", "-f", *self.made], dict(os.environ))
        self._do([self.composer, "doctor", "--clean"], self._own)


def compare(builders: Builders, dockerfile: pathlib.Path, context: pathlib.Path) -> Outcome:
    text = dockerfile.read_text(errors="surrogateescape")
    flags = [
        word.replace("CONTEXT", str(context)) for line in _FLAGS.findall(text) for word in shlex.split(line)
    ]
    name = re.sub(r"[^a-z0-9]+", "-", str(dockerfile.name).lower().removesuffix(".dockerfile")).strip("-")
    good, said, ours = builders.ours(name, dockerfile, context, flags)
    well, told, theirs = builders.theirs(name, dockerfile, context, flags)
    if not (good and well):
        if good == well:
            return Outcome(dockerfile.name, [], True)
        which = "only BuildKit builds it" if well else "only composer builds it"
        tail = (said if well else told).strip().splitlines()[-6:]
        return Outcome(dockerfile.name, [which, *(f"    {line}" for line in tail)], False)
    return Outcome(dockerfile.name, list(differences(read_image(ours), read_image(theirs))), False)


def differences(
    ours: tuple[dict[str, File], dict[str, Any]], theirs: tuple[dict[str, File], dict[str, Any]]
) -> list[str]:
    mine, its = _without_places(ours[0]), _without_places(theirs[0])
    found = [
        f"file /{path}: {_shown(mine.get(path))}, BuildKit {_shown(its.get(path))}"
        for path in sorted(mine.keys() | its.keys())
        if mine.get(path) != its.get(path)
    ]
    for key in sorted(ours[1]["config"].keys() | theirs[1]["config"].keys()):
        one, other = ours[1]["config"].get(key), theirs[1]["config"].get(key)
        if (one or None) != (other or None):
            found.append(f"config {key}: {json.dumps(one)}, BuildKit {json.dumps(other)}")
    found += [
        f"{key}: {ours[1].get(key)}, BuildKit {theirs[1].get(key)}"
        for key in ("architecture", "os", "variant", "author")
        if ours[1].get(key) != theirs[1].get(key)
    ]
    one, other = _history(ours[1]), _history(theirs[1])
    for index in range(max(len(one), len(other))):
        left, right = one[index : index + 1], other[index : index + 1]
        if left != right:
            found.append(f"history {index}: {left}, BuildKit {right}")
    return found


def _without_places(files: dict[str, File]) -> dict[str, File]:
    return {path: entry for path, entry in files.items() if path not in _IGNORED}


def _shown(entry: File | None) -> str:
    if entry is None:
        return "absent"
    return f"{entry.kind} {entry.mode:o} {entry.uid}:{entry.gid} {entry.contents or entry.link}".strip()


def _history(config: dict[str, Any]) -> list[dict[str, Any]]:
    # what the import of the base says is the importer's
    entries = [entry for entry in config.get("history") or () if entry.get("created_by")]
    return [
        {key: entry[key] for key in ("created_by", "comment", "empty_layer") if key in entry}
        for entry in entries
    ]


# ------------------------------------------------------------------ the report


def reasons() -> dict[str, Any]:
    return yaml.safe_load(REASONS.read_text()) if REASONS.exists() else {}


def _verdict(outcome: Outcome, reason: str | None) -> str:
    if outcome.is_refused:
        return _REFUSED
    if not outcome.differences:
        return _EQUAL
    return _EXPLAINED if reason else _DIFFERENT


_EQUAL, _REFUSED, _EXPLAINED, _DIFFERENT = "equal", "refused by both", "different, with a reason", "different"


def _write(counts: dict[str, int], shown: dict[str, str]) -> None:
    """Put the result into the page of comparisons."""
    version = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = [
        _TITLE,
        "",
        "Dockerfiles built by the built-in runtime and by `docker buildx build`, by `make builds-compared`. The same",
        "means: files (paths, types, modes, owners, contents, links, attributes), configuration and history. The table",
        "is generated.",
        "",
        "| Dockerfile | why the results differ |",
        "| --- | --- |",
        *(f"| `{name}` | {reason} |" for name, reason in sorted(shown.items())),
        "",
        f"{', '.join(f'{count} {kind}' for kind, count in counts.items())}. Docker Engine {version}.",
        "",
    ]
    text = PAGE.read_text()
    before, _, rest = text.partition(f"{_TITLE}\n")
    _, mark, after = rest.partition("\n## ")
    PAGE.write_text(before.rstrip() + "\n\n" + "\n".join(lines) + (f"\n## {after}" if mark else ""))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=CASES / "cases")
    parser.add_argument("--context", type=pathlib.Path)
    parser.add_argument("--only", default="*")
    parser.add_argument("--write", action="store_true", help="put the result into docs/compared.md")
    given = parser.parse_args()
    context = given.context or (CASES / "context" if given.directory == CASES / "cases" else None)
    known = reasons()
    counts = dict.fromkeys((_EQUAL, _REFUSED, _EXPLAINED, _DIFFERENT), 0)
    shown: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="compared-") as directory:
        builders = Builders(pathlib.Path(directory))
        try:
            for path in dockerfiles(given.directory):
                if not fnmatch.fnmatch(path.name, given.only):
                    continue
                outcome = compare(builders, path.resolve(), (context or path.parent).resolve())
                name = path.name.removesuffix(".Dockerfile")
                kind = _verdict(outcome, known.get(name))
                counts[kind] += 1
                if kind == _EXPLAINED:
                    shown[name] = known[name]
                if kind != _EQUAL:
                    print(
                        f"{outcome.name}: {kind}{f' ({known[name]})' if kind == _EXPLAINED else ''}",
                        flush=True,
                    )
                for line in outcome.differences[:12]:
                    print(f"  {line[:300]}", flush=True)
        finally:
            builders.close()
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if given.write:
        _write(counts, shown)
    return 1 if counts[_DIFFERENT] else 0


if __name__ == "__main__":
    sys.exit(main())
