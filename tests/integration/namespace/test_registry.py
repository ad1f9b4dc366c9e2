"""Pulling into the store from a registry on loopback, through a proxy that does everything wrong in turn."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterator

import pytest

from composer.errors import NotFound, PullFailed
from composer.registry import settings
from composer.registry.transport import Transport
from composer.runtime.images import Image, Store
from composer.runtime.images import pull as pulling
from tests.archives import archive, directory, file, hard_link
from tests.integration.namespace.registry_client import RegistryClient
from tests.registries import (
    DOCKER_MANIFEST,
    Proxy,
    Pushed,
    cut,
    flip,
    push,
    push_index,
    push_manifest,
    redirect,
    refuse_connection,
    registry,
    sha256,
    silence,
    slow,
    status,
    without_ranges,
)

pytestmark = pytest.mark.root

BASE = archive(directory("etc", 0o711), file("etc/name", b"base"), file("big", os.urandom(3_000_000)))
TOP = archive(file("etc/name", b"top"), hard_link("small", "etc/name"), file(".wh.big"))
LAYER = r"^GET /v2/app/blobs/"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def app(upstream: str) -> Pushed:
    return push(upstream, "app", "v1", [BASE, TOP], Cmd=["sh"])


@pytest.fixture
def proxy(upstream: str, app: Pushed) -> Iterator[Proxy]:
    with Proxy(upstream) as made:
        yield made


class Client(RegistryClient):
    """A store, and pulls into it that do not wait between tries."""

    def puller(self) -> pulling.Puller:
        made = settings.read(self.environment)
        return pulling.Puller(
            self.store._content, made, Transport(made, idle_s=self.idle_s), pause=self.pauses.append
        )

    def pull(self, name: str) -> Image:
        puller = self.puller()
        try:
            return self.store.pull(name, puller)
        finally:
            puller.close()

    def config(self, text: str) -> None:
        path = self.root / ".config/composer/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Client:
    return Client(tmp_path)


def verify(store: Store) -> None:
    """Check every blob against its name, and that every image has all of its parts."""
    root = pathlib.Path(store._root)
    for path in (root / "blobs/sha256").iterdir():
        if path.name.endswith(".tmp"):
            continue  # no blob: what a killed process was about to make one
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for image in store.images():
        record = json.loads((root / f"images/{image.id.removeprefix('sha256:')}.json").read_text())
        for digest in (image.id, record["manifest"], *(layer["blob"] for layer in record["layers"])):
            assert (root / "blobs/sha256" / digest.removeprefix("sha256:")).is_file()
        assert all(os.path.isdir(layer) for layer in image.layers)


def check_app(client: Client, image: Image, app: Pushed) -> None:
    """The image is the one that was pushed, to the byte."""
    assert image.id == app.id
    top, base = (pathlib.Path(layer) for layer in image.layers)
    assert (base / "big").read_bytes() == BASE[-3_000_000 - 2 * 512 - (-3_000_000 % 512) :][:3_000_000]
    assert (base / "etc/name").read_bytes() == b"base"
    assert (top / "small").read_bytes() == b"top"
    assert (top / "etc").stat().st_mode & 0o777 == 0o711, (
        "a directory not stated is as the layer below has it"
    )
    verify(client.store)


# ------------------------------------------------------------------ what goes right


def test_pull_by_tag_and_again(client: Client, proxy: Proxy, app: Pushed) -> None:
    image = client.pull(f"{proxy.host}/app:v1")
    check_app(client, image, app)
    assert image.references == (f"{proxy.host}/app:v1",)
    assert image.digests == (f"{proxy.host}/app@{app.digest}",)
    assert proxy.count(LAYER) == 3
    proxy.asked.clear()
    again = client.pull(f"{proxy.host}/app:v1")
    assert again._replace(tagged_ns=0) == image._replace(tagged_ns=0)
    assert again.tagged_ns > image.tagged_ns, "a pull that finds nothing new counts for pull_policy: daily"
    assert [(asked.method, asked.path) for asked in proxy.asked] == [
        ("GET", "/v2/"),
        ("HEAD", "/v2/app/manifests/v1"),
    ]


def test_pull_by_digest_needs_no_tag_and_no_second_look(client: Client, proxy: Proxy, app: Pushed) -> None:
    image = client.pull(f"{proxy.host}/app:whatever@{app.digest}")
    assert image.id == app.id
    assert image.references == (f"{proxy.host}/app@{app.digest}",)
    proxy.asked.clear()
    assert client.pull(f"{proxy.host}/app@{app.digest}").id == app.id
    assert proxy.asked == []


def test_an_image_that_came_by_its_tag_is_found_by_its_digest(
    client: Client, proxy: Proxy, app: Pushed
) -> None:
    client.pull(f"{proxy.host}/app:v1")
    found = client.store.find(f"{proxy.host}/app@{app.digest}")
    assert found is not None and found.id == app.id
    assert client.store.find(f"{proxy.host}/other@{app.digest}") is None


def test_a_tag_that_moved_is_pulled_and_shared_layers_are_not(
    client: Client, proxy: Proxy, upstream: str
) -> None:
    first = push(upstream, "moving", "latest", [BASE])
    client.pull(f"{proxy.host}/moving")
    second = push(upstream, "moving", "latest", [BASE, TOP])
    proxy.asked.clear()
    image = client.pull(f"{proxy.host}/moving")
    assert image.id == second.id
    assert proxy.count("blobs/" + first.layers[0]) == 0
    old = client.store.find(first.id)
    assert old is not None and old.references == ()
    gone, _ = client.store.prune()
    assert gone == [first.id]
    verify(client.store)


def test_the_index_leads_to_this_machines_image(client: Client, proxy: Proxy, upstream: str) -> None:
    other = push(upstream, "many", "other", [TOP], architecture="s390x")
    mine = push(upstream, "many", "mine", [BASE])
    digest = push_index(
        upstream,
        "many",
        "all",
        [
            (other, {"os": "unknown", "architecture": "unknown"}),
            (other, {"os": "linux", "architecture": "s390x"}),
            (mine, {"os": "linux", "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64"}),
        ],
    )
    image = client.pull(f"{proxy.host}/many:all")
    assert (image.id, image.digests) == (mine.id, (f"{proxy.host}/many@{digest}",))
    push_index(upstream, "many", "none", [(other, {"os": "linux", "architecture": "s390x"})])
    with pytest.raises(PullFailed, match=r"no matching manifest for linux/.* \(available: linux/s390x\)"):
        client.pull(f"{proxy.host}/many:none")


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_compressions(client: Client, proxy: Proxy, upstream: str, kind: str) -> None:
    def compress(data: bytes) -> bytes:
        if kind == "zstd":
            return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout
        return gzip.compress(data, mtime=0) if kind == "gzip" else data

    pushed = push(upstream, f"as-{kind}", "1", [BASE, TOP], compress=compress, media_type=DOCKER_MANIFEST)
    check_app(client, client.pull(f"{proxy.host}/as-{kind}:1"), pushed)


def test_many_pulls_at_once_fetch_everything_once(client: Client, proxy: Proxy, app: Pushed) -> None:
    puller = client.puller()
    found: list[Image] = []
    threads = [
        threading.Thread(target=lambda: found.append(client.store.pull(f"{proxy.host}/app:v1", puller)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    puller.close()
    assert [image.id for image in found] == [app.id] * 8
    assert max(proxy.count("blobs/" + layer) for layer in app.layers) == 1
    verify(client.store)


# ------------------------------------------------------------------ what goes wrong on the way


@pytest.mark.parametrize(
    "fault",
    [cut(0), cut(10**6), flip(10), flip(1_500_000), flip(-1), status(500), status(503), status(429), refuse_connection],
    ids=["cut-0", "cut", "flip-head", "flip-middle", "flip-end", "500", "503", "429", "hang-up"],
)  # fmt: skip
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_is_got_over(client: Client, proxy: Proxy, app: Pushed, fault, times: int) -> None:
    proxy.on(LAYER, fault, times)
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)


def test_a_layer_that_breaks_off_is_gone_on_with(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.on(f"blobs/{app.layers[0]}", cut(1_000_000), 2)
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    ranges = [asked.headers.get("range") for asked in proxy.asked if app.layers[0] in asked.path]
    assert ranges == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_registry_without_ranges_starts_over(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.on(f"blobs/{app.layers[0]}", cut(1_000_000))
    proxy.on(f"blobs/{app.layers[0]}", without_ranges, 0)
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)


def test_a_registry_that_falls_silent_is_asked_again(client: Client, proxy: Proxy, app: Pushed) -> None:
    client.idle_s = 0.5
    proxy.on(f"blobs/{app.layers[0]}", silence(3))
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)


def test_a_slow_registry_is_no_fault(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.on(LAYER, slow(0.01), 0)
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    assert client.pauses == []


def test_retry_after_is_respected(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.on(LAYER, status(429, {"Retry-After": "7"}))
    proxy.on("manifests", status(503, {"Retry-After": "3"}))
    client.pull(f"{proxy.host}/app:v1")
    assert sorted(client.pauses) == [3.0, 7.0]


def test_what_stays_damaged_is_refused_and_not_stored(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.on(f"blobs/{app.layers[0]}", flip(2_000_000), 0)
    with pytest.raises(PullFailed, match=r"cannot pull '.*/app:v1': digest mismatch: got"):
        client.pull(f"{proxy.host}/app:v1")
    assert client.store.images() == []
    assert not pathlib.Path(client.store._content.blob(app.layers[0])).exists()
    verify(client.store)


@pytest.mark.parametrize(
    ("pattern", "fault", "message"),
    [
        ("manifests", flip(100), "manifest digest mismatch"),
        ("manifests", status(404, message="manifest unknown"), "image not found on .*: manifest unknown"),
        ("manifests", status(500), "returned status 500"),
        ("manifests", status(429), "too many requests to"),
        (
            "manifests",
            status(403, message="no\x1b[31m way"),
            "pull access denied for .*, repository does not exist or may require 'docker login': .*: no.31m way$",
        ),
        ("manifests", status(418), "returned status 418"),
        ("blobs", status(404), "a part of the image not found on"),
        ("blobs", refuse_connection, "cannot reach http://127.0.0.1"),
        ("blobs", cut(0), "bytes early|blob digest mismatch|unexpected end of a layer"),
    ],
)
def test_a_fault_that_stays_is_one_clear_line(
    client: Client, proxy: Proxy, app: Pushed, pattern: str, fault, message: str
) -> None:
    proxy.on(pattern, fault, 0)
    with pytest.raises(PullFailed, match=message) as failure:
        client.pull(f"{proxy.host}/app:v1")
    assert "\n" not in str(failure.value)
    assert client.store.images() == []
    verify(client.store)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_manifest_that_states_a_wrong_length_is_refused(
    client: Client, proxy: Proxy, upstream: str, size: int
) -> None:
    pushed = push(upstream, "lies", "true", [TOP])
    blob = gzip.compress(TOP, 1, mtime=0)
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": "x", "digest": pushed.id, "size": _config_size(upstream, pushed.id)},
        "layers": [{"mediaType": "x", "digest": pushed.layers[0], "size": len(blob) + size}],
    }
    digest = push_manifest(upstream, "lies", "false", manifest)
    with pytest.raises(PullFailed, match="digest mismatch"):
        client.pull(f"{proxy.host}/lies@{digest}")
    verify(client.store)


def _config_size(host: str, digest: str) -> int:
    import urllib.request

    with urllib.request.urlopen(f"http://{host}/v2/lies/blobs/{digest}", timeout=10) as response:
        return len(response.read())


def test_layers_that_are_not_what_the_configuration_names(
    client: Client, proxy: Proxy, upstream: str
) -> None:
    one, two = push(upstream, "swap", "1", [BASE]), push(upstream, "swap", "2", [TOP])
    blob = gzip.compress(TOP, 1, mtime=0)
    import urllib.request

    with urllib.request.urlopen(f"http://{upstream}/v2/swap/blobs/{one.id}", timeout=10) as response:
        size = len(response.read())
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": "x", "digest": one.id, "size": size},
        "layers": [{"mediaType": "x", "digest": two.layers[0], "size": len(blob)}],
    }
    push_manifest(upstream, "swap", "3", manifest)
    with pytest.raises(
        PullFailed, match=f"layer digest mismatch: got {sha256(TOP)}, expected {sha256(BASE)}"
    ):
        client.pull(f"{proxy.host}/swap:3")
    assert client.store.images() == []


# ------------------------------------------------------------------ other places


def test_a_redirect_leads_to_another_host_without_the_login(
    client: Client, proxy: Proxy, app: Pushed, upstream: str
) -> None:
    proxy.login = "basic"
    client.docker_config(
        auths={proxy.host: {"auth": base64.b64encode(b"me:secret").decode()}}, HttpHeaders={"X-Mine": "1"}
    )
    with Proxy(upstream) as storage:
        proxy.on(LAYER, redirect(f"http://{storage.host}"), 0)
        check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
        assert storage.count(LAYER) == 3
        for asked in storage.asked:
            assert "authorization" not in asked.headers and "x-mine" not in asked.headers
    assert any("authorization" in asked.headers for asked in proxy.asked)
    assert all(asked.headers["x-mine"] == "1" for asked in proxy.asked if asked.path != "/v2/")


def test_a_circle_of_redirects_ends(client: Client, proxy: Proxy) -> None:
    proxy.on("manifests", redirect(f"http://{proxy.host}"), 0)
    with pytest.raises(PullFailed, match="redirect loop at"):
        client.pull(f"{proxy.host}/app:v1")


def test_a_mirror_is_asked_first_and_the_registry_when_it_fails(
    client: Client, proxy: Proxy, app: Pushed, upstream: str
) -> None:
    with Proxy(upstream) as mirror:
        client.config(f'[registry."{proxy.host}"]\nmirrors = ["http://{mirror.host}"]\n')
        check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
        assert proxy.asked == []
        client.store.remove(app.id)
        mirror.on("blobs", status(500), 0)
        check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
        assert proxy.count(LAYER) == 3
        client.store.remove(app.id)
        mirror.on("manifests", status(404), 0)
        check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
        client.store.remove(app.id)
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)


def test_everything_goes_through_the_proxy_but_loopback(client: Client, proxy: Proxy, app: Pushed) -> None:
    client.config('[registry."registry.test:5000"]\ninsecure = true\n')
    client.environment["HTTP_PROXY"] = f"http://user:pass%20word@{proxy.host}"
    image = client.pull("registry.test:5000/app:v1")
    assert image.id == app.id
    asked = [asked for asked in proxy.asked if asked.method == "GET"]
    assert all(one.path.startswith("http://registry.test:5000/v2/") for one in asked)
    assert {one.headers["proxy-authorization"] for one in asked} == {
        f"Basic {base64.b64encode(b'user:pass word').decode()}"
    }
    client.environment["NO_PROXY"] = "registry.test"
    with pytest.raises(PullFailed, match="cannot reach"):
        client.pull("registry.test:5000/app:v2")


# ------------------------------------------------------------------ encrypted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a key and a certificate of its own for registry.test and 127.0.0.1."""
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry.test",
         "-addext", "subjectAltName=DNS:registry.test,IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    path.write_text(path.read_text() + pathlib.Path(f"{path}.crt").read_text())
    return str(path)


def test_tls_through_a_tunnel_with_a_certificate_that_is_trusted(
    client: Client, upstream: str, app: Pushed, certificate: str
) -> None:
    with Proxy(upstream, certificate) as secure, Proxy() as tunnel:
        port = secure.host.rpartition(":")[2]
        tunnel.on("^CONNECT", lambda handler: handler.tunnel(secure.host), 0)
        client.environment["HTTPS_PROXY"] = f"http://me:pass@{tunnel.host}"
        name = f"registry.test:{port}"
        with pytest.raises(PullFailed, match=f"certificate verification failed for {name}") as failure:
            client.pull(f"{name}/app:v1")
        assert "ca or insecure" in str(failure.value.hint)
        assert secure.asked == []
        client.config(f'[registry."{name}"]\nca = "{certificate}.crt"\n')
        check_app(client, client.pull(f"{name}/app:v1"), app)
        assert {asked.path for asked in tunnel.asked} == {name}
        assert all("proxy-authorization" in asked.headers for asked in tunnel.asked)
        assert all("proxy-authorization" not in asked.headers for asked in secure.asked)


def test_tls_without_trust_where_that_is_configured(
    client: Client, upstream: str, app: Pushed, certificate: str
) -> None:
    with Proxy(upstream, certificate) as secure, Proxy() as tunnel:
        name = f"registry.test:{secure.host.rpartition(':')[2]}"
        tunnel.on("^CONNECT", lambda handler: handler.tunnel(secure.host), 0)
        client.environment["HTTPS_PROXY"] = tunnel.host
        client.config(f'[registry."{name}"]\ninsecure = true\n')
        check_app(client, client.pull(f"{name}/app:v1"), app)


def test_a_registry_on_this_machine_may_speak_tls(
    client: Client, upstream: str, app: Pushed, certificate: str
) -> None:
    with Proxy(upstream, certificate) as secure:
        check_app(client, client.pull(f"{secure.host}/app:v1"), app)


def test_encrypted_is_not_left_for_plain(
    client: Client, upstream: str, app: Pushed, certificate: str
) -> None:
    with Proxy(upstream, certificate) as secure, Proxy(upstream) as plain:
        secure.on(LAYER, redirect(f"http://{plain.host}"), 0)
        with pytest.raises(PullFailed, match="without encryption"):
            client.pull(f"{secure.host}/app:v1")
        assert plain.asked == []


# ------------------------------------------------------------------ logins


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_a_login_from_the_file(client: Client, proxy: Proxy, app: Pushed, login: str) -> None:
    proxy.login = login
    with pytest.raises(PullFailed, match=r"pull access denied|requires authentication") as failure:
        client.pull(f"{proxy.host}/app:v1")
    assert "composer login" in str(failure.value.hint)
    client.docker_config(
        auths={f"https://{proxy.host}/v1/": {"auth": base64.b64encode(b"me:secret").decode()}}
    )
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    assert proxy.count("^GET /token") <= 2, "one token for all requests of a pull"


def test_a_wrong_login_says_so(client: Client, proxy: Proxy) -> None:
    proxy.login = "bearer"
    client.docker_config(auths={proxy.host: {"username": "me", "password": "wrong"}})
    with pytest.raises(PullFailed, match=r"authentication failed at .*") as failure:
        client.pull(f"{proxy.host}/app:v1")
    assert "wrong" not in f"{failure.value}{failure.value.hint}"


def test_an_identity_token(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.login = "bearer"
    client.docker_config(auths={proxy.host: {"identitytoken": "identity"}})
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    assert proxy.count("^POST /token") == 1


def test_a_token_that_the_registry_forgot_is_fetched_again(client: Client, proxy: Proxy, app: Pushed) -> None:
    proxy.login = "bearer"
    client.docker_config(auths={proxy.host: {"auth": base64.b64encode(b"me:secret").decode()}})
    proxy.on(LAYER, lambda handler: (proxy.tokens.clear(), handler._challenge())[1])
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    assert proxy.count("^GET /token") == 2


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
@pytest.mark.parametrize("user", ["me", "<token>"])
def test_a_credential_helper(client: Client, proxy: Proxy, app: Pushed, key: str, user: str) -> None:
    proxy.login = "bearer"
    helper = client.root / "docker-credential-mine"
    secret = "identity" if user == "<token>" else "secret"
    helper.write_text(
        f'#!/bin/sh\nread server\n[ "$1 $server" = "get {proxy.host}" ] || exit 1\n'
        f'echo \'{{"Username": "{user}", "Secret": "{secret}"}}\'\n'
    )
    helper.chmod(0o755)
    client.environment["PATH"] = f"{client.root}:{os.environ['PATH']}"
    client.docker_config(**{key: "mine" if key == "credsStore" else {proxy.host: "mine"}})
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        (None, "not found in PATH"),
        ("echo locked >&2; exit 1", "failed: locked"),
        ("echo nonsense", "returned invalid output"),
        ("echo 'credentials not found in native keychain'; exit 1", "composer login"),
    ],
)
def test_a_helper_that_fails_matters_only_where_a_login_is_needed(
    client: Client, proxy: Proxy, app: Pushed, script: str | None, complaint: str
) -> None:
    if script is not None:
        helper = client.root / "docker-credential-mine"
        helper.write_text(f"#!/bin/sh\n{script}\n")
        helper.chmod(0o755)
        client.environment["PATH"] = f"{client.root}:{os.environ['PATH']}"
    client.docker_config(credsStore="mine")
    check_app(client, client.pull(f"{proxy.host}/app:v1"), app)
    client.store.remove(app.id)
    proxy.login = "bearer"
    with pytest.raises(PullFailed) as failure:
        client.pull(f"{proxy.host}/app:v1")
    assert complaint in str(failure.value.hint)


def test_a_login_is_not_sent_where_nothing_is_encrypted(client: Client, proxy: Proxy) -> None:
    proxy.login, proxy.realm = "bearer", "http://elsewhere.test/token"
    client.docker_config(auths={proxy.host: {"auth": base64.b64encode(b"me:secret").decode()}})
    with pytest.raises(PullFailed, match=r"sent to elsewhere.test without encryption"):
        client.pull(f"{proxy.host}/app:v1")


def test_what_is_not_there_is_not_found_here_either(client: Client) -> None:
    assert client.store.find("127.0.0.1:1/app") is None
    with pytest.raises(PullFailed, match=r"cannot reach http://127.0.0.1:1: connection refused"):
        client.pull("127.0.0.1:1/app")
    with pytest.raises(NotFound):
        client.store.remove("127.0.0.1:1/app")
