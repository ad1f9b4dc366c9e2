"""What of a project is published: files with their names replaced, and what people are told of them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from composer.errors import ProjectError
from composer.session.publishing import nodes, questions, sensitive
from composer.session.publishing.gathering import Gathered, Source, gather, hashed
from tests.unit.schema.project import write


def gathered(directory: Path, text: str, beside: dict[str, str] | None = None, **variables: str) -> Gathered:
    write(directory, beside or {})
    source = Source(f"{directory}/compose.yaml", "compose.yaml", str(directory), dedent(text))
    return gather([source], variables, "/home/me")


def test_names_of_files_are_replaced_and_nothing_else_changes(tmp_path: Path) -> None:
    text = """\
    # é: characters, not bytes
    services:
      one: {env_file: [ "a.env", {path: 'none.env', required: false}], image: "x:${TAG}"} # kept
      two:
        extends: {file: 'base/${WHICH}.yaml', service: b}
        env_file: a.env
      three: {extends: one}
      four:
        extends: {file: "https://host/repo.git", service: b}
    """
    base = "services: {b: {env_file: b.env, extends: {file: more.yaml, service: m}}}"
    more = "services: {m: {extends: {file: base.yaml, service: b2}}}"
    found = gathered(
        tmp_path,
        text,
        {"a.env": "A=1", "base/base.yaml": base, "base/b.env": "B=1", "base/more.yaml": more},
        WHICH="base",
    )
    names = {
        name: hashed(f"{tmp_path}/{name}", name.rpartition(".")[2])
        for name in ("a.env", "none.env", "base/base.yaml", "base/b.env", "base/more.yaml")
    }
    expected = dedent(text)
    for old, new in (
        ('"a.env"', names["a.env"]),
        ("'none.env'", names["none.env"]),
        ("'base/${WHICH}.yaml'", names["base/base.yaml"]),
        ("env_file: a.env", f"env_file: {names['a.env']}"),
    ):
        expected = expected.replace(old, new)
    assert found.files[0].data.decode() == expected
    by_name = {file.name: file for file in found.files[1:]}
    assert set(by_name) == {names["base/base.yaml"], names["base/more.yaml"]}
    assert all(file.is_extended for file in by_name.values())
    assert names["base/b.env"].encode() in by_name[names["base/base.yaml"]].data
    assert names["base/base.yaml"].encode() in by_name[names["base/more.yaml"]].data
    assert {file.name: file.data for file in found.env_files} == {
        names["a.env"]: b"A=1",
        names["base/b.env"]: b"B=1",
    }
    assert str(tmp_path).encode() not in b"".join(file.data for file in found.files)


def test_a_name_that_comes_by_an_anchor_a_merge_or_over_lines(tmp_path: Path) -> None:
    text = """\
    x-file: &file vars.env
    x-base: &base {env_file: more.env}
    services:
      one: {env_file: *file}
      two: {<<: *base}
      three:
        env_file:
          - >-
            vars.env
          - path: |-
              more.env
            format: raw
    """
    found = gathered(tmp_path, text, {"vars.env": "", "more.env": ""})
    data = found.files[0].data.decode()
    assert "vars.env" not in data.replace(hashed(f"{tmp_path}/vars.env", "env"), "")
    assert nodes.documents(data, "") and data.count(hashed(f"{tmp_path}/more.env", "env")) == 2
    assert found.findings.with_env_file == {"one", "two", "three"}


def test_documents_of_one_file(tmp_path: Path) -> None:
    found = gathered(
        tmp_path, "services: {a: {env_file: a.env}}\n---\nservices: {b: {env_file: a.env}}\n", {"a.env": ""}
    )
    assert found.files[0].data.count(hashed(f"{tmp_path}/a.env", "env").encode()) == 2


def test_what_is_found(tmp_path: Path) -> None:
    found = gathered(
        tmp_path,
        """
        include: [local.yaml, {path: [oci://host/name, ../other.yaml]}]
        services:
          one: {environment: {DB_PASSWORD: hunter2, API_KEY: "${KEY}", PLAIN: value, TOKEN: "$$literal"}}
          two: {environment: [MY_SECRET=short, OTHER_SECRET, "A_TOKEN=$X"]}
        configs: {literal: {content: "text"}, variable: {content: "${TEXT}"}, file: {file: ./x}}
        """,
    ).findings
    assert found.local_includes == ["local.yaml", "../other.yaml"]
    assert found.literals == {"one": {"DB_PASSWORD", "TOKEN"}, "two": {"MY_SECRET"}}
    assert found.contents == {"literal"}


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("X", "AKIAIOSFODNN7EXAMPLE", "AWS Client ID"),
        ("X", "ghp_" + "a" * 36, "Github authentication"),
        ("X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "JSON Web Token"),
        ("X", "-----BEGIN RSA PRIVATE KEY-----", "Private Key"),
        ("URL", "postgres://me:pass@db/x", "URL with password"),
        ("X", "sk_live_" + "a" * 24, "Stripe API key"),
        ("H", "Basic bWU6cGFzc3dvcmQ=", "HTTP Basic Authentication"),
        ("PASSWORD", "correct-horse-battery", None),
        ("DB_PASSWORD", "x8!Kq2#mZr5?Wd9&", "Keyword Detector"),
        ("X", "kJ8dh2LmQp0ZxVb7Nc4RtYw1AsEg6UiOf3HlKj5M", "High entropy string"),
        ("URL", "postgres://me:$PASS@db/x", None),
        ("URL", "postgres://me:${PASS}@db/x", None),
        ("IMAGE", "registry.example.com/team/application:1.2.3", None),
        ("PASSWORD", "${PASSWORD}", None),
        ("H", "Basic example", None),
    ],
)
def test_kinds(key: str, value: str, kind: str | None) -> None:
    found = sensitive.in_value(key, value, "f:1")
    assert (found.kind if found else None) == kind


TOKEN = "ghp_" + "Ab1" * 12


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"# the token of the CI: {TOKEN}\nservices: {{a: {{image: i}}}}", "compose.yaml:1"),
        ("services: {a: {image: i}} # DB_PASSWORD=S3cr3t-Pa5w0rdXyz+Qmk9Lv", "compose.yaml:1"),
        (f"services: {{a: {{image: i, labels: {{{TOKEN}: x}}}}}}", "compose.yaml:1"),
        ("services:\n  a:\n    command: app --password=S3cr3t-Pa5w0rdXyz+Qmk9Lv", "compose.yaml:3"),
        ("services:\n  a:\n    command: [app, '--db-password=S3cr3t-Pa5w0rdXyz+Qmk9Lv']", "compose.yaml:3"),
        (f"services:\n  a:\n    environment: {{LONG: '{'x ' * 3000}{TOKEN}'}}", "compose.yaml:3"),
        ('services:\n  a:\n    environment: {API_TOKEN: "${T:-S3cr3t-Pa5w0rdXyz+Qmk9Lv}"}', "compose.yaml:3"),
        ('services:\n  a:\n    environment: {MY_SECRET: "${T}S3cr3t-Pa5w0rdXyz+Qmk9Lv"}', "compose.yaml:3"),
    ],
    ids=["comment", "pair in a comment", "key", "option", "option in a list", "far", "default", "beside a variable"],
)  # fmt: skip
def test_secrets_are_found_wherever_they_stand(tmp_path: Path, text: str, place: str) -> None:
    assert place in {one.place for one in gathered(tmp_path, text).findings.sensitive}


@pytest.mark.parametrize(
    "text",
    [
        'services: {a: {environment: {DB_PASSWORD: "${DB_PASSWORD:?is required, see the README}"}}}',
        'services: {a: {environment: {DB_PASSWORD: "${DB_PASSWORD:-postgres}", TOKEN: "$TOKEN"}}}',
        "services: {a: {command: app --token-file=/run/secrets/token --password=$$PASSWORD}}",
        "services: {} # set PASSWORD before you start it",
    ],
)
def test_names_alone_are_no_secrets(tmp_path: Path, text: str) -> None:
    assert gathered(tmp_path, text).findings.sensitive == []


def test_bind_mounts_of_a_file_that_is_extended_are_asked_about(tmp_path: Path) -> None:
    volumes = "['~/.ssh:/keys:ro', data:/d, {type: bind, source: /etc, target: /e}]"
    base = f"services: {{b: {{image: i}}, other: {{image: i, volumes: {volumes}}}}}"
    found = gathered(tmp_path, "services: {a: {extends: {file: base.yaml, service: b}}}", {"base.yaml": base})
    (asked,) = questions.questions({}, found.findings, with_env=False)
    assert f"other in {tmp_path}/base.yaml: ~/.ssh:/keys:ro\n" in asked
    assert f"other in {tmp_path}/base.yaml: /etc:/e\n" in asked
    assert "data:/d" not in asked


def test_a_question_does_not_tell_the_secret() -> None:
    (found,) = sensitive.in_text("# comment\nexport TOKEN='ghp_" + "a" * 36 + "'\n", "x.env")
    assert str(found) == "Github authentication\nx.env:2: TOKEN: ghp_…"


def test_every_kind_is_asked_about_by_itself(tmp_path: Path) -> None:
    findings = gathered(
        tmp_path,
        "services: {web: {image: x, environment: {URL: 'ab://b:c@d'}, env_file: a.env}}\nconfigs: {c: {content: text}}",
        {"a.env": ""},
    ).findings
    services = {
        "web": {
            "image": "x",
            "volumes": [{"type": "bind", "source": "/etc", "target": "/e", "read_only": True}],
        }
    }
    ends = [one.splitlines()[-1] for one in questions.questions(services, findings, with_env=False)]
    assert ends == [
        "Are you ok to publish these bind mount declarations?",
        "Are you ok to publish these sensitive data?",
        "Are you ok to publish these env declarations?",
        "Are you ok to publish these config contents?",
    ]
    binds, data, *rest = questions.questions(services, findings, with_env=True)
    assert "web: /etc:/e:ro\n" in binds
    assert "compose.yaml:1: URL: ab:/…" in data
    assert len(rest) == 1


@pytest.mark.parametrize(
    ("services", "includes", "said"),
    [
        ({"web": {"build": {}}}, [], 'only contains a build section for service(s):\n- "web"'),
        ({"web": {"image": "x"}}, ["a.yaml"], "cannot publish compose file with local includes: a.yaml"),
        ({"web": {}}, [], "is mandatory"),
    ],
)
def test_what_cannot_be_published(
    tmp_path: Path, services: dict[str, dict[str, object]], includes: list[str], said: str
) -> None:
    findings = gathered(tmp_path, "services: {}").findings
    findings.local_includes += includes
    with pytest.raises(ProjectError) as failure:
        questions.check(services, findings)
    assert said in str(failure.value)
    assert failure.value.hint
