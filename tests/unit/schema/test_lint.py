"""Advice: each rule where it speaks and where it must not, places, and the switches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from composer.schema.lint import Report, lint
from composer.schema.lint_rules import RULES
from composer.schema.load import LoadOptions
from tests.unit.schema.project import write

DOCUMENT = Path(__file__).parents[3] / "docs" / "lint.md"


def report(directory: Path, text: str, **files: str) -> Report:
    write(directory, {"compose.yaml": text, **{name.replace("_", "."): body for name, body in files.items()}})
    return lint(LoadOptions(working_dir=str(directory), environment={"SET": "value"}))


def rules(directory: Path, text: str, **files: str) -> list[str]:
    return [finding.rule for finding in report(directory, text, **files).findings]


SPEAKS = [
    ("refused-value", "services: {a: {image: 'i:1', restart: sometimes}}", "1:39"),
    ("unusable-value", "services: {a: {image: 'i:1', mac_address: zz}}", "1:43"),
    ("unusable-value", f"services: {{a: {{image: 'i:1', container_name: {'n' * 300}}}}}", "1:46"),
    ("unusable-value", "services: {a: {image: 'i:1', ports: [{target: 80, protocol: foo}]}}", "1:61"),
    (
        "unusable-value",
        "services: {a: {image: 'i:1', healthcheck: {test: [CMD, 'true'], interval: 1ns}}}",
        "1:75",
    ),
    (
        "unusable-value",
        "services: {a: {image: 'i:1', networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 127.1.0.0/16}]}}}",
        "2:41",
    ),
    ("missing-file", "services: {a: {build: ./nowhere}}", "1:23"),
    ("missing-file", "services: {a: {build: {context: ., dockerfile: Dockerfil}}}", "1:48"),
    ("missing-file", "services: {a: {image: 'i:1', secrets: [s]}}\nsecrets: {s: {file: ./none}}", "2:21"),
    ("missing-file", "services: {a: {image: 'i:1', configs: [c]}}\nconfigs: {c: {file: /none}}", "2:21"),
    ("unpinned-image", "services: {a: {image: nginx}}", "1:23"),
    ("unpinned-image", "services: {a: {image: 'r.example:5000/nginx:latest'}}", "1:23"),
    ("latest-never-pulled", "services: {a: {image: nginx, pull_policy: never}}", "1:23"),
    ("secret-in-environment", "services: {a: {image: 'i:1', environment: {DB_PASSWORD: x}}}", "1:57"),
    ("secret-in-environment", "services: {a: {image: 'i:1', environment: [api_token=x]}}", "1:44"),
    ("secret-in-environment", "services: {a: {image: 'i:1', environment: {U: 'amqp://a:b@c/d'}}}", "1:47"),
    (
        "secret-in-environment",
        "services: {a: {build: {context: ., dockerfile_inline: FROM x, args: {NPM_TOKEN: x}}}}",
        "1:81",
    ),
    ("published-database", "services: {a: {image: 'i:1', ports: ['5432:5432']}}", "1:38"),
    ("published-database", "services: {a: {image: 'i:1', ports: [{target: 6379, host_ip: '::'}]}}", "1:38"),
    (
        "health-unknown",
        "services: {a: {image: 'i:1', depends_on: {b: {condition: service_healthy}}}, b: {image: 'i:1'}}",
        "1:58",
    ),
    ("unused-network", "services: {a: {image: 'i:1'}}\nnetworks: {n: {}}", "2:12"),
    ("unused-volume", "services: {a: {image: 'i:1'}}\nvolumes: {vol: {}}", "2:11"),
    ("unused-config", "services: {a: {image: 'i:1'}}\nconfigs: {c: {content: x}}", "2:11"),
    ("unused-secret", "services: {a: {image: 'i:1'}}\nsecrets: {s: {environment: SET}}", "2:11"),
    ("container-name-replicas", "services: {a: {image: 'i:1', container_name: one, scale: 1}}", "1:58"),
    (
        "container-name-replicas",
        "services: {a: {image: 'i:1', container_name: one, profiles: [p], deploy: {replicas: 3}}}",
        "1:85",
    ),
    (
        "docker-socket",
        "services: {a: {image: 'i:1', volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']}}",
        "1:40",
    ),
    ("docker-socket", "services: {a: {image: 'i:1', use_api_socket: true}}", "1:46"),
    ("machine-sysctl", "services: {a: {image: 'i:1', sysctls: {kernel.core_pattern: x}}}", "1:61"),
    (
        "machine-sysctl",
        "services: {a: {image: 'i:1', network_mode: host, sysctls: {net.core.somaxconn: 1}}}",
        "1:80",
    ),
    ("privileged", "services: {a: {image: 'i:1', privileged: true}}", "1:42"),
    ("mount-target", "services: {a: {image: 'i:1', volumes: ['./x:/']}}", "1:40"),
    ("mount-target", "services: {a: {image: 'i:1', volumes: ['./x:/proc']}}", "1:40"),
    ("mount-target", "services: {a: {image: 'i:1', volumes: ['./x://proc/./sys']}}", "1:40"),
    ("mount-target", "services: {a: {image: 'i:1', tmpfs: ['/run', '/proc/fs:size=1m']}}", "1:46"),
    ("mount-target", "services: {a: {image: 'i:1', tmpfs: /proc}}", "1:37"),
    (
        "mount-target",
        "services: {a: {image: 'i:1', configs: [{source: c, target: /proc/self/mem}]}}\n"
        "configs: {c: {content: x}}",
        "1:40",
    ),
    ("obsolete-version", "version: '3'\nservices: {a: {image: 'i:1'}}", "1:1"),
]


@pytest.mark.parametrize(("rule", "text", "place"), SPEAKS)
def test_a_rule_speaks_and_says_where(tmp_path: Path, rule: str, text: str, place: str) -> None:
    (finding,) = report(tmp_path, text).findings
    assert (finding.rule, str(finding.at)) == (rule, f"compose.yaml:{place}")
    assert finding.severity == RULES[rule].severity
    assert finding.hint


def test_every_rule_about_the_model_is_tested() -> None:
    assert {rule for rule, _, _ in SPEAKS} >= {rule.id for rule in RULES.values() if rule.check}


@pytest.mark.parametrize(
    "service",
    [
        "image: 'i:1'",
        "image: 'i@sha256:" + "0" * 64 + "'",
        "{image: i, build: {context: ., dockerfile_inline: FROM x}}",
        "image: host",
        "{image: 'i:1', environment: {PASSWORD: '${SET}', DB_PASSWORD: }}",
        "{image: 'i:1', environment: {PASSWORD_FILE: /run/secrets/p, DB_PASSWORD: /run/secrets/p}}",
        "{image: 'i:1', environment: {ALLOW_EMPTY_PASSWORD: 'yes', PWD: x, TOKENS: 5, KEYBOARD: us, U: 'http://h:80/'}}",
        "{image: 'i:1', env_file: web.env}",
        "{image: 'i:1', ports: ['127.0.0.1:5432:5432', '[::1]:6379:6379', '8080:80']}",
        "{image: 'i:1', depends_on: {b: {condition: service_started}}}",
        "{image: 'i:1', depends_on: {c: {condition: service_healthy}}}",
        "{image: 'i:1', container_name: one}",
        "{image: 'i:1', volumes: ['/proc:/proc', './x:/proc/uptime', './x:/process', './x:/a/proc']}",
        "{image: 'i:1', privileged: false, volumes: ['/var/run:/x', '/var/run/docker.sock.d:/y']}",
        "{image: 'i:1', networks: [n], volumes: ['vol:/v'], configs: [c], secrets: [s], profiles: [p]}",
    ],
)
def test_no_rule_speaks(tmp_path: Path, service: str) -> None:
    resources = "networks: {n: {}}\nvolumes: {vol: {}}\nconfigs: {c: {content: x}}\nsecrets: {s: {environment: SET}}\n"
    body = service if service.startswith("{") else f"{{{service}}}"
    text = f"services:\n  a: {body}\n  b: {{image: 'i:1'}}\n  c: {{image: 'i:1', healthcheck: {{test: 'true'}}}}\n"
    used = text + (resources if "networks:" in service else "")
    assert rules(tmp_path, used, web_env="API_TOKEN=secret\n") == []


def test_a_health_check_that_is_off_is_said_to_be_off(tmp_path: Path) -> None:
    text = (
        "services:\n  a: {image: 'i:1', depends_on: {b: {condition: service_healthy}}}\n"
        "  b: {image: 'i:1', healthcheck: {disable: true}}\n"
    )
    (finding,) = report(tmp_path, text).findings
    assert finding.rule == "health-unknown" and "is disabled" in finding.message


def test_the_secret_itself_is_not_shown(tmp_path: Path) -> None:
    (finding,) = report(tmp_path, "services: {a: {image: 'i:1', environment: {TOKEN: hunter2}}}").findings
    assert "hunter2" not in repr(finding)


BAD = "services:\n  a:\n    image: nginx{0}\n    privileged: true\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (BAD.format(" # composer-lint: disable=unpinned-image"), ["privileged"]),
        (BAD.format(" # composer-lint: disable=privileged"), ["unpinned-image", "privileged"]),
        (BAD.format("\n    # composer-lint: disable=privileged\n    # because"), ["unpinned-image"]),
        (BAD.format("") + "x-composer: {lint: {disable: [privileged, unpinned-image]}}\n", []),
        (BAD.format("") + "x-note: composer-lint disable=privileged\n", ["unpinned-image", "privileged"]),
        (
            "services: {a: {image: nginx, privileged: true}} # composer-lint: disable=unpinned-image, privileged\n",
            [],
        ),
    ],
)
def test_switches(tmp_path: Path, text: str, left: list[str]) -> None:
    assert rules(tmp_path, text) == left


@pytest.mark.parametrize(
    ("line", "message", "place"),
    [
        ("# composer-lint: disable=privilege", "unknown rule 'privilege'", "1:26"),
        ("# composer-lint: disable=schema", "errors cannot be disabled: 'schema'", "1:26"),
        ("x-composer: {lint: {disable: [nope]}}", "unknown rule 'nope'", "1:31"),
        ("x-composer: {lint: {disable: all}}", "'x-composer.lint.disable' must be a list of rules", "1:30"),
    ],
)
def test_a_switch_that_does_nothing_is_said(tmp_path: Path, line: str, message: str, place: str) -> None:
    (finding,) = report(tmp_path, f"{line}\nservices: {{a: {{image: 'i:1'}}}}\n").findings
    assert (finding.rule, finding.message, str(finding.at)) == (
        "unknown-rule",
        message,
        f"compose.yaml:{place}",
    )


def test_errors_come_with_the_warnings_of_the_same_load_and_cannot_be_switched_off(tmp_path: Path) -> None:
    found = report(
        tmp_path, "version: '3'\nservices:\n  # composer-lint: disable=schema\n  a: {image: 1, tty: []}\n"
    )
    assert not found.complete
    assert [(one.rule, one.severity) for one in found.findings] == [
        ("obsolete-version", "warning"),
        ("unknown-rule", "warning"),
        ("schema", "error"),
        ("schema", "error"),
    ]
    assert "^" in found.findings[2].excerpt


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("services: [", "yaml"),
        ("services: {a: {image: '${X?no}'}}", "interpolation"),
        ("services: {a: {image: [1]}}", "schema"),
        ("services: {a: {image: 'i:1', depends_on: [a]}}", "cycle"),
        ("services: {a: {image: 'i:1', networks: [none]}}", "config"),
    ],
)
def test_kinds_of_errors(tmp_path: Path, text: str, rule: str) -> None:
    assert rules(tmp_path, text) == [rule]


def test_findings_are_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "services: {b: {image: nginx}, a: {image: nginx}}\n",
            "a.yaml": "services: {c: {image: nginx}}\n",
        },
    )
    found = lint(LoadOptions(working_dir=str(tmp_path), files=("compose.yaml", "a.yaml")))
    assert [str(one.at) for one in found.findings] == [
        "compose.yaml:1:23",
        "compose.yaml:1:42",
        "a.yaml:1:23",
    ]


def test_the_document_lists_the_rules() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(rule.id, rule.severity, rule.reason) for rule in RULES.values()]
