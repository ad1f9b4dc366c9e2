"""Images of several platforms: one build, one name, one index. No program of the other platform is run."""

from __future__ import annotations

import hashlib
import json
import pathlib
import signal
import subprocess
import tarfile
from typing import Any

import pytest

from tests.integration.namespace.building.conftest import Workshop, cached, containers
from tests.integration.namespace.conftest import COMMAND, wait_for
from tests.uploads import Memory

pytestmark = pytest.mark.root

PAIR = "linux/amd64,linux/arm64"
BOTH = ("--platform", PAIR)
RECIPE = """\
FROM --platform=$BUILDPLATFORM base AS make
ARG N=0
RUN echo made $N > /common
FROM --platform=$BUILDPLATFORM make AS cross
ARG TARGETPLATFORM BUILDPLATFORM TARGETARCH
RUN echo $BUILDPLATFORM to $TARGETPLATFORM > /$TARGETARCH && cp /$TARGETARCH /result
FROM scratch
ARG TARGETARCH
COPY --from=make /common /common
COPY --from=cross /result /result
ENV ARCH=$TARGETARCH
CMD ["/none"]
"""


def inspected(shop: Workshop, name: str = "built") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.stack.out("image", "inspect", name))[0]
    return found


def platforms(shop: Workshop, name: str = "built") -> dict[str, str]:
    """Return the ids of the images that a name has, by their architectures."""
    return {
        one["ImageData"]["Platform"]["architecture"]: one["ImageData"]["ID"]
        for one in inspected(shop, name).get("Manifests", ())
    }


def records(shop: Workshop) -> set[str]:
    return {f"sha256:{path.stem}" for path in (shop.stack.state / "lib/images/images").glob("*.json")}


def blobs(shop: Workshop) -> set[str]:
    return {f"sha256:{path.name}" for path in (shop.stack.state / "lib/images/blobs/sha256").iterdir()}


def contents(text: str) -> str:
    """Return what `read_image` says of a file with this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def crossed(arch: str) -> str:
    return contents(f"linux/amd64 to linux/{arch}\n")


class Layout:
    """An OCI layout in an archive."""

    def __init__(self, path: pathlib.Path) -> None:
        with tarfile.open(path) as archive:
            self._files = {
                member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive.getmembers()
                if member.isfile()
            }
        self.names = set(self._files)
        self.tops = json.loads(self._files["index.json"])["manifests"]

    def blob(self, digest: str) -> Any:
        return json.loads(self._files[f"blobs/sha256/{digest[7:]}"])

    def architectures(self) -> list[str]:
        index = self.blob(self.tops[0]["digest"])
        return [one["platform"]["architecture"] for one in index["manifests"]]


def test_all_are_built_in_one_build_and_the_name_stands_for_this_machines(shop: Workshop) -> None:
    output = shop.build(RECIPE, *BOTH)
    found = inspected(shop)
    ids = platforms(shop)
    assert list(ids) == ["amd64", "arm64"]
    assert found["Id"] == ids["amd64"]
    assert (found["Os"], found["Architecture"]) == ("linux", "amd64")
    assert "ARCH=amd64" in found["Config"]["Env"]
    other = inspected(shop, ids["arm64"])
    assert other["Architecture"] == "arm64" and "ARCH=arm64" in other["Config"]["Env"]
    assert "Manifests" not in other
    assert f"writing index {found['Index']}" in output
    for arch, id in ids.items():
        files = shop.image(id)[0]
        assert files["common"].contents == contents("made 0\n")
        assert files["result"].contents == crossed(arch)
    rows = shop.stack.out("image", "ls", "--format", "{{.Repository}} {{.ID}}").splitlines()
    assert sorted(rows) == sorted(
        [f"built {ids['amd64'][7:19]}", f"base {inspected(shop, 'base')['Id'][7:19]}"]
    )


def test_stages_of_the_build_platform_are_carried_out_once(shop: Workshop) -> None:
    for flags in ((), ("--no-cache",)):
        output = shop.build(RECIPE, *BOTH, *flags)
        numbers = [
            line.split()[0]
            for line in output.splitlines()
            if "[linux/amd64 make 2/2] RUN echo made 0" in line
        ]
        assert len(numbers) == 2
        assert sum(f"{number} CACHED" in output for number in numbers) == 1, output
        assert "[linux/arm64 stage-2 3/3] COPY --from=cross" in output


def test_what_is_up_to_date_is_not_built_again(shop: Workshop) -> None:
    shop.write("Dockerfile", RECIPE)
    project = "services: {web: {image: built, build: {context: ., platforms: [%s]}}}"
    shop.stack.write(project % PAIR)
    assert "not built yet" in shop.stack.run("plan", "--build").stdout
    shop.stack.run("build")
    before = inspected(shop)
    assert set(platforms(shop)) == {"amd64", "arm64"}
    assert "build" not in shop.stack.run("plan", "--build").stdout.replace("--build", "")
    again = shop.stack.run("--progress", "plain", "build")
    assert cached(again.stdout + again.stderr, "COPY --from=cross /result /result")
    assert inspected(shop)["Index"] == before["Index"]
    shop.stack.write(project % "linux/amd64")
    assert "its platforms changed" in shop.stack.run("plan", "--build").stdout
    shop.stack.run("build")
    assert inspected(shop)["Id"] == before["Id"] and "Index" not in inspected(shop)
    shop.stack.write(project % PAIR)
    assert "its platforms changed" in shop.stack.run("plan", "--build").stdout
    shop.write("Dockerfile", RECIPE.replace("N=0", "N=1"))
    assert "a build argument changed" in shop.stack.run("plan", "--build").stdout


def test_a_run_of_a_platform_without_a_handler_is_refused_before_anything_is_built(shop: Workshop) -> None:
    recipe = (
        "FROM --platform=$BUILDPLATFORM base AS make\nRUN echo ran > /x\nFROM scratch\nCOPY --from=make / /\n"
    )
    said = shop.refuse(f"{recipe}RUN /bin/true\n", "--platform", "linux/amd64,linux/mips64le")
    assert "Dockerfile:5:1: cannot run programs of platform 'linux/mips64le'" in said
    assert "FROM --platform=$BUILDPLATFORM" in said
    assert not list((shop.stack.state / "lib/build/steps").glob("*.json"))
    assert "is only linux" not in shop.build(recipe, "--platform", "linux/mips64le")


def test_what_is_of_one_platform_whatever_is_wanted_is_refused(shop: Workshop) -> None:
    said = shop.refuse("FROM --platform=$BUILDPLATFORM base\nCOPY Dockerfile /\n", *BOTH)
    assert "this stage is for linux/amd64, and the image is to be for linux/arm64" in said
    assert "FROM host is of platform linux/amd64" in shop.refuse("FROM host\n", *BOTH)
    said = shop.refuse("FROM scratch\nCOPY Dockerfile /\n", *BOTH, "-o", "type=docker,dest=x.tar")
    assert "output type=docker is for one platform" in said
    assert "only linux is supported" in shop.refuse(
        "FROM scratch\n", "--platform", "linux/amd64,windows/amd64"
    )


def test_a_failure_of_one_platform_is_what_is_said(shop: Workshop) -> None:
    said = shop.refuse(
        "FROM --platform=$BUILDPLATFORM base AS make\nARG TARGETARCH\n"
        "RUN test $TARGETARCH = amd64 || { echo no arm; exit 3; }\nFROM scratch\nCOPY --from=make /bin /bin\n",
        *BOTH,
    )
    assert "exit code: 3" in said and "no arm" in said
    assert "Index" not in said


def test_an_interrupt_ends_the_steps_of_every_platform(shop: Workshop) -> None:
    shop.write(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM base AS make\nARG TARGETARCH\nRUN echo begun $TARGETARCH; sleep 1000\n"
        "FROM scratch\nCOPY --from=make /bin /bin\n",
    )
    command = [COMMAND, "--backend", "namespace", "image", "build", "--progress", "plain", *BOTH, "."]
    with subprocess.Popen(
        command,
        cwd=shop.directory,
        env=shop.stack.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as builder:
        assert builder.stdout is not None
        wanted = {"begun amd64", "begun arm64"}
        while wanted:
            line = builder.stdout.readline()
            assert line, builder.poll()
            wanted -= {one for one in wanted if line.rstrip().endswith(one)}
        builder.send_signal(signal.SIGINT)
        said = builder.stdout.read()
        assert builder.wait(timeout=60) == 130, said
    wait_for(lambda: not containers(shop), what="the end of the commands")


def test_the_index_stays_with_its_name_and_goes_with_it(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH)
    index, ids = inspected(shop)["Index"], set(platforms(shop).values())
    shop.stack.run("image", "prune", "-f")
    assert index in blobs(shop) and ids <= records(shop)
    shop.stack.run("image", "tag", "built", "other:1")
    assert inspected(shop, "other:1")["Index"] == index
    assert inspected(shop, index)["Index"] == index
    refused = shop.stack.run("image", "rm", sorted(ids - {inspected(shop)["Id"]})[0], check=False)
    assert refused.returncode == 1 and "for another platform" in refused.stderr
    assert shop.stack.out("image", "rm", "built") == "Untagged: built:latest\n"
    assert ids <= records(shop) and index in blobs(shop)
    said = shop.stack.out("image", "rm", "other:1").splitlines()
    assert said[:2] == ["Untagged: other:1", f"Deleted: {index}"]
    assert {f"Deleted: {id}" for id in ids} <= set(said)
    assert not ids & records(shop) and index not in blobs(shop)


def test_a_name_that_is_given_to_another_image_has_no_index(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH)
    index, ids = inspected(shop)["Index"], set(platforms(shop).values())
    shop.stack.run("image", "tag", "base", "built")
    assert "Index" not in inspected(shop)
    assert shop.stack.out("image", "ls", "-q", "-f", "dangling=true").split()
    shop.stack.run("image", "prune", "-f")
    assert index not in blobs(shop) and not ids & records(shop)


def test_it_is_removed_by_its_digest_and_by_prune_all(shop: Workshop) -> None:
    for remove in (("rm", "-f"), ("prune", "-af")):
        shop.build(RECIPE, *BOTH, tag="a:1")
        shop.stack.run("image", "tag", "a:1", "a:2")
        index, ids = inspected(shop, "a:1")["Index"], set(platforms(shop, "a:1").values())
        shop.stack.run("image", *remove, *([index] if remove[0] == "rm" else []))
        assert index not in blobs(shop) and not ids & records(shop)
        assert "a:" not in shop.stack.out("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")


def test_it_is_saved_and_loaded_with_all_platforms(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, "-o", "type=oci,dest=oci.tar")
    assert "built" not in shop.stack.out("image", "ls")
    shop.build(RECIPE, *BOTH)
    before, ids = inspected(shop), platforms(shop)
    shop.stack.run("image", "save", "-o", "saved.tar", "built")
    for name in ("saved.tar", "oci.tar"):
        layout = Layout(shop.directory / name)
        assert [one["digest"] for one in layout.tops] == [before["Index"]]
        assert layout.tops[0]["mediaType"] == "application/vnd.oci.image.index.v1+json"
        assert layout.architectures() == ["amd64", "arm64"]
        shop.stack.run("image", "rm", "built")
        assert shop.stack.out("image", "load", "-i", name) == "Loaded image: built:latest\n"
        assert inspected(shop)["Index"] == before["Index"] and platforms(shop) == ids
    # one alone is one
    shop.stack.run("image", "save", "-o", "one.tar", ids["arm64"])
    assert Layout(shop.directory / "one.tar").tops[0]["mediaType"].endswith("manifest.v1+json")


def test_a_layout_that_lacks_platforms_is_loaded_with_those_that_are_there(shop: Workshop) -> None:
    shop.build(RECIPE, "--platform", "linux/arm64,linux/amd64,linux/s390x", "-o", "type=oci,dest=oci.tar")
    directory = shop.directory / "layout"
    directory.mkdir()
    with tarfile.open(shop.directory / "oci.tar") as archive:
        archive.extractall(directory)
    (directory / "manifest.json").unlink()
    layout = Layout(shop.directory / "oci.tar")
    last = layout.blob(layout.tops[0]["digest"])["manifests"][2]
    assert last["platform"]["architecture"] == "s390x"
    (directory / f"blobs/sha256/{last['digest'][7:]}").unlink()
    shop.stack.run("image", "load", "layout")
    assert list(platforms(shop)) == ["amd64", "arm64"]
    assert inspected(shop)["Index"] != layout.tops[0]["digest"], "the index has what is here"


def test_files_are_written_for_each_platform(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, "-o", "out")
    for arch in ("amd64", "arm64"):
        assert (shop.directory / f"out/linux_{arch}/result").read_text() == f"linux/amd64 to linux/{arch}\n"
    shop.build(RECIPE, *BOTH, "-o", "type=tar,dest=out.tar")
    with tarfile.open(shop.directory / "out.tar") as archive:
        assert archive.getnames() == [
            f"linux_{arch}{name}" for arch in ("amd64", "arm64") for name in ("", "/common", "/result")
        ]
    assert "built" not in shop.stack.out("image", "ls")


def test_scripts_get_the_digest_of_the_index(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, "--iidfile", "id", "--metadata-file", "built.json")
    index = inspected(shop)["Index"]
    assert (shop.directory / "id").read_text() == index
    assert json.loads((shop.directory / "built.json").read_text())["containerimage.digest"] == index
    shop.write("Dockerfile", RECIPE)
    assert shop.stack.out("image", "build", "-q", *BOTH, "-t", "built", ".").strip() == index
    assert inspected(shop, index[7:19])["Index"] == index


def test_a_base_of_several_platforms_gives_each_its_own(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, tag="mine")
    shop.build("FROM mine\nCOPY Dockerfile /more\n", *BOTH)
    for arch, id in platforms(shop).items():
        assert shop.image(id)[0]["result"].contents == crossed(arch)
    shop.build("FROM mine\nCOPY Dockerfile /more\n", "--platform", "linux/arm64", tag="arm")
    found = inspected(shop, "arm")
    assert found["Architecture"] == "arm64" and "Index" not in found


def test_a_layout_as_a_context_gives_each_platform_its_own(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, "-o", "type=oci,dest=oci.tar")
    directory = shop.directory.parent / "layout"
    directory.mkdir()
    with tarfile.open(shop.directory / "oci.tar") as archive:
        archive.extractall(directory)
    (directory / "manifest.json").unlink()
    top = json.loads((directory / "index.json").read_text())
    for one in top["manifests"]:
        del one["annotations"]
    (directory / "index.json").write_text(json.dumps(top))
    shop.build(
        "FROM theirs\nCOPY Dockerfile /more\n", *BOTH, "--build-context", f"theirs=oci-layout://{directory}"
    )
    for arch, id in platforms(shop).items():
        assert shop.image(id)[0]["result"].contents == crossed(arch)


def test_a_cache_elsewhere_has_the_steps_of_all(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH, "--cache-to", "type=local,dest=cache,mode=max")
    before = platforms(shop)
    shop.stack.run("image", "rm", "built")
    shop.stack.run("builder", "prune", "-af")
    output = shop.build(RECIPE, *BOTH, "--cache-from", "type=local,src=cache")
    for step in ("RUN echo made 0", "COPY --from=cross /result"):
        assert cached(output, step), output
    assert output.count(" CACHED") >= 8 and platforms(shop) == before


def test_doctor_finds_an_index_that_is_not_whole(shop: Workshop) -> None:
    shop.build(RECIPE, *BOTH)
    found = inspected(shop)
    path = shop.stack.state / "lib/images/blobs/sha256" / found["Index"][7:]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "image built:latest: index" in _doctor(shop)
    path.write_bytes(whole)
    assert "image built:latest" not in _doctor(shop)
    (shop.stack.state / "lib/images/images" / f"{platforms(shop)['arm64'][7:]}.json").unlink()
    assert "for another platform is missing" in _doctor(shop)
    assert inspected(shop)["Id"] == found["Id"]


def _doctor(shop: Workshop) -> str:
    done = shop.stack.run("doctor", check=False)
    return done.stdout + done.stderr


# ------------------------------------------------------------------ registries


def manifests(memory: Memory, name: str) -> dict[str, bytes]:
    return {tag: data for (one, tag), (_, data) in memory.manifests.items() if one == name}


def test_a_push_sends_each_image_and_then_the_index(shop: Workshop, memory: Memory) -> None:
    name = f"{memory.host}/app:1"
    shop.build(RECIPE, *BOTH, tag=name)
    pushed = shop.stack.out("image", "push", name).split()[-1]
    media_type, data = memory.manifests["app", "1"]
    assert media_type == "application/vnd.oci.image.index.v1+json"
    index = json.loads(data)
    assert [one["platform"] for one in index["manifests"]] == [
        {"os": "linux", "architecture": arch} for arch in ("amd64", "arm64")
    ]
    ids = platforms(shop, name)
    for one in index["manifests"]:
        image = json.loads(memory.manifests["app", one["digest"]][1])
        assert image["config"]["digest"] == ids[one["platform"]["architecture"]]
        assert all(layer["mediaType"].endswith("+gzip") for layer in image["layers"])
    assert inspected(shop, name)["RepoDigests"] == [f"{memory.host}/app@{pushed}"]
    assert inspected(shop, name)["Index"] != pushed, "that has layers which are not compressed"
    # again: nothing but the index
    memory.asked.clear()
    assert shop.stack.out("image", "push", name).split()[-1] == pushed
    sent = [path for method, path in memory.asked if method in ("POST", "PUT", "PATCH")]
    assert sent == ["/v2/app/manifests/1"], sent
    # another machine gets what fits it
    shop.stack.run("image", "rm", name)
    shop.stack.run("image", "pull", name)
    found = inspected(shop, name)
    assert found["Id"] == ids["amd64"] and "Index" not in found
    assert found["RepoDigests"] == [f"{memory.host}/app@{pushed}"]


def test_each_image_has_its_own_inline_cache(shop: Workshop, memory: Memory) -> None:
    name = f"{memory.host}/app:1"
    recipe = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n"
    for arch in ("amd64", "arm64"):
        shop.write(f"{arch}/file", arch)
    shop.build(recipe, *BOTH, "--cache-to", "type=inline", "--push", tag=name)
    before = platforms(shop, name)
    shop.stack.run("image", "rm", name)
    shop.stack.run("builder", "prune", "-af")
    output = shop.build(recipe, *BOTH, "--cache-from", name, "--cache-to", "type=inline", tag=name)
    for arch in ("amd64", "arm64"):
        assert cached(output, f"COPY {arch} /"), output
    assert platforms(shop, name) == before


def test_a_project_is_built_and_pushed_for_all_platforms(shop: Workshop, memory: Memory) -> None:
    shop.write("Dockerfile", RECIPE)
    shop.stack.write(
        f"services: {{web: {{image: '{memory.host}/web', build: {{context: ., platforms: [{PAIR}]}}}}}}"
    )
    shop.stack.run("build", "--push")
    index = json.loads(memory.manifests["web", "latest"][1])
    assert len(index["manifests"]) == 2
    shop.stack.run("push")
    assert json.loads(memory.manifests["web", "latest"][1]) == index
    shop.build(
        RECIPE, *BOTH, "--push", "--metadata-file", "built.json", "--iidfile", "id", tag=f"{memory.host}/web"
    )
    digest = json.loads((shop.directory / "built.json").read_text())["containerimage.digest"]
    assert ("web", digest) in memory.manifests


def test_a_loaded_index_keeps_its_digest_in_the_registry(shop: Workshop, memory: Memory) -> None:
    """What came compressed goes as it came."""
    shop.build(RECIPE, *BOTH, tag=f"{memory.host}/app:1")
    shop.stack.run("image", "push", f"{memory.host}/app:1")
    archive = _layout_of(memory, shop.directory / "pulled", "app", f"{memory.host}/app:2")
    shop.stack.run("image", "rm", f"{memory.host}/app:1")
    shop.stack.run("image", "load", str(archive))
    digest = shop.stack.out("image", "push", f"{memory.host}/app:2").split()[-1]
    assert memory.manifests["app", "2"] == memory.manifests["app", "1"]
    assert inspected(shop, f"{memory.host}/app:2")["Index"] == digest


def _layout_of(memory: Memory, directory: pathlib.Path, repository: str, name: str) -> pathlib.Path:
    """Write what a registry has as an OCI layout."""
    (directory / "blobs/sha256").mkdir(parents=True)
    everything = {**memory.blobs[repository], **manifests(memory, repository)}
    for digest, data in everything.items():
        if digest.startswith("sha256:"):
            (directory / "blobs/sha256" / digest[7:]).write_bytes(data)
    top = manifests(memory, repository)["1"]
    digest = next(d for d, data in everything.items() if data == top and d.startswith("sha256:"))
    descriptor = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": digest,
        "size": len(top),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    (directory / "index.json").write_text(json.dumps({"manifests": [descriptor]}))
    return directory


def test_bases_of_other_platforms_are_pulled_and_kept_beside_this_machines(
    shop: Workshop, memory: Memory
) -> None:
    name = f"{memory.host}/os:1"
    shop.build(RECIPE, *BOTH, tag=name)
    own = platforms(shop, name)
    digest = shop.stack.out("image", "push", name).split()[-1]
    for first in ("linux/amd64", "linux/arm64"):
        shop.stack.run("image", "rm", name)
        shop.stack.run("builder", "prune", "-af")
        shop.build(f"FROM {name}\nCOPY Dockerfile /one\n", "--platform", first)
        shop.build(f"FROM {name}\nCOPY Dockerfile /more\n", *BOTH)
        assert platforms(shop, name) == own, first
        found = inspected(shop, name)
        assert found["Id"] == own["amd64"]
        assert found["RepoDigests"] == [f"{memory.host}/os@{digest}"]
        for arch, id in platforms(shop).items():
            assert shop.image(id)[0]["result"].contents == crossed(arch)
        shop.stack.run("image", "rm", "built")
    asked = len(memory.asked)
    shop.build(f"FROM {name}\nCOPY Dockerfile /again\n", *BOTH)
    assert len(memory.asked) == asked, "both are here"


# ------------------------------------------------------------------ crashes


def test_a_kill_leaves_the_name_as_it_was_or_with_its_whole_index(shop: Workshop) -> None:
    shop.write("Dockerfile", RECIPE)
    shop.build(RECIPE, *BOTH)
    before = inspected(shop)["Index"]
    for delay in range(12):
        process = shop.stack.popen("image", "build", "-t", "built", "--build-arg", f"N={delay}", *BOTH, ".")
        try:
            process.communicate(timeout=0.35 + delay * 0.06)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        found = inspected(shop)
        assert set(platforms(shop)) == {"amd64", "arm64"}
        assert found["Index"] in blobs(shop)
        before = found["Index"]
    shop.stack.run("image", "prune", "-f")
    assert inspected(shop)["Index"] == before and set(platforms(shop).values()) <= records(shop)
    assert "image built" not in _doctor(shop)
    shop.build(RECIPE, *BOTH)
