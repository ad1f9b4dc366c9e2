"""Projects from elsewhere, and on their way there, at the command line: what is asked, and what is not done unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.engine import labels
from composer.session.remote.artifacts import digest_of
from tests.unit.cli.console import Console

APP = f"oci://host.test/app@{digest_of(b'app')}"
PART = f"oci://host.test/part@{digest_of(b'part')}"


def keep(console: Console, reference: str, text: str) -> Path:
    """Put an artifact into the cache, where no network is needed for it."""
    cache = Path(
        console.environment["HOME"],
        ".cache/composer/remote/oci",
        reference.rpartition("@")[2].replace(":", "-"),
    )
    cache.mkdir(parents=True)
    (cache / "compose.yaml").write_text(text)
    return cache


@pytest.fixture
def app(console: Console) -> Console:
    keep(
        console,
        APP,
        "name: far\nservices: {web: {image: 'nginx:${TAG:-1}', environment: {A: '${NEEDED:?}'}}}\n",
    )
    return console


def containers(console: Console) -> list[str]:
    return [container.name for container in console.backend.observe("far").containers]


def test_a_project_from_elsewhere_is_started_where_somebody_agrees(app: Console) -> None:
    refused = app("-f", APP, "up", "-d", NEEDED="secret")
    assert (refused.code, containers(app)) == (1, [])
    assert "cannot prompt without a terminal: Do you want to proceed with these variables?" in refused.err
    assert "hint: use -y, or answer on a terminal" in refused.err
    told = refused.err.splitlines()
    assert (
        f'Your compose stack "{APP}" is stored in "{app.environment["HOME"]}/.cache/composer' in refused.err
    )
    assert "VARIABLE   VALUE    SOURCE         REQUIRED   DEFAULT" in told
    assert "NEEDED     secret   environment    yes" in told
    assert "TAG        1        compose file   no         1" in told
    assert app("-f", APP, "up", "-d", NEEDED="x", stdin="n\n").code == 1
    assert app("-f", APP, "up", "-d", NEEDED="x", terminal=True, stdin="no\n").code == 1
    assert containers(app) == []
    assert app("-f", APP, "up", "-d", NEEDED="x", terminal=True, stdin="\n").code == 0
    assert containers(app) == ["far-web-1"]


def test_yes_and_a_dry_run_are_not_asked(app: Console) -> None:
    assert app("-f", APP, "--dry-run", "up", "-d", NEEDED="x").code == 0
    assert containers(app) == []
    agreed = app("-f", APP, "up", "-d", "-y", NEEDED="x")
    assert agreed.code == 0
    assert "proceed" not in agreed.err
    assert containers(app) == ["far-web-1"]


@pytest.mark.parametrize("command", [("create",), ("scale", "web=1"), ("run", "-d", "web"), ("build",)])
def test_whatever_makes_containers_asks(app: Console, command: tuple[str, ...]) -> None:
    refused = app("-f", APP, *command, NEEDED="x")
    assert "Do you want to proceed with these variables?" in refused.err
    assert (refused.code, containers(app)) == (1, [])
    assert app("-f", APP, command[0], "-y", *command[1:], NEEDED="x").code == 0


def test_a_watch_asks_before_anything_is_started(app: Console) -> None:
    refused = app("-f", APP, "watch", NEEDED="x")
    assert "Do you want to proceed with these variables?" in refused.err
    assert (refused.code, containers(app)) == (1, [])


def test_one_of_the_environment_is_asked_about_too(app: Console) -> None:
    refused = app("up", "-d", NEEDED="x", COMPOSE_FILE=APP)
    assert "Do you want to proceed with these variables?" in refused.err
    assert (refused.code, containers(app)) == (1, [])


def test_one_off_containers_are_asked_about_too(app: Console) -> None:
    refused = app("-f", APP, "run", "-d", "web", NEEDED="x")
    assert "Do you want to proceed with these variables?" in refused.err
    assert (refused.code, containers(app)) == (1, [])
    assert app("-f", APP, "run", "-d", "-y", "web", NEEDED="x").code == 0


def test_what_it_includes_from_elsewhere_is_named(console: Console) -> None:
    keep(console, APP, f"name: far\ninclude: ['{PART}']\n")
    keep(console, PART, "services: {part: {image: nginx}}\n")
    refused = console("-f", APP, "up", "-d", stdin="")
    assert f"includes files from remote sources:\n  - {PART}\n" in refused.err
    assert "cannot prompt without a terminal: Do you want to continue?" in refused.err
    assert console("-f", APP, "up", "-d", stdin="y\n").code == 0


def test_a_local_project_is_asked_nothing(console: Console) -> None:
    console.write("services: {web: {image: 'nginx:${TAG:-1}'}}")
    assert "proceed" not in console("-f", "compose.yaml", "up", "-d").err
    keep(console, PART, "services: {part: {image: nginx}}\n")
    console.write(f"include: ['{PART}']\nservices: {{}}")
    assert console("up", "-d").code == 0


def test_the_flag_for_registries_without_encryption_is_docker_composes(app: Console) -> None:
    assert app("--insecure-registry", "host.test", "-f", APP, "config", "-q", NEEDED="x").code == 0
    assert "insecure" not in app("--help").out


def test_its_containers_say_what_they_were_made_from(app: Console) -> None:
    app("-f", APP, "up", "-d", "-y", NEEDED="x")
    (container,) = app.backend.observe("far").containers
    assert container.labels["com.docker.compose.project.config_files"] == APP
    assert app("-f", APP, "ps", "-q", NEEDED="x").out
    assert app("-f", APP, "down", NEEDED="x").code == 0
    assert containers(app) == []


def test_two_projects_of_one_reference_are_no_neighbours(console: Console) -> None:
    """Their relative paths start in one directory, but neither has the other's volumes."""
    keep(console, APP, "services: {web: {image: nginx, volumes: ['data:/d']}}\nvolumes: {data: {}}\n")
    assert console("-f", APP, "up", "-d", "-y").code == 0
    (console.directory / "other").mkdir()
    (volume,) = console.backend.volumes()
    assert volume.labels[labels.DIRECTORY] == str(console.directory)
    planned = console("-f", APP, "--project-directory", "other", "plan")
    assert "other_data" in planned.out
    assert "will be created empty" not in planned.err


def test_a_saved_plan_names_the_reference(app: Console) -> None:
    assert app("-f", APP, "plan", "--out", "p.json", NEEDED="x").code == 0
    assert f'"{APP}"' in (app.directory / "p.json").read_text()
    assert app("apply", "p.json", NEEDED="x").code == 0
    assert containers(app) == ["far-web-1"]


# ------------------------------------------------------------------ publish


def test_nothing_is_published_that_nobody_agreed_to(console: Console) -> None:
    console.write("services: {web: {image: nginx, volumes: ['./data:/d'], environment: {A_TOKEN: literal}}}")
    refused = console("publish", "127.0.0.1:1/app:1")
    assert refused.code == 1
    assert (
        "cannot prompt without a terminal: Are you ok to publish these bind mount declarations?"
        in refused.err
    )
    assert "use -y" in refused.err
    declined = console("publish", "127.0.0.1:1/app:1", stdin="y\nn\n")
    assert (declined.code, "nothing was published" in declined.err) == (130, True)
    assert 'service "web": literal value for "A_TOKEN"' in declined.err
    agreed = console("publish", "-y", "127.0.0.1:1/app:1")
    assert "cannot publish '127.0.0.1:1/app:1': cannot reach" in agreed.err  # it would have been sent now


def test_a_dry_run_shows_what_would_be_sent(console: Console) -> None:
    console.write("services: {web: {image: nginx, env_file: a.env, extends: {file: base.yaml, service: b}}}")
    console.write("services: {b: {labels: {a: b}}}", "base.yaml")
    console.write("A=1\n", "a.env")
    shown = console("--dry-run", "publish", "host.test/app:1").out.splitlines()
    assert shown[0] == "would publish oci://host.test/app:1:"
    assert [line.split()[0].rpartition(".")[2] for line in shown[1:]] == ["yaml", "yaml"]
    shown = console("--dry-run", "publish", "--with-env", "host.test/app:1").out.splitlines()
    assert [line.split()[0].rpartition(".")[2] for line in shown[1:]] == ["yaml", "yaml", "env"]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            "services: {web: {build: .}}",
            "h.test/a",
            'only contains a build section for service(s):\n  - "web"',
        ),
        (
            "include: [b.yaml]\nservices: {web: {image: x}}",
            "h.test/a",
            "cannot publish compose file with local includes",
        ),
        ("services: {web: {image: x}}", "oci://h.test/a", "leave out oci://"),
        ("services: {web: {image: x}}", f"h.test/a@{digest_of(b'')}", "cannot publish to the digest"),
        ("services: {web: {image: x}}", "UPPER", "repository name must be lowercase"),
    ],
)
def test_what_cannot_be_published(console: Console, text: str, name: str, said: str) -> None:
    console.write(text)
    console.write("services: {b: {image: y}}", "b.yaml")
    result = console("publish", "-y", name)
    assert result.code == 1
    assert said in result.err


def test_files_that_stay_here_are_named(console: Console) -> None:
    console.write("services: {web: {image: x, configs: [c]}}\nconfigs: {c: {file: ./c.txt}}")
    console.write("text", "c.txt")
    assert "the file of config 'c' is not published" in console("--dry-run", "publish", "h.test/a").err


def test_services_of_profiles_are_published_and_images_of_builds_are_pushed(console: Console) -> None:
    console.write("services: {web: {image: made, build: ., profiles: [p]}}")
    shown = console("--dry-run", "publish", "h.test/a")
    assert "made" in shown.out  # the plan of the push
    assert "would publish" in shown.out


# ------------------------------------------------------------------ alpha


def test_viz(console: Console) -> None:
    console.write(
        """
        name: app
        services:
          web:
            image: nginx
            ports: ["127.0.0.1:8080:80"]
            networks: {back: {priority: 1}, front: {priority: 5}}
            depends_on: [db]
          db: {build: .}
        networks: {front: {}, back: {}}
        """
    )
    plain = console("alpha", "viz")
    assert plain.err == "viz command is EXPERIMENTAL\n"
    assert plain.out.splitlines() == [
        'digraph "app" {',
        "\tlayout=dot;",
        '\t"db" [style="filled" label=<<font point-size="15">db</font>>];',
        '\t"web" [style="filled" label=<<font point-size="15">web</font>>];',
        "",
        '\t"web" -> "db";',
        "}",
        "",
    ]
    full = console("alpha", "viz", "--networks", "--ports", "--image", "--spaces", "--indentation-size=2").out
    assert (
        '  "web" [style="filled" label=<<font point-size="15">web</font>'
        '<font point-size="10"><br/><br/><b>Networks:</b><br/>front<br/>back</font>'
        '<font point-size="10"><br/><br/><b>Ports:</b><br/>127.0.0.1:8080:80 (tcp, ingress)</font>'
        '<font point-size="10"><br/><br/><b>Image:</b><br/>nginx</font>>];'
    ) in full.splitlines()
    assert "<b>Image:</b><br/>app-db</font>" in full


def test_what_volume_does_not_have_is_explained(console: Console) -> None:
    assert "unknown command 'volume update': it changes cluster volumes" in console("volume", "update").err


def test_what_alpha_does_not_have_is_refused(console: Console) -> None:
    assert "unknown command 'alpha vizz'; did you mean 'viz'?" in console("alpha", "vizz").err
