"""Images that are built: their files, configuration and history; what they are built from and written to."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import tarfile

import pytest

from tests.integration.namespace.building.conftest import Workshop, members
from tests.integration.namespace.conftest import COMMAND

pytestmark = pytest.mark.root


def test_files_configuration_and_history(shop: Workshop) -> None:
    shop.write("a.txt", "a\n")
    shop.build(
        "FROM base\nARG V=1\nENV A=b B=$V\nRUN echo $A$B > /run\nCOPY --chown=5:6 --chmod=640 a.txt /copied\n"
        'WORKDIR /work\nUSER 7\nLABEL l="x y"\nEXPOSE 80\nVOLUME /data\nENTRYPOINT ["/bin/echo"]\nCMD hi\n',
        "--build-arg",
        "V=2",
    )
    files, whole = shop.image()
    assert files["run"].contents == hashlib.sha256(b"b2\n").hexdigest()[:16]
    copied = files["copied"]
    assert (copied.mode, copied.uid, copied.gid) == (0o640, 5, 6)
    assert files["work"].kind == "directory"
    assert whole["config"] == {
        "ArgsEscaped": True,
        "Cmd": ["/bin/sh", "-c", "hi"],
        "Entrypoint": ["/bin/echo"],
        "Env": ["PATH=/bin", "A=b", "B=2"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"l": "x y"},
        "User": "7",
        "Volumes": {"/data": {}},
        "WorkingDir": "/work",
    }
    said = [entry["created_by"] for entry in whole["history"] if entry.get("created_by")]
    assert said[:4] == [
        "ARG V=2",
        "ENV A=b B=2",
        "RUN |1 V=2 /bin/sh -c echo $A$B > /run # buildkit",
        "COPY --chown=5:6 --chmod=640 a.txt /copied # buildkit",
    ]
    layers = [entry for entry in whole["history"] if not entry.get("empty_layer")]
    assert len(layers) == len(whole["rootfs"]["diff_ids"]) - 1  # an import has no history


def test_a_removed_file_is_gone_and_nothing_is_there_for_mounts(shop: Workshop) -> None:
    shop.build("FROM base\nRUN rm /bin/vi && mkdir /d && touch /d/x\nRUN rm -r /d && mkdir /d\n")
    files, _ = shop.image()
    assert "bin/vi" not in files
    assert [path for path in files if path == "d" or path.startswith("d/")] == ["d"]
    assert not {"dev", "proc", "sys", "etc/hosts", "etc/resolv.conf"} & files.keys()


def test_a_command_that_changes_nothing_makes_an_empty_layer(shop: Workshop) -> None:
    shop.build("FROM base\nRUN true\n")
    _, whole = shop.image()
    empty = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    assert whole["rootfs"]["diff_ids"][-1] == empty


def test_only_what_the_target_needs_is_built(shop: Workshop) -> None:
    dockerfile = (
        "FROM base AS broken\nRUN exit 1\nFROM base AS one\nRUN echo 1 > /one\nFROM base AS two\nRUN echo 2 > /two\n"
        "FROM scratch AS last\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    )
    shop.build(dockerfile)
    assert set(shop.image()[0]) == {"one", "two"}
    shop.build(dockerfile, "--target", "one", tag="first")
    assert "one" in shop.image("first")[0]


def test_instructions_of_the_base_are_carried_out_once(shop: Workshop) -> None:
    shop.write("a.txt", "a")
    shop.build("FROM base\nONBUILD COPY a.txt /copied\nONBUILD RUN echo x >> /ran\n", tag="parent")
    assert shop.image("parent")[1]["config"]["OnBuild"] == ["COPY a.txt /copied", "RUN echo x >> /ran"]
    shop.build("FROM parent\nRUN cat /ran > /seen\n", tag="child")
    assert shop.text("/seen", "child") == "x\n"
    assert "OnBuild" not in shop.image("child")[1]["config"]
    shop.build("FROM child\n", tag="grandchild")
    assert shop.text("/ran", "grandchild") == "x\n"


def test_equal_inputs_give_equal_bytes_in_another_state_directory(
    shop: Workshop, tmp_path: pathlib.Path
) -> None:
    shop.write("a/b.txt", "b")
    dockerfile = "FROM base\nCOPY a /a\nRUN echo 1 > /one && mkdir /d\nWORKDIR /w\n"
    shop.build(dockerfile, "--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    first = shop.id()
    shop.stack.run("builder", "prune", "-af")
    shop.build(dockerfile, "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache", tag="again")
    assert shop.id("again") == first
    whole = shop.image("again")[1]
    assert whole["created"].startswith("2023-11-14T22:13:20")


def test_an_image_of_this_machine(shop: Workshop) -> None:
    shop.write("tool", "#!/bin/sh\necho from the layer\n", 0o755)
    shop.build(
        "FROM host AS base\nRUN echo ran > /ran && rm /usr/bin/tac\nCOPY tool /usr/local/bin/own\nRUN own > /said\n"
        "FROM base\nCOPY --from=base /usr/local/bin/own /copy\n"
    )
    assert shop.text("/said") == "from the layer\n"
    out = shop.stack.run("container", "run", "--rm", "built", "sh", "-c", "own; ls /usr/bin/tac", check=False)
    assert out.stdout == "from the layer\n"
    assert out.returncode == 2
    assert pathlib.Path("/usr/bin/tac").exists()
    refused = shop.stack.run("image", "save", "-o", str(shop.directory / "x.tar"), "built", check=False)
    assert "it was built FROM host" in refused.stderr
    for output in ("out", "type=tar,dest=out.tar", "type=oci,dest=out.tar"):
        message = shop.refuse("FROM host\n", "-o", output)
        assert "the image is FROM host" in message
        assert "end with a stage FROM scratch" in message
        assert not (shop.directory / output.rpartition("=")[2]).exists()


def test_an_image_of_this_machine_is_a_base_as_any_other(shop: Workshop) -> None:
    """It is found here: a registry would be asked for a name that somebody else may have there."""
    shop.build("FROM host\nRUN echo one > /one\n", tag="own")
    shop.build("FROM own\nRUN cat /one > /two && tac --version > /tac\n", tag="second")
    assert shop.text("/two", "second") == "one\n"
    shop.build("FROM scratch\nCOPY --from=own /one /copied\n", tag="third")
    assert "copied" in shop.image("third")[0]
    shop.build("FROM base\nRUN true\n", "--build-context", "base=docker-image://own", tag="fourth")
    refused = shop.stack.run("image", "save", "-o", str(shop.directory / "x.tar"), "second", check=False)
    assert "it was built FROM host" in refused.stderr


def test_archives_through_pipes(shop: Workshop) -> None:
    shop.write("a.txt", "a\n")
    shop.build("FROM scratch\nCOPY a.txt /a\n")
    first = shop.id()

    def piped(*arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [COMMAND, "--backend", "namespace", *arguments],
            cwd=shop.directory,
            env=shop.stack.environment(),
            input=given,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    archive = piped("image", "save", "built")
    shop.stack.run("image", "rm", "built")
    assert piped("image", "load", "-q", given=archive) == b""
    assert shop.id() == first
    assert piped("image", "load", "--input", "-", given=archive) == b"Loaded image: built:latest\n"
    with tarfile.open(shop.directory / "root.tar", "w") as tar:
        tar.add(shop.directory / "a.txt", "b")
    piped("image", "import", "-", "imported", given=(shop.directory / "root.tar").read_bytes())
    assert "b" in shop.image("imported")[0]


def test_outputs(shop: Workshop) -> None:
    dockerfile = "FROM scratch\nCOPY a.txt /dir/\n"
    shop.write("a.txt", "a\n")
    shop.build(dockerfile, "-o", "out")
    assert (shop.directory / "out/dir/a.txt").read_text() == "a\n"
    shop.build(dockerfile, "-o", "type=tar,dest=out.tar")
    assert members(shop.directory / "out.tar") == ["dir", "dir/a.txt"]
    shop.build(dockerfile, "-o", "type=oci,dest=oci.tar", tag="named")
    assert "oci-layout" in members(shop.directory / "oci.tar")
    names = shop.stack.out("image", "ls")
    assert "built" not in names
    assert "named" not in names
    shop.stack.run("image", "load", "-i", "oci.tar")
    assert set(shop.image("named")[0]) == {"dir", "dir/a.txt"}


def test_the_image_id_and_what_was_built_are_written(shop: Workshop) -> None:
    shop.build("FROM base\n", "--iidfile", "id", "--metadata-file", "built.json")
    id = (shop.directory / "id").read_text()
    assert id == shop.id()
    assert json.loads((shop.directory / "built.json").read_text())["containerimage.config.digest"] == id


def test_a_context_on_standard_input(shop: Workshop) -> None:
    shop.write("Dockerfile", "FROM base\nCOPY x /x\n")
    shop.write("x", "from the archive\n")
    archive = subprocess.run(
        ["tar", "-c", "Dockerfile", "x"], cwd=shop.directory, capture_output=True, check=True
    ).stdout
    (shop.directory / "x").unlink()
    done = subprocess.run(
        [*_command(shop), "image", "build", "-q", "-t", "built", "-"],
        input=archive,
        env=shop.stack.environment(),
        cwd=shop.directory,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shop.text("/x") == "from the archive\n"


def _command(shop: Workshop) -> list[str]:
    from tests.integration.namespace.conftest import COMMAND

    return [COMMAND, "--backend", "namespace"]


def test_named_contexts(shop: Workshop, tmp_path: pathlib.Path) -> None:
    shop.write("other/x", "other\n")
    shop.build("FROM base\nRUN echo mine > /mine\n", tag="mine")
    shop.build(
        "FROM base\nCOPY --from=files x /x\nCOPY --from=image /mine /mine\n"
        "RUN --mount=from=files,target=/m cat /m/x > /y\n",
        "--build-context",
        "files=other",
        "--build-context",
        "image=docker-image://mine",
    )
    assert shop.text("/x") + shop.text("/mine") + shop.text("/y") == "other\nmine\nother\n"
    shop.build("FROM files\n", "--build-context", "files=other", tag="whole")
    assert set(shop.image("whole")[0]) == {"x"}


def test_a_layer_that_was_packed_is_what_it_was(shop: Workshop) -> None:
    shop.build("FROM base\nRUN echo 1 > /one; ln /one /two; mkfifo /pipe; ln -s one /link; chmod 4711 /one\n")
    id, files = shop.id(), shop.image()[0]
    path = shop.directory / "saved.tar"
    shop.stack.run("image", "save", "-o", str(path), "built")
    shop.stack.run("image", "rm", "built")
    shop.stack.run("builder", "prune", "-af")
    shop.stack.run("image", "load", "-i", str(path))
    assert shop.id() == id
    assert shop.image()[0] == files
    assert files["pipe"].kind == "fifo"
    assert files["one"].mode == 0o4711
